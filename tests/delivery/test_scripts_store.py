"""Sending, loading and receipts, script by script: every verdict, and each twice in a row."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from delivery import keys
from delivery.notifications import notify_command
from delivery.redis.client import Arg
from delivery.scripts import STORE_CHATS, STORE_RECEIPT
from protocol.errors import ApiError
from tests.delivery.person_scripts import (
    ASHA,
    LIMITS,
    MOBILE,
    NO_QUESTION,
    RAVI,
    RECORDS_SECONDS,
    Scripts,
    digest,
    now_ms,
)


async def test_nothing_is_stored_for_who_is_not_loaded(redis: "Redis") -> None:
    person = Scripts(redis)
    for _ in range(2):
        assert await person.store_chat("m1") == ["not_cached", "", []]
        assert await person.store_receipt("m1") == ["not_cached", "", []]
    assert await redis.keys("*") == []


async def test_a_chat_is_stored_once_whatever_is_sent_again(person: Scripts) -> None:
    verdict, stream_id, servers = await person.store_chat("m1", "ماذا")
    assert (verdict, servers) == ("stored", [])
    assert await person.waits() == [stream_id]
    assert await person.tally() == {"n": 1, "b": len("ماذا".encode()), f"n:{ASHA}": 1}
    before = await person.snapshot()
    for _ in range(2):
        assert await person.store_chat("m1", "ماذا") == ["stored", stream_id, []]
    assert await person.snapshot() == before


async def test_another_text_under_a_known_message_id_is_refused_and_changes_nothing(person: Scripts) -> None:
    await person.claim()
    _, stream_id, _ = await person.store_chat("m1", "the first")
    before = await person.snapshot()
    for _ in range(2):
        assert await person.store_chat("m1", "the second") == ["reused", "", []], "nobody is rung"
    assert await person.snapshot() == before
    assert await person.store_chat("m1", "the first") == ["stored", stream_id, ["s1"]]
    assert (await person.store_chat("m1", "the second", sender=RAVI))[0] == "stored", "it is another's messageId"


@pytest.mark.parametrize("state", ["settled", "read", "acked", "rotated", "blocked, collected", "expired"])
async def test_another_text_is_refused_whatever_became_of_the_first(person: Scripts, state: str) -> None:
    await person.claim()
    _, stream_id, _ = await person.store_chat("m1", "the first")
    match state:
        case "settled":
            await person.settle(stream_id)
        case "read":
            assert await person.mark_read("m1") == [stream_id]
        case "acked":
            await person.note_delivered("m1")
        case "rotated":
            await person.age_records()
            await person.rotate_dedupe()
        case "blocked, collected":
            await person.load(version=1, blocked=(ASHA,))
            assert (await person.fetch())[3] == []
        case _:
            await person.expire(stream_id)
    assert (await person.store_chat("m1", "the second"))[0] == "reused"
    assert (await person.store_chat("m1", "the first"))[:2] == ["stored", stream_id]


async def test_a_record_of_before_there_were_digests_takes_any_text(person: Scripts) -> None:
    _, stream_id, _ = await person.store_chat("m1", "the first")
    for field, record in (await person.redis.hgetall(person.keys.dedupe)).items():
        if field != b"since":
            await person.redis.hset(person.keys.dedupe, field, record.partition(b" ")[0])
    assert (await person.store_chat("m1", "the second"))[:2] == ["stored", stream_id]
    assert await person.mark_read("m1") == [stream_id]


async def test_the_same_message_id_of_another_sender_is_another_chat(person: Scripts) -> None:
    _, first, _ = await person.store_chat("m1", sender=ASHA)
    verdict, second, _ = await person.store_chat("m1", sender=RAVI)
    assert verdict == "stored"
    assert first != second
    assert await person.states(person.keys.dedupe) == ["s", "s"]


async def test_where_sender_ends_and_message_id_begins_is_not_guessed(person: Scripts) -> None:
    await person.store_chat("2-m", sender="9200000001")
    assert (await person.store_chat("-m", sender="92000000012"))[0] == "stored"


async def test_live_connections_are_to_be_rung_also_for_a_retry(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    await person.claim("laptop", "s3", "c3", lease_ms=-1)
    verdict, stream_id, servers = await person.store_chat("m1")
    assert (verdict, sorted(servers)) == ("stored", ["s1", "s2"])
    verdict, again, servers = await person.store_chat("m1")
    assert (verdict, again, sorted(servers)) == ("stored", stream_id, ["s1", "s2"])


@pytest.mark.parametrize(
    ("limits", "others"),
    [([2, 100_000, 50], RAVI), ([100, 10, 50], RAVI), ([100, 100_000, 2], None)],
    ids=["chats", "bytes", "chats of one sender"],
)
async def test_a_full_mailbox_refuses_and_forgets_the_refusal(
    person: Scripts, limits: list[str | bytes | int], others: str | None
) -> None:
    _, first, _ = await person.store_chat("m1", "12345", limits=limits)
    await person.store_chat("m2", "12345", sender=others or ASHA, limits=limits)
    before = await person.snapshot()
    for _ in range(2):
        assert await person.store_chat("m3", "12345", limits=limits) == ["full", "", []]
    assert await person.snapshot() == before
    assert await person.store_chat("m1", "12345", limits=limits) == ["stored", first, []]
    assert (await person.store_receipt("m3"))[0] == "stored"
    await person.settle(first)
    assert (await person.store_chat("m3", "12345", limits=limits))[0] == "stored"


@pytest.mark.parametrize("chats", ["0", None], ids=["counted down", "no field"])
@pytest.mark.parametrize("blocked", [False, True])
async def test_of_whom_no_chat_waits_no_byte_does(person: Scripts, blocked: bool, chats: str | None) -> None:
    """Servers of before counted the chats of a sender down, and not their bytes."""
    p = "p" if blocked else ""
    if blocked:
        await person.load(version=1, blocked=(ASHA,))
    await person.redis.hset(person.keys.tally, mapping={f"{p}n": "1", f"{p}b": "5", f"{p}b:{ASHA}": "100"})
    if chats is not None:
        await person.redis.hset(person.keys.tally, f"{p}n:{ASHA}", chats)
    assert (await person.store_chat("m1", "12345", most_bytes=100))[0] == "stored"
    assert await person.whole_tally() == {f"{p}n": 2, f"{p}b": 10, f"{p}n:{ASHA}": 1, f"{p}b:{ASHA}": 5}
    assert (await person.store_chat("m2", "x" * 96, most_bytes=100))[0] == "full"


async def test_one_senders_limit_is_no_business_of_anothers(person: Scripts) -> None:
    one: list[str | bytes | int] = [100, 100_000, 1]
    assert (await person.store_chat("m1", limits=one))[0] == "stored"
    assert (await person.store_chat("m2", limits=one))[0] == "full"
    assert (await person.store_chat("m2", sender=RAVI, limits=one))[0] == "stored"


async def test_the_blocked_get_the_same_answer_and_leave_a_shadow_entry(person: Scripts) -> None:
    free = await person.store_chat("m1", sender=RAVI)
    await person.load(version=1, blocked=(ASHA,))
    blocked = await person.store_chat("m1", "secret words")
    assert [type(each) for each in blocked] == [type(each) for each in free]
    assert (blocked[0], blocked[2]) == (free[0], free[2])
    assert blocked[1].replace("-", "").isdigit()
    for _ in range(2):
        assert await person.store_chat("m1", "secret words") == ["stored", blocked[1], []]
        assert await person.store_chat("m1", "other words") == ["reused", "", []]
    assert await person.waits() == [free[1]]
    shadows = await person.redis.xrange(person.keys.shadows)
    assert [(each[0].decode(), each[1]) for each in shadows] == [
        (blocked[1], {b"f": ASHA.encode(), b"i": b"m1", b"b": b"12"})
    ]
    assert await person.tally() == {"n": 1, "b": 5, f"n:{RAVI}": 1, "pn": 1, "pb": 12, f"pn:{ASHA}": 1}


async def test_the_blocked_notify_nobody_also_when_the_blocker_is_online(person: Scripts) -> None:
    await person.claim()
    await person.load(version=1, blocked=(ASHA,))
    assert (await person.store_chat("m1"))[2] == []
    assert (await person.store_chat("m1"))[2] == []


async def test_shadow_entries_fill_the_mailbox_for_the_blocked_alone(person: Scripts) -> None:
    three: list[str | bytes | int] = [3, 100_000, 3]
    await person.load(version=1, blocked=(ASHA,))
    await person.store_chat("r1", sender=RAVI, limits=three)
    assert [(await person.store_chat(f"m{n}", limits=three))[0] for n in range(3)] == ["stored", "stored", "full"]
    assert [(await person.store_chat(f"r{n}", sender=RAVI, limits=three))[0] for n in range(2, 5)] == [
        "stored",
        "stored",
        "full",
    ]


async def test_who_is_unblocked_gets_no_second_life_for_a_shadow_entry(person: Scripts) -> None:
    await person.load(version=1, blocked=(ASHA,))
    _, shadow, _ = await person.store_chat("m1")
    await person.load(version=2)
    assert await person.store_chat("m1") == ["stored", shadow, []]
    assert (await person.store_chat("m2"))[0] == "stored"


async def test_load_creates_then_keeps_then_takes_newer_blocks_only(redis: "Redis") -> None:
    person = Scripts(redis)
    assert await person.load(version=3, blocked=(ASHA,), seen=1234) == ["created", "epoch-1"]
    assert await person.load(version=3, blocked=(RAVI,)) == ["kept", "epoch-1"]
    assert await person.load(version=2, blocked=()) == ["kept", "epoch-1"]
    assert await redis.smembers(person.keys.blocks) == {ASHA.encode()}
    for verdict in ("newer", "kept"):
        assert await person.load(version=4, blocked=(RAVI,)) == [verdict, "epoch-1"]
    assert await redis.smembers(person.keys.blocks) == {RAVI.encode()}
    assert await person.load(version=5) == ["newer", "epoch-1"]
    assert await redis.smembers(person.keys.blocks) == set()
    assert await redis.get(person.keys.last_seen) == b"1234"


async def test_an_older_last_seen_never_replaces_the_one_there(redis: "Redis") -> None:
    person = Scripts(redis)
    await redis.set(person.keys.last_seen, "9999")
    await person.load(seen=1234)
    assert await redis.get(person.keys.last_seen) == b"9999"


async def test_another_account_finds_nothing_of_the_former_owners(person: Scripts) -> None:
    await person.claim()
    _, stream_id, _ = await person.store_chat("m1")
    await person.store_chat("m2")
    await person.settle(stream_id)
    await person.age_records()
    assert await person.rotate_dedupe() == "more"
    await person.store_chat("m4")
    await person.load(version=7, blocked=(RAVI,))
    await person.store_chat("m3", sender=RAVI)
    await person.redis.set(person.keys.last_seen, "1234")
    await person.redis.hset(person.keys.entry_states, "1-1", "5")
    assert {name.decode() for name in await person.redis.keys("*")} >= {
        person.keys.dedupe,
        person.keys.dedupe_before,
        person.keys.shadows,
    }
    assert await person.load("account-2", version=0) == ["created", "epoch-1"]
    assert await person.redis.keys("*") == [person.keys.user.encode()]
    assert await person.load("account-2", version=0) == ["kept", "epoch-1"]
    assert (await person.store_chat("m1"))[0] == "stored"


async def test_a_receipt_is_taken_each_time_and_is_no_chat(person: Scripts) -> None:
    await person.claim("phone", "s2", "c2")
    for _ in range(2):
        verdict, _, servers = await person.store_receipt("m1 m2", kind="read")
        assert (verdict, servers) == ("stored", ["s2"])
    first, second = await person.redis.xrange(person.keys.mailbox)
    assert first[1] == second[1] == {b"k": b"r", b"f": ASHA.encode(), b"a": b"read", b"i": b"m1 m2"}
    assert await person.tally() == {}
    assert not await person.redis.exists(person.keys.dedupe)


async def test_a_receipt_that_comes_first_opens_the_mailbox_for_every_device(person: Scripts) -> None:
    await person.claim("phone")
    await person.claim("tablet", "s2", "c2")
    await person.store_receipt("m1")
    assert await person.groups() == ["phone", "tablet"]


@pytest.mark.parametrize("verb", ["send", "receipt"])
async def test_the_script_notifies_every_server_but_the_callers_once(person: Scripts, verb: str) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    await person.claim("watch", "s2", "c3")
    await person.claim("lamp", "s3", "c4", lease_ms=-1)
    async with person.redis.pubsub() as wire:
        await wire.subscribe(*(keys.channel(server) for server in ("s1", "s2", "s3")))
        for _ in range(3):
            await wire.get_message(timeout=1)
        if verb == "send":
            words = [ASHA, *LIMITS, RECORDS_SECONDS, "s1", MOBILE, 100_000, *NO_QUESTION, "m1", "hello", "digest"]
            _, stream_id, servers, *_ = await person.call(STORE_CHATS, *words)
        else:
            _, stream_id, servers = await person.call(STORE_RECEIPT, ASHA, "read", "m1", "s1", MOBILE, "")
        assert sorted(servers) == ["s1", "s2", "s2"]
        told = await wire.get_message(ignore_subscribe_messages=True, timeout=1)
        assert (told["channel"].decode(), told["data"].decode()) == notify_command("s2", MOBILE, stream_id)[1:]
        assert await wire.get_message(ignore_subscribe_messages=True, timeout=0.1) is None


async def test_a_blocked_senders_chat_notifies_nobody(person: Scripts) -> None:
    await person.claim("phone", "s2", "c2")
    await person.load(version=1, blocked=(ASHA,))
    async with person.redis.pubsub() as wire:
        await wire.subscribe(keys.channel("s2"))
        await wire.get_message(timeout=1)
        assert (await person.store_chat("m1"))[0] == "stored"
        assert await wire.get_message(ignore_subscribe_messages=True, timeout=0.1) is None


async def test_memory_at_its_end_refuses_chats_and_takes_receipts_and_acks(person: Scripts) -> None:
    _, stream_id, _ = await person.store_chat("m1")
    await person.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(ApiError, match="storage_full"):
            await person.store_chat("m2")
        assert (await person.store_receipt("m1"))[0] == "stored"
        assert await person.settle(stream_id) == 1
        assert (await person.claim())[0] == "claimed"
    finally:
        await person.redis.config_set("maxmemory", "0")
    assert (await person.store_chat("m2"))[0] == "stored"


async def send_all(person: Scripts, *chats: str, limits: list[Arg]) -> Any:
    """The script's own answer for several chats of ASHA, as "messageId" or "messageId text"; texts of five bytes."""
    words = [ASHA, *limits, RECORDS_SECONDS, "", MOBILE, 100_000, *NO_QUESTION]
    for chat in chats:
        message_id, _, message = chat.partition(" ")
        words += (message_id, message or "hello", digest(message or "hello"))
    return (await person.call(STORE_CHATS, *words))[:-1]


async def test_chats_together_are_as_one_after_the_other(person: Scripts) -> None:
    await person.claim()
    _, first, _ = await person.store_chat("m1")
    verdict, newest, servers, answers = await send_all(person, "m2", "m1", "m3", "m2", limits=[100, 100_000, 50])
    assert (verdict, servers) == ("done", ["s1"])
    waits = await person.waits()
    assert answers == [waits[1], first, waits[2], waits[1]]
    assert newest == waits[2]
    assert await person.tally() == {"n": 3, "b": 15, f"n:{ASHA}": 3}


@pytest.mark.parametrize("limits", [[2, 100_000, 50], [100, 10, 50], [100, 100_000, 2]])
async def test_where_a_mailbox_gets_full_the_rest_is_refused(person: Scripts, limits: list[Arg]) -> None:
    _, _, _, answers = await send_all(person, "m1", "m2", "m3", "m1", limits=limits)
    waits = await person.waits()
    assert answers == [waits[0], waits[1], "full", waits[0]]
    assert (await person.tally())["n"] == 2


async def test_the_blocked_cannot_tell_chats_together_from_others(person: Scripts) -> None:
    await person.load(version=1, blocked=(ASHA,))
    await person.claim()
    verdict, newest, servers, answers = await send_all(person, "m1", "m2", "m1", limits=[100, 100_000, 2])
    assert (verdict, newest, servers) == ("done", "", [])
    assert answers[0] == answers[2] < answers[1]
    assert (await send_all(person, "m3", limits=[100, 100_000, 2]))[3] == ["full"]
    assert await person.tally() == {"pn": 2, "pb": 10, f"pn:{ASHA}": 2}


@pytest.mark.parametrize("blocked", [False, True])
async def test_another_text_is_refused_among_chats_together_as_well(person: Scripts, blocked: bool) -> None:
    if blocked:
        await person.load(version=1, blocked=(ASHA,))
    chats = ["m1 first", "m1 other", "m2", "m1 first", "m2 again"]
    _, _, _, answers = await send_all(person, *chats, limits=[100, 100_000, 50])
    assert [answer if answer == "reused" else "" for answer in answers] == ["", "reused", "", "", "reused"]
    assert answers[0] == answers[3] != answers[2]
    assert len(await person.waits()) == (0 if blocked else 2)


async def test_what_found_no_room_may_be_sent_again_with_another_text(person: Scripts) -> None:
    one: list[Arg] = [1, 100_000, 50]
    assert (await send_all(person, "m1", "m2 first", "m2 other", limits=one))[3][1:] == ["full", "full"]
    assert (await person.store_chat("m2", "other"))[0] == "stored"


async def test_the_next_owner_of_a_number_gets_no_receipts_of_the_former_ones_chats(person: Scripts) -> None:
    await person.redis.flushall()
    await person.redis.set(person.keys.left_by, "the former one")
    former = await now_ms(person)
    while await now_ms(person) == former:
        await asyncio.sleep(0)
    await person.load("account-2", owned_since=former - 20)
    own = await now_ms(person)
    before, after = f"{former}-0", f"{own}-0"
    assert await person.store_receipt("m1", stream_ids=before) == ["stored", "", []]
    assert await person.store_receipt("m1 m2", stream_ids=f"{before} {before}", kind="expired") == ["stored", "", []]
    assert not await person.redis.exists(person.keys.mailbox)
    await person.store_receipt("m1 m2 m3", stream_ids=f"{after} {before} {after}")
    await person.store_receipt("m4", stream_ids=after)
    told = [entry[b"i"] for _, entry in await person.redis.xrange(person.keys.mailbox)]
    assert told == [b"m1 m3", b"m4"]


async def test_who_redis_forgot_gets_the_receipts_of_all_their_chats(person: Scripts) -> None:
    await person.redis.flushall()
    await person.redis.set(person.keys.left_by, "the former one")
    now = await now_ms(person)
    await person.load("account-1", owned_since=now - 90_000)
    await person.store_receipt("m1 m2", stream_ids=f"{now - 90_001}-0 {now - 90_000}-0")
    assert [entry[b"i"] for _, entry in await person.redis.xrange(person.keys.mailbox)] == [b"m2"]


async def test_a_clock_of_postgresql_that_is_ahead_keeps_nobodys_receipts_back(person: Scripts) -> None:
    await person.redis.flushall()
    await person.redis.set(person.keys.left_by, "the former one")
    await person.load("account-1", owned_since=await now_ms(person) + 3_600_000)
    await person.store_receipt("m1", stream_ids=f"{await now_ms(person)}-0")
    assert await person.redis.exists(person.keys.mailbox)


async def test_of_a_number_that_nobody_had_before_no_clock_matters(person: Scripts) -> None:
    await person.redis.flushall()
    await person.load("account-1", owned_since=0)
    await person.store_receipt("m1", stream_ids="1-0")
    assert await person.redis.exists(person.keys.mailbox)
