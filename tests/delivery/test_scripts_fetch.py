"""Collecting, settling and reading, script by script: every verdict, and each twice in a row."""

import asyncio

from delivery.scripts import SETTLE
from tests.delivery.person_scripts import ASHA, RAVI, Scripts


def ids(reply: list[list[list[str]]]) -> list[str]:
    """The streamIds of what was collected."""
    return [entry[0] for entry in reply[3]]


async def filled(person: Scripts, count: int, sender: str = ASHA) -> list[str]:
    """The streamIds of so many chats m0, m1, …"""
    return [(await person.store_chat(f"m{n}", sender=sender))[1] for n in range(count)]


async def test_only_the_holder_of_a_live_lease_collects(person: Scripts) -> None:
    await filled(person, 1)
    assert await person.fetch() == ["gone", "0-0", 0, []]
    await person.claim(lease_ms=-1)
    for _ in range(2):
        assert await person.fetch() == ["gone", "0-0", 0, []]
    await person.claim(server="s2", connection="c2")
    for mode in ("new", "pending", "again"):
        assert await person.fetch(mode) == ["replaced", "0-0", 0, []]
    assert (await person.redis.xpending(person.keys.mailbox, "primary"))["pending"] == 0


async def test_new_ones_come_once_in_order_and_as_many_as_asked(person: Scripts) -> None:
    await person.claim()
    assert await person.fetch() == ["ok", "0-0", 0, []]
    sent = await filled(person, 5)
    first = await person.fetch(count=3)
    assert first[:3] == ["ok", "0-0", 3]
    assert first[3][0][1] == ["k", "c", "f", ASHA, "i", "m0", "m", "hello"]
    assert ids(first) + ids(await person.fetch(count=3)) == sent
    for _ in range(2):
        assert await person.fetch() == ["ok", "0-0", 0, []]


async def test_a_newer_connection_claims_what_the_older_left_unsettled(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 5)
    await person.fetch()
    await person.settle(sent[1])
    await person.claim(server="s2", connection="c2")
    first = await person.fetch("pending", server="s2", connection="c2", count=2)
    second = await person.fetch("pending", server="s2", connection="c2", count=5, cursor=first[1])
    assert ids(first) + ids(second) == [sent[0], *sent[2:]]
    assert second[1] == "0-0"
    again = await person.fetch("pending", server="s2", connection="c2")
    assert ids(again) == [sent[0], *sent[2:]]
    assert ids(await person.fetch("new", server="s2", connection="c2")) == []
    consumers = await person.redis.xpending(person.keys.mailbox, "primary")
    assert [each["name"] for each in consumers["consumers"]] == [b"s2"]


async def test_again_gives_those_that_still_wait(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 3)
    await person.fetch()
    await person.settle(sent[0])
    for _ in range(2):
        assert ids(await person.fetch("again", ids=tuple(sent))) == sent[1:]


async def test_chats_of_who_is_blocked_by_now_become_shadow_entries(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 2, ASHA)
    _, kept, _ = await person.store_chat("m0", sender=RAVI)
    await person.store_receipt("x1", sender=ASHA)
    await person.load(version=1, blocked=(ASHA,))
    found = await person.fetch()
    assert found[2] == 4
    assert [entry[1][3] for entry in found[3]] == [RAVI, ASHA]
    assert [entry[1][1] for entry in found[3]] == ["c", "r"]
    assert len(await person.waits()) == 2
    assert await person.tally() == {"n": 1, "b": 5, f"n:{RAVI}": 1, "pn": 2, "pb": 10, f"pn:{ASHA}": 2}
    assert await person.states(person.keys.dedupe) == ["p", "p", "s"]
    assert [shadow[b"t"].decode() for _, shadow in await person.redis.xrange(person.keys.shadows)] == sent
    assert await person.store_chat("m0", sender=ASHA) == ["stored", sent[0], []]
    assert kept in await person.waits()
    assert await person.fetch() == ["ok", "0-0", 0, []]


async def test_a_dropped_chat_takes_its_senders_room_as_if_it_waited(person: Scripts) -> None:
    three: list[str | bytes | int] = [3, 100_000, 3]
    await person.claim()
    await filled(person, 2)
    await person.load(version=1, blocked=(ASHA,))
    await person.fetch()
    assert [(await person.store_chat(f"b{n}", limits=three))[0] for n in range(2)] == ["stored", "full"]
    assert [(await person.store_chat(f"r{n}", "hello", RAVI, three))[0] for n in range(4)] == ["stored"] * 3 + ["full"]


async def test_an_unblock_brings_no_dropped_chat_back(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 1)
    await person.load(version=1, blocked=(ASHA,))
    await person.fetch()
    await person.load(version=2)
    assert await person.store_chat("m0") == ["stored", sent[0], []]
    assert await person.fetch() == ["ok", "0-0", 0, []]
    assert await person.find_unread("m0") == []
    assert await person.mark_read("m0") == []


async def test_what_another_device_has_leaves_without_a_shadow_entry(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    sent = await filled(person, 2)
    await person.fetch(device="phone")
    await person.settle(sent[0], device="phone")
    await person.load(version=1, blocked=(ASHA,))
    assert ids(await person.fetch("new", device="tablet", server="s2", connection="c2")) == []
    assert await person.waits() == []
    assert (await person.redis.xpending(person.keys.mailbox, "phone"))["pending"] == 0
    assert await person.states(person.keys.dedupe) == ["d", "p"]
    assert await person.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}


async def test_an_id_named_twice_is_one_shadow_entry(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 1)
    await person.fetch()
    await person.load(version=1, blocked=(ASHA,))
    assert ids(await person.fetch("again", ids=(sent[0], sent[0]))) == []
    assert await person.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}
    assert await person.redis.xlen(person.keys.shadows) == 1


async def test_the_block_counts_also_for_what_is_pending_or_sent_again(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 2)
    await person.fetch()
    await person.load(version=1, blocked=(ASHA,))
    assert ids(await person.fetch("again", ids=(sent[0],))) == []
    assert ids(await person.fetch("pending")) == []
    assert await person.waits() == []
    assert (await person.redis.xpending(person.keys.mailbox, "primary"))["pending"] == 0


async def test_a_group_that_is_missing_is_made_on_the_way(person: Scripts) -> None:
    sent = await filled(person, 2)
    await person.claim("phone")
    await person.redis.xgroup_destroy(person.keys.mailbox, "phone")
    assert ids(await person.fetch(device="phone")) == sent


async def test_an_entry_leaves_with_all_that_counts_it(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 2)
    await person.fetch()
    await person.redis.hset(person.keys.entry_states, sent[0], "1")
    assert await person.settle(sent[0]) == 1
    before = await person.snapshot()
    assert await person.settle(sent[0], "1-1") == 0
    assert await person.snapshot() == before
    assert await person.waits() == [sent[1]]
    assert await person.tally() == {"n": 1, "b": 5, f"n:{ASHA}": 1}
    assert not await person.redis.exists(person.keys.entry_states)
    assert (await person.redis.xpending(person.keys.mailbox, "primary"))["pending"] == 1
    assert await person.states(person.keys.dedupe) == ["s", "s"], "they stay, and are known"
    assert await person.settle(sent[1]) == 1
    assert await person.tally() == {}


async def test_with_two_devices_it_leaves_when_both_have_it(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    sent = await filled(person, 1)
    await person.fetch(device="phone")
    for _ in range(2):
        assert await person.settle(*sent, device="phone") == 0
    assert await person.waits() == sent
    assert await person.states(person.keys.dedupe) == ["d"]
    assert ids(await person.fetch("pending", device="phone")) == []
    assert ids(await person.fetch("new", device="tablet", server="s2", connection="c2")) == sent
    assert await person.settle(*sent, device="phone") == 0
    assert await person.settle(*sent, device="tablet") == 1
    assert await person.settle(*sent, device="tablet") == 0
    assert await person.tally() == {}


async def test_a_forgotten_devices_late_settling_takes_nothing_from_the_one_that_is_left(person: Scripts) -> None:
    await person.claim("primary", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    sent = await filled(person, 1)
    await person.fetch(device="primary")
    await person.release()
    assert (await person.forget_device("primary"))[0] == "forgotten"
    assert await person.settle(*sent, device="primary") == 0
    assert ids(await person.fetch(device="tablet", server="s2", connection="c2")) == sent


async def test_a_receipt_settles_without_any_count(person: Scripts) -> None:
    _, stream_id, _ = await person.store_receipt("x1")
    assert await person.settle(stream_id) == 1
    assert await person.settle(stream_id) == 0
    assert await person.redis.hgetall(person.keys.tally) == {}
    assert not await person.redis.exists(person.keys.dedupe)


async def test_unread_are_the_known_ones_not_read_yet(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 3)
    await person.settle(sent[0])
    assert await person.find_unread("m0", "m1", "nothing", "m2") == ["m0", "m1", "m2"]
    assert await person.find_unread("m0", sender=RAVI) == []
    await person.mark_read("m0", "m1")
    for _ in range(2):
        assert await person.find_unread("m0", "m1", "m2") == ["m2"]
    await person.load(version=1, blocked=(ASHA,))
    assert await person.find_unread("m2") == []


async def test_a_shadow_entry_is_never_read(person: Scripts) -> None:
    await person.load(version=1, blocked=(ASHA,))
    await person.store_chat("m1")
    await person.load(version=2)
    assert await person.find_unread("m1") == []
    before = await person.snapshot()
    for _ in range(2):
        assert await person.mark_read("m1") == []
    assert await person.snapshot() == before


async def test_reading_what_waits_settles_it(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 2)
    await person.fetch()
    assert await person.mark_read("m0", "nothing") == [sent[0]]
    assert await person.waits() == [sent[1]]
    assert await person.states(person.keys.dedupe) == ["r", "s"]
    before = await person.snapshot()
    assert await person.mark_read("m0") == [sent[0]]
    assert await person.snapshot() == before


async def test_a_state_only_rises(person: Scripts) -> None:
    sent = await filled(person, 1)
    await person.mark_read("m0")
    await person.settle(*sent)
    await person.expire(*sent)
    assert await person.states(person.keys.dedupe) == ["r"]
    assert await person.store_chat("m0") == ["stored", sent[0], []]


async def test_with_two_devices_reading_on_one_leaves_it_for_the_other(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    sent = await filled(person, 1)
    await person.fetch(device="phone")
    assert await person.mark_read("m0", device="phone") == sent
    told, servers = person.told
    assert servers == ["s2"]
    assert await person.mark_read("m0", device="phone") == sent
    assert person.told == ["", []], "the other device is told once"
    assert await person.waits() == [*sent, told]
    assert await person.states(person.keys.dedupe) == ["r"]
    await person.fetch(device="phone")
    entries = (await person.fetch(device="tablet", server="s2", connection="c2"))[3]
    assert entries[1] == [told, ["k", "w", "f", ASHA, "i", "m0", "d", "phone"]]
    assert await person.settle(*sent, device="tablet") == 1
    assert await person.states(person.keys.dedupe) == ["r"]


async def test_what_a_blocked_sender_sent_is_not_marked_read(person: Scripts) -> None:
    await person.claim()
    await person.store_chat("m0")
    await person.fetch()
    await person.load(version=1, blocked=(ASHA,))
    before = await person.snapshot()
    assert await person.mark_read("m0") == []
    assert await person.snapshot() == before
    await person.load(version=2)
    assert await person.find_unread("m0") == ["m0"]


async def test_what_is_read_after_a_turn_is_marked_where_it_is(person: Scripts) -> None:
    sent = await filled(person, 1)
    await person.settle(*sent)
    await person.age_records()
    assert [await person.rotate_dedupe() for _ in range(2)] == ["more", "rotated"]
    assert await person.mark_read("m0") == sent
    assert await person.states(person.keys.dedupe_before) == ["r"]
    assert not await person.redis.exists(person.keys.dedupe)


async def test_a_read_settles_what_it_brings_along(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 4)
    await person.fetch(count=3)
    assert ids(await person.fetch(settle=(sent[0], sent[2]))) == [sent[3]]
    assert await person.waits() == [sent[1], sent[3]]
    assert await person.tally() == {"n": 2, "b": 10, f"n:{ASHA}": 2}
    assert ids(await person.fetch("again", ids=(sent[1],), settle=(sent[3],))) == [sent[1]]
    assert await person.waits() == [sent[1]]
    assert ids(await person.fetch("again", ids=(sent[1],), settle=(sent[1],))) == []
    assert await person.tally() == {}


async def test_who_does_not_hold_the_lease_settles_nothing_by_reading(person: Scripts) -> None:
    await person.claim()
    sent = await filled(person, 1)
    await person.fetch()
    await person.claim(server="s2", connection="c2")
    before = await person.snapshot()
    assert await person.fetch(settle=tuple(sent)) == ["replaced", "0-0", 0, []]
    assert await person.snapshot() == before


async def test_what_a_caller_remembers_wrongly_counts_only_while_all_is_there(person: Scripts) -> None:
    """A settling whose answer was lost is sent again together with more: only what is still there is counted down."""
    await person.claim()
    sent = await filled(person, 3)
    await person.fetch()
    sums = await person.sums(sent)
    await person.settle(sent[0])
    assert await person.call(SETTLE, "primary", 3, *sent, *sums) == 2
    assert await person.tally() == {}
    assert await person.call(SETTLE, "primary", 3, *sent, *sums) == 0
    assert await person.tally() == {}


async def test_a_hundred_settles_at_once_count_each_entry_once(person: Scripts) -> None:
    sent = await filled(person, 20)
    left = await asyncio.gather(*(person.settle(sent[n % 20], sent[(n * 7) % 20]) for n in range(100)))
    assert sum(left) == 20
    assert await person.tally() == {}
    assert await person.waits() == []


async def test_of_who_hides_something_it_is_said_which_unread_chats_nobody_acknowledged(person: Scripts) -> None:
    ids = [(await person.store_chat(f"m{n}"))[1] for n in range(4)]
    await person.claim()
    await person.fetch()
    assert await person.find_unread("m0", "m1", "m2", "m3") == ["m0", "m1", "m2", "m3"]
    assert person.told == [[], "", "-", ids], "nothing is looked up for who hides nothing"
    await person.load(version=1, privacy="ee01")
    await person.settle(ids[0])
    await person.note_acknowledged({"m1": ids[1]})
    await person.mark_read("m2")
    for _ in range(2):
        assert await person.find_unread("m0", "m1", "m2", "m3") == ["m0", "m1", "m3"]
        assert person.told == [["m3"], "ee01", "-", [ids[0], ids[1], ids[3]]]
    await person.note_answered(ASHA)
    await person.find_unread("m3")
    assert person.told == [["m3"], "ee01", "c", [ids[3]]]
    await person.claim("tablet", connection="c2")
    await person.fetch(device="tablet", connection="c2")
    await person.settle(ids[3])
    await person.find_unread("m3")
    assert person.told[0] == [], "another device has not settled it: it waits, and its sender was told"
    await person.load(version=2, privacy="ee01", blocked=(ASHA,))
    assert await person.find_unread("m3") == []
    assert person.told == [[], "", "-", []]
