"""Collecting, settling and reading, script by script: every verdict, and each twice in a row."""

import asyncio

from delivery.scripts import SETTLE
from tests.delivery.post import ASHA, RAVI, Post


def ids(reply: list[list[list[str]]]) -> list[str]:
    """The streamIds of what was collected."""
    return [entry[0] for entry in reply[3]]


async def filled(post: Post, count: int, sender: str = ASHA) -> list[str]:
    """The streamIds of so many chats m0, m1, …"""
    return [(await post.send(f"m{n}", sender=sender))[1] for n in range(count)]


async def test_only_the_holder_of_a_live_lease_collects(post: Post) -> None:
    await filled(post, 1)
    assert await post.collect() == ["gone", "0-0", 0, []]
    await post.claim(lease_ms=-1)
    for _ in range(2):
        assert await post.collect() == ["gone", "0-0", 0, []]
    await post.claim(server="s2", connection="c2")
    for mode in ("new", "pending", "again"):
        assert await post.collect(mode) == ["replaced", "0-0", 0, []]
    assert (await post.redis.xpending(post.keys.mailbox, "primary"))["pending"] == 0


async def test_new_ones_come_once_in_order_and_as_many_as_asked(post: Post) -> None:
    await post.claim()
    assert await post.collect() == ["ok", "0-0", 0, []]
    sent = await filled(post, 5)
    first = await post.collect(count=3)
    assert first[:3] == ["ok", "0-0", 3]
    assert first[3][0][1] == ["k", "c", "f", ASHA, "i", "m0", "m", "hello"]
    assert ids(first) + ids(await post.collect(count=3)) == sent
    for _ in range(2):
        assert await post.collect() == ["ok", "0-0", 0, []]


async def test_a_newer_connection_claims_what_the_older_left_unsettled(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 5)
    await post.collect()
    await post.settle(sent[1])
    await post.claim(server="s2", connection="c2")
    first = await post.collect("pending", server="s2", connection="c2", count=2)
    second = await post.collect("pending", server="s2", connection="c2", count=5, cursor=first[1])
    assert ids(first) + ids(second) == [sent[0], *sent[2:]]
    assert second[1] == "0-0"
    again = await post.collect("pending", server="s2", connection="c2")
    assert ids(again) == [sent[0], *sent[2:]]
    assert ids(await post.collect("new", server="s2", connection="c2")) == []
    consumers = await post.redis.xpending(post.keys.mailbox, "primary")
    assert [each["name"] for each in consumers["consumers"]] == [b"s2"]


async def test_again_gives_those_that_still_wait(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 3)
    await post.collect()
    await post.settle(sent[0])
    for _ in range(2):
        assert ids(await post.collect("again", ids=tuple(sent))) == sent[1:]


async def test_chats_of_who_is_blocked_by_now_become_phantoms(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 2, ASHA)
    _, kept, _ = await post.send("m0", sender=RAVI)
    await post.receipt("x1", sender=ASHA)
    await post.load(version=1, blocked=(ASHA,))
    found = await post.collect()
    assert found[2] == 4
    assert [entry[1][3] for entry in found[3]] == [RAVI, ASHA]
    assert [entry[1][1] for entry in found[3]] == ["c", "r"]
    assert len(await post.waits()) == 2
    assert await post.tally() == {"n": 1, "b": 5, f"n:{RAVI}": 1, "pn": 2, "pb": 10, f"pn:{ASHA}": 2}
    assert await post.states(post.keys.dedupe) == ["p", "p", "s"]
    assert [phantom[b"t"].decode() for _, phantom in await post.redis.xrange(post.keys.shadows)] == sent
    assert await post.send("m0", sender=ASHA) == ["stored", sent[0], []]
    assert kept in await post.waits()
    assert await post.collect() == ["ok", "0-0", 0, []]


async def test_a_dropped_chat_takes_its_senders_room_as_if_it_waited(post: Post) -> None:
    three: list[str | bytes | int] = [3, 100_000, 3]
    await post.claim()
    await filled(post, 2)
    await post.load(version=1, blocked=(ASHA,))
    await post.collect()
    assert [(await post.send(f"b{n}", limits=three))[0] for n in range(2)] == ["stored", "full"]
    assert [(await post.send(f"r{n}", "hello", RAVI, three))[0] for n in range(4)] == ["stored"] * 3 + ["full"]


async def test_an_unblock_brings_no_dropped_chat_back(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 1)
    await post.load(version=1, blocked=(ASHA,))
    await post.collect()
    await post.load(version=2)
    assert await post.send("m0") == ["stored", sent[0], []]
    assert await post.collect() == ["ok", "0-0", 0, []]
    assert await post.unread("m0") == []
    assert await post.mark_read("m0") == []


async def test_what_another_device_has_leaves_without_a_phantom(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    sent = await filled(post, 2)
    await post.collect(device="phone")
    await post.settle(sent[0], device="phone")
    await post.load(version=1, blocked=(ASHA,))
    assert ids(await post.collect("new", device="tablet", server="s2", connection="c2")) == []
    assert await post.waits() == []
    assert (await post.redis.xpending(post.keys.mailbox, "phone"))["pending"] == 0
    assert await post.states(post.keys.dedupe) == ["d", "p"]
    assert await post.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}


async def test_an_id_named_twice_is_one_phantom(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 1)
    await post.collect()
    await post.load(version=1, blocked=(ASHA,))
    assert ids(await post.collect("again", ids=(sent[0], sent[0]))) == []
    assert await post.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}
    assert await post.redis.xlen(post.keys.shadows) == 1


async def test_the_block_counts_also_for_what_is_pending_or_sent_again(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 2)
    await post.collect()
    await post.load(version=1, blocked=(ASHA,))
    assert ids(await post.collect("again", ids=(sent[0],))) == []
    assert ids(await post.collect("pending")) == []
    assert await post.waits() == []
    assert (await post.redis.xpending(post.keys.mailbox, "primary"))["pending"] == 0


async def test_a_group_that_is_missing_is_made_on_the_way(post: Post) -> None:
    sent = await filled(post, 2)
    await post.claim("phone")
    await post.redis.xgroup_destroy(post.keys.mailbox, "phone")
    assert ids(await post.collect(device="phone")) == sent


async def test_an_entry_leaves_with_all_that_counts_it(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 2)
    await post.collect()
    await post.redis.hset(post.keys.dead_letters, sent[0], "1")
    assert await post.settle(sent[0]) == 1
    before = await post.snapshot()
    assert await post.settle(sent[0], "1-1") == 0
    assert await post.snapshot() == before
    assert await post.waits() == [sent[1]]
    assert await post.tally() == {"n": 1, "b": 5, f"n:{ASHA}": 1}
    assert not await post.redis.exists(post.keys.dead_letters)
    assert (await post.redis.xpending(post.keys.mailbox, "primary"))["pending"] == 1
    assert await post.states(post.keys.dedupe) == ["s", "s"], "they stay, and are known"
    assert await post.settle(sent[1]) == 1
    assert await post.tally() == {}


async def test_with_two_devices_it_leaves_when_both_have_it(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    sent = await filled(post, 1)
    await post.collect(device="phone")
    for _ in range(2):
        assert await post.settle(*sent, device="phone") == 0
    assert await post.waits() == sent
    assert await post.states(post.keys.dedupe) == ["d"]
    assert ids(await post.collect("pending", device="phone")) == []
    assert ids(await post.collect("new", device="tablet", server="s2", connection="c2")) == sent
    assert await post.settle(*sent, device="phone") == 0
    assert await post.settle(*sent, device="tablet") == 1
    assert await post.settle(*sent, device="tablet") == 0
    assert await post.tally() == {}


async def test_a_forgotten_devices_late_settling_takes_nothing_from_the_one_that_is_left(post: Post) -> None:
    await post.claim("primary", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    sent = await filled(post, 1)
    await post.collect(device="primary")
    await post.release()
    assert (await post.forget("primary"))[0] == "forgotten"
    assert await post.settle(*sent, device="primary") == 0
    assert ids(await post.collect(device="tablet", server="s2", connection="c2")) == sent


async def test_a_receipt_settles_without_any_count(post: Post) -> None:
    _, stream_id, _ = await post.receipt("x1")
    assert await post.settle(stream_id) == 1
    assert await post.settle(stream_id) == 0
    assert await post.redis.hgetall(post.keys.tally) == {}
    assert not await post.redis.exists(post.keys.dedupe)


async def test_unread_are_the_known_ones_not_read_yet(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 3)
    await post.settle(sent[0])
    assert await post.unread("m0", "m1", "nothing", "m2") == ["m0", "m1", "m2"]
    assert await post.unread("m0", sender=RAVI) == []
    await post.mark_read("m0", "m1")
    for _ in range(2):
        assert await post.unread("m0", "m1", "m2") == ["m2"]
    await post.load(version=1, blocked=(ASHA,))
    assert await post.unread("m2") == []


async def test_a_phantom_is_never_read(post: Post) -> None:
    await post.load(version=1, blocked=(ASHA,))
    await post.send("m1")
    await post.load(version=2)
    assert await post.unread("m1") == []
    before = await post.snapshot()
    for _ in range(2):
        assert await post.mark_read("m1") == []
    assert await post.snapshot() == before


async def test_reading_what_waits_settles_it(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 2)
    await post.collect()
    assert await post.mark_read("m0", "nothing") == [sent[0]]
    assert await post.waits() == [sent[1]]
    assert await post.states(post.keys.dedupe) == ["r", "s"]
    before = await post.snapshot()
    assert await post.mark_read("m0") == [sent[0]]
    assert await post.snapshot() == before


async def test_a_state_only_rises(post: Post) -> None:
    sent = await filled(post, 1)
    await post.mark_read("m0")
    await post.settle(*sent)
    await post.expire(*sent)
    assert await post.states(post.keys.dedupe) == ["r"]
    assert await post.send("m0") == ["stored", sent[0], []]


async def test_with_two_devices_reading_on_one_leaves_it_for_the_other(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    sent = await filled(post, 1)
    await post.collect(device="phone")
    for _ in range(2):
        assert await post.mark_read("m0", device="phone") == sent
    assert await post.waits() == sent
    assert await post.states(post.keys.dedupe) == ["r"]
    await post.collect(device="tablet", server="s2", connection="c2")
    assert await post.settle(*sent, device="tablet") == 1
    assert await post.states(post.keys.dedupe) == ["r"]


async def test_what_a_blocked_sender_sent_is_not_marked_read(post: Post) -> None:
    await post.claim()
    await post.send("m0")
    await post.collect()
    await post.load(version=1, blocked=(ASHA,))
    before = await post.snapshot()
    assert await post.mark_read("m0") == []
    assert await post.snapshot() == before
    await post.load(version=2)
    assert await post.unread("m0") == ["m0"]


async def test_what_is_read_after_a_turn_is_marked_where_it_is(post: Post) -> None:
    sent = await filled(post, 1)
    await post.settle(*sent)
    await post.age_records()
    assert [await post.turn() for _ in range(2)] == ["more", "rotated"]
    assert await post.mark_read("m0") == sent
    assert await post.states(post.keys.dedupe_before) == ["r"]
    assert not await post.redis.exists(post.keys.dedupe)


async def test_a_read_settles_what_it_brings_along(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 4)
    await post.collect(count=3)
    assert ids(await post.collect(settle=(sent[0], sent[2]))) == [sent[3]]
    assert await post.waits() == [sent[1], sent[3]]
    assert await post.tally() == {"n": 2, "b": 10, f"n:{ASHA}": 2}
    assert ids(await post.collect("again", ids=(sent[1],), settle=(sent[3],))) == [sent[1]]
    assert await post.waits() == [sent[1]]
    assert ids(await post.collect("again", ids=(sent[1],), settle=(sent[1],))) == []
    assert await post.tally() == {}


async def test_who_does_not_hold_the_lease_settles_nothing_by_reading(post: Post) -> None:
    await post.claim()
    sent = await filled(post, 1)
    await post.collect()
    await post.claim(server="s2", connection="c2")
    before = await post.snapshot()
    assert await post.collect(settle=tuple(sent)) == ["replaced", "0-0", 0, []]
    assert await post.snapshot() == before


async def test_what_a_caller_remembers_wrongly_counts_only_while_all_is_there(post: Post) -> None:
    """A settling whose answer was lost is sent again together with more: only what is still there is counted down."""
    await post.claim()
    sent = await filled(post, 3)
    await post.collect()
    sums = await post.sums(sent)
    await post.settle(sent[0])
    assert await post.call(SETTLE, "primary", 3, *sent, *sums) == 2
    assert await post.tally() == {}
    assert await post.call(SETTLE, "primary", 3, *sent, *sums) == 0
    assert await post.tally() == {}


async def test_a_hundred_settles_at_once_count_each_entry_once(post: Post) -> None:
    sent = await filled(post, 20)
    left = await asyncio.gather(*(post.settle(sent[n % 20], sent[(n * 7) % 20]) for n in range(100)))
    assert sum(left) == 20
    assert await post.tally() == {}
    assert await post.waits() == []
