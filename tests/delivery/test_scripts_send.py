"""Sending, loading and receipts, script by script: every verdict, and each twice in a row."""

from typing import Any

import pytest
from redis.asyncio import Redis

from delivery import keys
from delivery.notifications import notify_command
from delivery.redis.client import Arg
from delivery.scripts import STORE_CHATS, STORE_RECEIPT
from protocol.errors import ApiError
from tests.delivery.post import ASHA, LIMITS, MOBILE, NO_QUESTION, RAVI, RECORDS_SECONDS, Post, digest


async def test_nothing_is_stored_for_who_is_not_loaded(redis: "Redis") -> None:
    post = Post(redis)
    for _ in range(2):
        assert await post.send("m1") == ["not_cached", "", []]
        assert await post.receipt("m1") == ["not_cached", "", []]
    assert await redis.keys("*") == []


async def test_a_chat_is_stored_once_whatever_is_sent_again(post: Post) -> None:
    verdict, stream_id, servers = await post.send("m1", "ماذا")
    assert (verdict, servers) == ("stored", [])
    assert await post.waits() == [stream_id]
    assert await post.tally() == {"n": 1, "b": len("ماذا".encode()), f"n:{ASHA}": 1}
    before = await post.snapshot()
    for _ in range(2):
        assert await post.send("m1", "ماذا") == ["stored", stream_id, []]
    assert await post.snapshot() == before


async def test_another_text_under_a_known_message_id_is_refused_and_changes_nothing(post: Post) -> None:
    await post.claim()
    _, stream_id, _ = await post.send("m1", "the first")
    before = await post.snapshot()
    for _ in range(2):
        assert await post.send("m1", "the second") == ["reused", "", []], "nobody is rung"
    assert await post.snapshot() == before
    assert await post.send("m1", "the first") == ["stored", stream_id, ["s1"]]
    assert (await post.send("m1", "the second", sender=RAVI))[0] == "stored", "it is another's messageId"


@pytest.mark.parametrize("state", ["settled", "read", "acked", "rotated", "blocked, collected", "expired"])
async def test_another_text_is_refused_whatever_became_of_the_first(post: Post, state: str) -> None:
    await post.claim()
    _, stream_id, _ = await post.send("m1", "the first")
    match state:
        case "settled":
            await post.settle(stream_id)
        case "read":
            assert await post.mark_read("m1") == [stream_id]
        case "acked":
            await post.acked("m1")
        case "rotated":
            await post.age_records()
            await post.turn()
        case "blocked, collected":
            await post.load(version=1, blocked=(ASHA,))
            assert (await post.collect())[3] == []
        case _:
            await post.expire(stream_id)
    assert (await post.send("m1", "the second"))[0] == "reused"
    assert (await post.send("m1", "the first"))[:2] == ["stored", stream_id]


async def test_a_record_of_before_there_were_digests_takes_any_text(post: Post) -> None:
    _, stream_id, _ = await post.send("m1", "the first")
    for field, record in (await post.redis.hgetall(post.keys.dedupe)).items():
        if field != b"since":
            await post.redis.hset(post.keys.dedupe, field, record.partition(b" ")[0])
    assert (await post.send("m1", "the second"))[:2] == ["stored", stream_id]
    assert await post.mark_read("m1") == [stream_id]


async def test_the_same_message_id_of_another_sender_is_another_chat(post: Post) -> None:
    _, first, _ = await post.send("m1", sender=ASHA)
    verdict, second, _ = await post.send("m1", sender=RAVI)
    assert verdict == "stored"
    assert first != second
    assert await post.states(post.keys.dedupe) == ["s", "s"]


async def test_where_sender_ends_and_message_id_begins_is_not_guessed(post: Post) -> None:
    await post.send("2-m", sender="9200000001")
    assert (await post.send("-m", sender="92000000012"))[0] == "stored"


async def test_live_connections_are_to_be_rung_also_for_a_retry(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    await post.claim("laptop", "s3", "c3", lease_ms=-1)
    verdict, stream_id, servers = await post.send("m1")
    assert (verdict, sorted(servers)) == ("stored", ["s1", "s2"])
    verdict, again, servers = await post.send("m1")
    assert (verdict, again, sorted(servers)) == ("stored", stream_id, ["s1", "s2"])


@pytest.mark.parametrize(
    ("limits", "others"),
    [([2, 100_000, 50], RAVI), ([100, 10, 50], RAVI), ([100, 100_000, 2], None)],
    ids=["chats", "bytes", "chats of one sender"],
)
async def test_a_full_mailbox_refuses_and_forgets_the_refusal(
    post: Post, limits: list[str | bytes | int], others: str | None
) -> None:
    _, first, _ = await post.send("m1", "12345", limits=limits)
    await post.send("m2", "12345", sender=others or ASHA, limits=limits)
    before = await post.snapshot()
    for _ in range(2):
        assert await post.send("m3", "12345", limits=limits) == ["full", "", []]
    assert await post.snapshot() == before
    assert await post.send("m1", "12345", limits=limits) == ["stored", first, []]
    assert (await post.receipt("m3"))[0] == "stored"
    await post.settle(first)
    assert (await post.send("m3", "12345", limits=limits))[0] == "stored"


@pytest.mark.parametrize("chats", ["0", None], ids=["counted down", "no field"])
@pytest.mark.parametrize("blocked", [False, True])
async def test_of_whom_no_chat_waits_no_byte_does(post: Post, blocked: bool, chats: str | None) -> None:
    """Servers of before counted the chats of a sender down, and not their bytes."""
    p = "p" if blocked else ""
    if blocked:
        await post.load(version=1, blocked=(ASHA,))
    await post.redis.hset(post.keys.tally, mapping={f"{p}n": "1", f"{p}b": "5", f"{p}b:{ASHA}": "100"})
    if chats is not None:
        await post.redis.hset(post.keys.tally, f"{p}n:{ASHA}", chats)
    assert (await post.send("m1", "12345", most_bytes=100))[0] == "stored"
    assert await post.whole_tally() == {f"{p}n": 2, f"{p}b": 10, f"{p}n:{ASHA}": 1, f"{p}b:{ASHA}": 5}
    assert (await post.send("m2", "x" * 96, most_bytes=100))[0] == "full"


async def test_one_senders_limit_is_no_business_of_anothers(post: Post) -> None:
    one: list[str | bytes | int] = [100, 100_000, 1]
    assert (await post.send("m1", limits=one))[0] == "stored"
    assert (await post.send("m2", limits=one))[0] == "full"
    assert (await post.send("m2", sender=RAVI, limits=one))[0] == "stored"


async def test_the_blocked_get_the_same_answer_and_leave_a_phantom(post: Post) -> None:
    free = await post.send("m1", sender=RAVI)
    await post.load(version=1, blocked=(ASHA,))
    blocked = await post.send("m1", "secret words")
    assert [type(each) for each in blocked] == [type(each) for each in free]
    assert (blocked[0], blocked[2]) == (free[0], free[2])
    assert blocked[1].replace("-", "").isdigit()
    for _ in range(2):
        assert await post.send("m1", "secret words") == ["stored", blocked[1], []]
        assert await post.send("m1", "other words") == ["reused", "", []]
    assert await post.waits() == [free[1]]
    phantoms = await post.redis.xrange(post.keys.shadows)
    assert [(each[0].decode(), each[1]) for each in phantoms] == [
        (blocked[1], {b"f": ASHA.encode(), b"i": b"m1", b"b": b"12"})
    ]
    assert await post.tally() == {"n": 1, "b": 5, f"n:{RAVI}": 1, "pn": 1, "pb": 12, f"pn:{ASHA}": 1}


async def test_the_blocked_ring_nobody_also_when_the_blocker_is_online(post: Post) -> None:
    await post.claim()
    await post.load(version=1, blocked=(ASHA,))
    assert (await post.send("m1"))[2] == []
    assert (await post.send("m1"))[2] == []


async def test_phantoms_fill_the_mailbox_for_the_blocked_alone(post: Post) -> None:
    three: list[str | bytes | int] = [3, 100_000, 3]
    await post.load(version=1, blocked=(ASHA,))
    await post.send("r1", sender=RAVI, limits=three)
    assert [(await post.send(f"m{n}", limits=three))[0] for n in range(3)] == ["stored", "stored", "full"]
    assert [(await post.send(f"r{n}", sender=RAVI, limits=three))[0] for n in range(2, 5)] == [
        "stored",
        "stored",
        "full",
    ]


async def test_who_is_unblocked_gets_no_second_life_for_a_phantom(post: Post) -> None:
    await post.load(version=1, blocked=(ASHA,))
    _, phantom, _ = await post.send("m1")
    await post.load(version=2)
    assert await post.send("m1") == ["stored", phantom, []]
    assert (await post.send("m2"))[0] == "stored"


async def test_load_creates_then_keeps_then_takes_newer_blocks_only(redis: "Redis") -> None:
    post = Post(redis)
    assert await post.load(version=3, blocked=(ASHA,), seen=1234) == ["created", "epoch-1"]
    assert await post.load(version=3, blocked=(RAVI,)) == ["kept", "epoch-1"]
    assert await post.load(version=2, blocked=()) == ["kept", "epoch-1"]
    assert await redis.smembers(post.keys.blocks) == {ASHA.encode()}
    for verdict in ("newer", "kept"):
        assert await post.load(version=4, blocked=(RAVI,)) == [verdict, "epoch-1"]
    assert await redis.smembers(post.keys.blocks) == {RAVI.encode()}
    assert await post.load(version=5) == ["newer", "epoch-1"]
    assert await redis.smembers(post.keys.blocks) == set()
    assert await redis.get(post.keys.last_seen) == b"1234"


async def test_an_older_last_seen_never_replaces_the_one_there(redis: "Redis") -> None:
    post = Post(redis)
    await redis.set(post.keys.last_seen, "9999")
    await post.load(seen=1234)
    assert await redis.get(post.keys.last_seen) == b"9999"


async def test_another_account_finds_nothing_of_the_former_owners(post: Post) -> None:
    await post.claim()
    _, stream_id, _ = await post.send("m1")
    await post.send("m2")
    await post.settle(stream_id)
    await post.age_records()
    assert await post.turn() == "more"
    await post.send("m4")
    await post.load(version=7, blocked=(RAVI,))
    await post.send("m3", sender=RAVI)
    await post.redis.set(post.keys.last_seen, "1234")
    await post.redis.hset(post.keys.dead_letters, "1-1", "5")
    assert {name.decode() for name in await post.redis.keys("*")} >= {
        post.keys.dedupe,
        post.keys.dedupe_before,
        post.keys.shadows,
    }
    assert await post.load("account-2", version=0) == ["created", "epoch-1"]
    assert await post.redis.keys("*") == [post.keys.user.encode()]
    assert await post.load("account-2", version=0) == ["kept", "epoch-1"]
    assert (await post.send("m1"))[0] == "stored"


async def test_a_receipt_is_taken_each_time_and_is_no_chat(post: Post) -> None:
    await post.claim("phone", "s2", "c2")
    for _ in range(2):
        verdict, _, servers = await post.receipt("m1 m2", kind="read")
        assert (verdict, servers) == ("stored", ["s2"])
    first, second = await post.redis.xrange(post.keys.mailbox)
    assert first[1] == second[1] == {b"k": b"r", b"f": ASHA.encode(), b"a": b"read", b"i": b"m1 m2"}
    assert await post.tally() == {}
    assert not await post.redis.exists(post.keys.dedupe)


async def test_a_receipt_that_comes_first_opens_the_mailbox_for_every_device(post: Post) -> None:
    await post.claim("phone")
    await post.claim("tablet", "s2", "c2")
    await post.receipt("m1")
    assert await post.groups() == ["phone", "tablet"]


@pytest.mark.parametrize("verb", ["send", "receipt"])
async def test_the_script_rings_every_server_but_the_callers_once(post: Post, verb: str) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    await post.claim("watch", "s2", "c3")
    await post.claim("lamp", "s3", "c4", lease_ms=-1)
    async with post.redis.pubsub() as wire:
        await wire.subscribe(*(keys.channel(server) for server in ("s1", "s2", "s3")))
        for _ in range(3):
            await wire.get_message(timeout=1)
        if verb == "send":
            words = [ASHA, *LIMITS, RECORDS_SECONDS, "s1", MOBILE, 100_000, *NO_QUESTION, "m1", "hello", "digest"]
            _, stream_id, servers, *_ = await post.call(STORE_CHATS, *words)
        else:
            _, stream_id, servers = await post.call(STORE_RECEIPT, ASHA, "read", "m1", "s1", MOBILE)
        assert sorted(servers) == ["s1", "s2", "s2"]
        told = await wire.get_message(ignore_subscribe_messages=True, timeout=1)
        assert (told["channel"].decode(), told["data"].decode()) == notify_command("s2", MOBILE, stream_id)[1:]
        assert await wire.get_message(ignore_subscribe_messages=True, timeout=0.1) is None


async def test_a_blocked_senders_chat_rings_nobody(post: Post) -> None:
    await post.claim("phone", "s2", "c2")
    await post.load(version=1, blocked=(ASHA,))
    async with post.redis.pubsub() as wire:
        await wire.subscribe(keys.channel("s2"))
        await wire.get_message(timeout=1)
        assert (await post.send("m1"))[0] == "stored"
        assert await wire.get_message(ignore_subscribe_messages=True, timeout=0.1) is None


async def test_memory_at_its_end_refuses_chats_and_takes_receipts_and_acks(post: Post) -> None:
    _, stream_id, _ = await post.send("m1")
    await post.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(ApiError, match="storage_full"):
            await post.send("m2")
        assert (await post.receipt("m1"))[0] == "stored"
        assert await post.settle(stream_id) == 1
        assert (await post.claim())[0] == "claimed"
    finally:
        await post.redis.config_set("maxmemory", "0")
    assert (await post.send("m2"))[0] == "stored"


async def send_all(post: Post, *chats: str, limits: list[Arg]) -> Any:
    """The script's own answer for several chats of ASHA, as "messageId" or "messageId text"; texts of five bytes."""
    words = [ASHA, *limits, RECORDS_SECONDS, "", MOBILE, 100_000, *NO_QUESTION]
    for chat in chats:
        message_id, _, message = chat.partition(" ")
        words += (message_id, message or "hello", digest(message or "hello"))
    return (await post.call(STORE_CHATS, *words))[:-1]


async def test_chats_together_are_as_one_after_the_other(post: Post) -> None:
    await post.claim()
    _, first, _ = await post.send("m1")
    verdict, newest, servers, answers = await send_all(post, "m2", "m1", "m3", "m2", limits=[100, 100_000, 50])
    assert (verdict, servers) == ("done", ["s1"])
    waits = await post.waits()
    assert answers == [waits[1], first, waits[2], waits[1]]
    assert newest == waits[2]
    assert await post.tally() == {"n": 3, "b": 15, f"n:{ASHA}": 3}


@pytest.mark.parametrize("limits", [[2, 100_000, 50], [100, 10, 50], [100, 100_000, 2]])
async def test_where_a_mailbox_gets_full_the_rest_is_refused(post: Post, limits: list[Arg]) -> None:
    _, _, _, answers = await send_all(post, "m1", "m2", "m3", "m1", limits=limits)
    waits = await post.waits()
    assert answers == [waits[0], waits[1], "full", waits[0]]
    assert (await post.tally())["n"] == 2


async def test_the_blocked_cannot_tell_chats_together_from_others(post: Post) -> None:
    await post.load(version=1, blocked=(ASHA,))
    await post.claim()
    verdict, newest, servers, answers = await send_all(post, "m1", "m2", "m1", limits=[100, 100_000, 2])
    assert (verdict, newest, servers) == ("done", "", [])
    assert answers[0] == answers[2] < answers[1]
    assert (await send_all(post, "m3", limits=[100, 100_000, 2]))[3] == ["full"]
    assert await post.tally() == {"pn": 2, "pb": 10, f"pn:{ASHA}": 2}


@pytest.mark.parametrize("blocked", [False, True])
async def test_another_text_is_refused_among_chats_together_as_well(post: Post, blocked: bool) -> None:
    if blocked:
        await post.load(version=1, blocked=(ASHA,))
    chats = ["m1 first", "m1 other", "m2", "m1 first", "m2 again"]
    _, _, _, answers = await send_all(post, *chats, limits=[100, 100_000, 50])
    assert [answer if answer == "reused" else "" for answer in answers] == ["", "reused", "", "", "reused"]
    assert answers[0] == answers[3] != answers[2]
    assert len(await post.waits()) == (0 if blocked else 2)


async def test_what_found_no_room_may_be_sent_again_with_another_text(post: Post) -> None:
    one: list[Arg] = [1, 100_000, 50]
    assert (await send_all(post, "m1", "m2 first", "m2 other", limits=one))[3][1:] == ["full", "full"]
    assert (await post.send("m2", "other"))[0] == "stored"
