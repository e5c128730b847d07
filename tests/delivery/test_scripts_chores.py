"""The scripts of the background chores: every verdict, and each twice in a row."""

import asyncio

import pytest

from tests.delivery.post import ASHA, RAVI, Post


async def stored(post: Post, *message_ids: str, sender: str = ASHA) -> list[str]:
    return [(await post.send(message_id, sender=sender))[1] for message_id in message_ids]


def parts(stream_id: str) -> tuple[int, int]:
    ms, _, seq = stream_id.partition("-")
    return int(ms), int(seq)


async def test_what_expires_becomes_a_phantom_and_is_still_recognised(post: Post) -> None:
    sent = await stored(post, "m1", "m2")
    for _ in range(2):
        assert await post.expire(sent[0], "1-1") == 0
        assert await post.waits() == [sent[1]]
        assert await post.tally() == {
            **{"n": 1, "b": 5, f"n:{ASHA}": 1},
            **{"pn": 1, "pb": 5, f"pn:{ASHA}": 1},
        }
    ((_, phantom),) = await post.redis.xrange(post.keys.shadows)
    assert phantom == {b"f": ASHA.encode(), b"i": b"m1", b"b": b"5", b"t": sent[0].encode()}
    assert await post.states(post.keys.dedupe) == ["p", "s"]
    assert await post.send("m1") == ["stored", sent[0], []]


async def test_what_expires_and_is_no_news_leaves_for_good(post: Post) -> None:
    for device, server in (("phone", "s1"), ("tablet", "s2")):
        await post.claim(device, server)
    sent = await stored(post, "m1", "m2", "m3")
    await post.collect(device="phone")
    await post.settle(sent[0], device="phone")
    await post.mark_read("m2", device="phone")
    await post.acked("m3")
    await post.receipt("x")
    await post.sweep("s1")
    assert await post.expire(*await post.waits()) == 3
    assert await post.waits() == []
    assert [each[b"i"] for _, each in await post.redis.xrange(post.keys.shadows)] == [b"m3"]
    assert await post.states(post.keys.dedupe) == ["a", "d", "r"]


async def test_what_is_in_flight_on_a_live_connection_does_not_expire(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2", lease_ms=-1)
    sent = await stored(post, "m1", "m2")
    await post.collect(device="phone", count=1)
    for _ in range(2):
        assert await post.expire(*sent) == 0
        assert await post.waits() == sent[:1]
    await post.sweep("s1")
    await post.expire(*sent)
    assert await post.waits() == []


async def test_what_was_in_flight_for_a_day_too_long_expires_all_the_same(post: Post) -> None:
    await post.claim("phone")
    sent = await stored(post, "m1", "m2")
    await post.collect(device="phone")
    assert await post.expire(*sent, latest=sent[1]) == 0
    assert await post.waits() == sent[1:]
    assert [each[b"i"] for _, each in await post.redis.xrange(post.keys.shadows)] == [b"m1"]


async def test_an_ack_is_noted_before_its_sender_is_told(post: Post) -> None:
    await stored(post, "m1", "m2", "m3", "m4")
    await post.claim()
    await post.mark_read("m3")
    assert await post.untold("m1", "m2", "m3", "m4") == [["m1", "m2", "m4"], []]
    for _ in range(2):
        assert await post.acked("m1", "m2", "m3", "never sent") == ["m3"], "its sender knows that it is read"
    assert await post.untold("m1", "m2", "m3", "m4") == [["m4"], ["m1", "m2"]]
    assert await post.states(post.keys.dedupe) == ["a", "a", "r", "s"]


async def test_expiry_takes_also_what_a_device_has_pending(post: Post) -> None:
    await post.claim("phone")
    await post.claim("tablet", "s2", "c2")
    sent = await stored(post, "m1")
    await post.collect(device="phone")
    await post.sweep("s1")
    await post.expire(*sent)
    assert (await post.redis.xpending(post.keys.mailbox, "phone"))["pending"] == 0
    assert await post.waits() == []


async def test_phantoms_expire_as_chats_do(post: Post) -> None:
    await post.load(version=1, blocked=(ASHA,))
    first, second = await stored(post, "m1", "m2")
    assert await post.expire_phantoms(first, "1-1") == 1
    assert await post.expire_phantoms(first) == 0
    assert await post.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}
    assert await post.states(post.keys.dedupe) == ["p", "p"]
    assert await post.send("m1") == ["stored", first, []]
    assert await post.expire_phantoms(second) == 1
    assert await post.tally() == {}
    assert not await post.redis.exists(post.keys.shadows)


async def test_a_dropped_chat_expires_under_its_own_id(post: Post) -> None:
    await post.claim()
    (sent,) = await stored(post, "m1")
    await post.load(version=1, blocked=(ASHA,))
    await post.collect()
    ((phantom, _),) = await post.redis.xrange(post.keys.shadows)
    assert await post.expire_phantoms(phantom.decode()) == 1
    assert await post.expire_phantoms(phantom.decode()) == 0
    assert await post.tally() == {}
    assert await post.states(post.keys.dedupe) == ["p"]
    assert await post.send("m1") == ["stored", sent, []]


async def test_leases_of_a_dead_server_end(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    for _ in range(2):
        assert await post.sweep("s9") == []
    (ended,) = await post.sweep("s1")
    assert ended[:3] == ["phone", "s1", "c1"]
    assert await post.redis.get(post.keys.last_seen) == ended[3].encode()
    assert await post.sweep("s1") == []
    assert await post.presence() == ["online", ""]


async def test_leases_that_are_over_end(post: Post) -> None:
    await post.claim(lease_ms=30)
    assert await post.sweep() == []
    await asyncio.sleep(0.05)
    assert [each[:3] for each in await post.sweep()] == [["primary", "s1", "c1"]]
    assert await post.sweep() == []
    assert (await post.presence())[0] == "seen"


async def test_a_clock_that_jumped_back_keeps_no_ghost_online(post: Post) -> None:
    seconds, _ = await post.redis.time()
    hour = (int(seconds) + 3600) * 1000
    await post.redis.hset(post.keys.leases, "primary", f"s1 c1 {hour} {hour + 60_000}")
    for _ in range(2):
        assert await post.sweep(lease_ms=500) == []
    till = int((await post.redis.hget(post.keys.leases, "primary")).split()[3])
    assert till <= (int(seconds) + 30) * 1000
    await asyncio.sleep(0.55)
    (ended,) = await post.sweep(lease_ms=500)
    assert int(ended[3]) < hour
    assert (await post.presence())[0] == "seen"


async def test_an_evidence_from_the_future_is_no_last_seen_in_the_future(post: Post) -> None:
    seconds, _ = await post.redis.time()
    hour = (int(seconds) + 3600) * 1000
    await post.redis.hset(post.keys.leases, "primary", f"s1 c1 {hour} {hour + 60_000}")
    (ended,) = await post.sweep("s1")
    assert int(ended[3]) < (int(seconds) + 60) * 1000


async def test_stuck_is_what_nobody_carries_for_who_is_connected(post: Post) -> None:
    assert await post.stuck() == []
    (sent,) = await stored(post, "m1")
    assert await post.stuck() == []  # nobody is connected
    await post.claim(server="s2", connection="c2")
    for _ in range(2):
        assert await post.stuck() == ["s2"]  # not read yet
    await post.collect(server="s2", connection="c2")
    assert await post.stuck() == []  # on its way
    await asyncio.sleep(0.03)
    assert await post.stuck(too_long_ms=10) == ["s2"]  # unsettled for too long
    await post.claim(server="s3", connection="c3")
    assert await post.stuck() == ["s3"]  # another server holds it
    await post.settle(sent)
    assert await post.stuck(too_long_ms=0) == []


async def test_of_who_is_gone_nothing_is_stuck(post: Post) -> None:
    await post.claim(lease_ms=-1)
    await stored(post, "m1")
    assert await post.stuck() == []


async def test_a_device_is_forgotten_only_if_long_gone(post: Post) -> None:
    assert await post.forget("phone") == ["unknown", 0]
    await post.claim("phone")
    assert await post.forget("phone", since_ms=0) == ["recent", 0]
    for _ in range(2):
        assert await post.forget("phone") == ["connected", 0]
    await post.sweep("s1")
    assert await post.forget("phone") == ["forgotten", 0]
    assert await post.forget("phone") == ["unknown", 0]


async def test_what_only_a_forgotten_device_had_to_settle_leaves_with_it(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    sent = await stored(post, "m1", "m2", "m3")
    await post.collect(device="phone", count=2)
    await post.settle(sent[0], device="phone")
    await post.sweep("s2")
    assert await post.forget("tablet") == ["forgotten", 1]
    assert await post.groups() == ["phone"]
    assert await post.waits() == sent[1:]
    assert await post.states(post.keys.dedupe) == ["d", "s", "s"]
    assert (await post.tally())["n"] == 2


async def test_the_last_device_leaves_all_that_waits_to_the_next(post: Post) -> None:
    await post.claim("phone")
    sent = await stored(post, "m1", "m2")
    await post.collect(device="phone")
    await post.sweep("s1")
    assert await post.forget("phone") == ["forgotten", 0]
    assert await post.groups() == ["primary"]
    assert await post.forget("phone") == ["unknown", 0]
    await post.claim("tablet", "s2", "c2")
    assert await post.groups() == ["tablet"]
    found = await post.collect(device="tablet", server="s2", connection="c2")
    assert [entry[0] for entry in found[3]] == sent


async def test_primary_forgotten_as_the_last_becomes_the_placeholder(post: Post) -> None:
    await post.claim("primary")
    sent = await stored(post, "m1")
    await post.sweep("s1")
    assert await post.forget("primary") == ["forgotten", 0]
    assert await post.groups() == ["primary"]
    assert await post.waits() == sent
    await post.claim("tablet", "s2", "c2")
    assert await post.groups() == ["tablet"]


@pytest.mark.parametrize("late", ["renew", "release"])
async def test_a_late_word_of_a_forgotten_devices_connection_does_not_bring_it_back(post: Post, late: str) -> None:
    await post.claim("tablet", "s2", "c2")
    await post.claim("primary", "s1", "c1", lease_ms=20)
    await stored(post, "m1")
    await asyncio.sleep(0.04)
    assert await post.presence() == ["online", ""]
    assert (await post.forget("primary"))[0] == "forgotten"
    assert (await (post.renew() if late == "renew" else post.release()))[0] == "gone"
    assert (await post.collect())[0] == "gone"
    assert await post.groups() == ["tablet"]
    assert not await post.redis.hexists(post.keys.user, "dev:primary")


async def test_a_forgotten_device_was_last_seen_at_its_last_sign_of_life(post: Post) -> None:
    await post.claim(lease_ms=20)
    await asyncio.sleep(0.04)
    before = await post.presence()
    assert before[0] == "seen"
    assert await post.forget("primary") == ["forgotten", 0]
    assert await post.presence() == before


async def test_a_device_without_a_mailbox_is_forgotten(post: Post) -> None:
    await post.claim("phone")
    await post.sweep("s1")
    assert await post.forget("phone") == ["forgotten", 0]
    assert not await post.redis.exists(post.keys.mailbox)


async def test_a_mailbox_is_tidied_only_when_nothing_needs_it(post: Post) -> None:
    assert await post.tidy() == ["none"]
    await post.claim()
    (sent,) = await stored(post, "m1")
    assert await post.tidy() == ["busy"]
    await post.settle(sent)
    for _ in range(2):
        assert await post.tidy() == ["busy"]  # connected
    await post.release()
    assert await post.tidy() == ["deleted"]
    assert await post.tidy() == ["none"]


async def test_ids_never_go_back_and_devices_groups_come_back(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    # A clock that is an hour ahead gave this id; it will be right again when the next entry comes.
    seconds, _ = await post.redis.time()
    ahead = f"{(int(seconds) + 3600) * 1000}-5"
    await stored(post, "m0")
    await post.redis.xadd(post.keys.mailbox, {"k": "r", "f": RAVI, "a": "read", "i": "x"}, id=ahead)
    for device in ("phone", "tablet"):
        await post.settle(*await post.waits(), device=device)
    for entry in await post.waits():
        await post.expire(entry)
    await post.sweep("s1")
    await post.sweep("s2")
    assert await post.tidy() == ["deleted"]
    assert not await post.redis.exists(post.keys.mailbox)
    _, after, _ = await post.send("m1")
    assert parts(after) > parts(ahead)
    assert await post.groups() == ["phone", "tablet"]
    await post.claim("tablet", "s2", "c2")
    assert [each[0] for each in (await post.collect(device="tablet", server="s2", connection="c2"))[3]] == [after]


async def test_a_tidied_mailbox_does_not_come_back_to_who_is_nobody(post: Post) -> None:
    (sent,) = await stored(post, "m1")
    await post.settle(sent)
    await post.redis.delete(post.keys.user)
    assert await post.tidy() == ["deleted"]
    assert not await post.redis.exists(post.keys.user)


async def test_a_mailbox_in_which_something_is_still_pending_stays(post: Post) -> None:
    await post.claim()
    (sent,) = await stored(post, "m1")
    await post.collect()
    await post.release()
    await post.redis.xdel(post.keys.mailbox, sent)
    for _ in range(2):
        assert await post.tidy() == ["busy"]
