"""The scripts of the background jobs: every verdict, and each twice in a row."""

import asyncio

import pytest

from tests.delivery.person_scripts import ASHA, RAVI, Scripts


async def stored(person: Scripts, *message_ids: str, sender: str = ASHA) -> list[str]:
    return [(await person.store_chat(message_id, sender=sender))[1] for message_id in message_ids]


def parts(stream_id: str) -> tuple[int, int]:
    ms, _, seq = stream_id.partition("-")
    return int(ms), int(seq)


async def test_what_expires_becomes_a_shadow_entry_and_is_still_recognised(person: Scripts) -> None:
    sent = await stored(person, "m1", "m2")
    for _ in range(2):
        assert await person.expire(sent[0], "1-1") == 0
        assert await person.waits() == [sent[1]]
        assert await person.tally() == {
            **{"n": 1, "b": 5, f"n:{ASHA}": 1},
            **{"pn": 1, "pb": 5, f"pn:{ASHA}": 1},
        }
    ((_, shadow),) = await person.redis.xrange(person.keys.shadows)
    assert shadow == {b"f": ASHA.encode(), b"i": b"m1", b"b": b"5", b"t": sent[0].encode()}
    assert await person.states(person.keys.dedupe) == ["p", "s"]
    assert await person.store_chat("m1") == ["stored", sent[0], []]


async def test_what_expires_and_is_no_news_leaves_for_good(person: Scripts) -> None:
    for device, server in (("phone", "s1"), ("tablet", "s2")):
        await person.claim(device, server)
    sent = await stored(person, "m1", "m2", "m3")
    await person.fetch(device="phone")
    await person.settle(sent[0], device="phone")
    await person.mark_read("m2", device="phone")
    await person.note_delivered("m3")
    await person.store_receipt("x")
    await person.sweep("s1")
    await person.store_own(("m4", "hello", 4), device="phone")
    assert await person.expire(*await person.waits()) == 5, (
        "chats, a receipt, and what the tablet was told of the phone"
    )
    assert await person.waits() == []
    assert await person.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}
    assert [each[b"i"] for _, each in await person.redis.xrange(person.keys.shadows)] == [b"m3"]
    assert await person.states(person.keys.dedupe) == ["a", "d", "r", "s"]


async def test_what_is_in_flight_on_a_live_connection_does_not_expire(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2", lease_ms=-1)
    sent = await stored(person, "m1", "m2")
    await person.fetch(device="phone", count=1)
    for _ in range(2):
        assert await person.expire(*sent) == 0
        assert await person.waits() == sent[:1]
    await person.sweep("s1")
    await person.expire(*sent)
    assert await person.waits() == []


async def test_what_was_in_flight_for_a_day_too_long_expires_all_the_same(person: Scripts) -> None:
    await person.claim("phone")
    sent = await stored(person, "m1", "m2")
    await person.fetch(device="phone")
    assert await person.expire(*sent, latest=sent[1]) == 0
    assert await person.waits() == sent[1:]
    assert [each[b"i"] for _, each in await person.redis.xrange(person.keys.shadows)] == [b"m1"]


async def test_an_ack_is_noted_before_its_sender_is_told(person: Scripts) -> None:
    await stored(person, "m1", "m2", "m3", "m4")
    await person.claim()
    await person.mark_read("m3")
    assert await person.find_unacknowledged("m1", "m2", "m3", "m4") == [["m1", "m2", "m4"], []]
    for _ in range(2):
        assert await person.note_delivered("m1", "m2", "m3", "never sent") == ["m3"], "its sender knows that it is read"
    assert await person.find_unacknowledged("m1", "m2", "m3", "m4") == [["m4"], ["m1", "m2"]]
    assert await person.states(person.keys.dedupe) == ["a", "a", "r", "s"]


@pytest.mark.parametrize("cause", ["it expires", "its sender is blocked"])
async def test_the_note_of_an_acknowledgement_goes_into_the_record_when_its_chat_leaves(
    person: Scripts, cause: str
) -> None:
    sent = await stored(person, "m1", "m2", "m3")
    await person.claim()
    await person.redis.hset(person.keys.entry_states, sent[2], "4")  # our own code failed on it
    for _ in range(2):
        await person.note_acknowledged({"m1": sent[0], "m2": sent[1]})
    assert await person.find_unacknowledged("m1", "m2", "m3") == [["m1", "m2", "m3"], []], "the records say nothing yet"
    await person.settle(sent[1])
    if cause == "it expires":
        assert await person.expire(sent[0], sent[2]) == 0
    else:
        await person.load(version=1, blocked=(ASHA,))
        assert (await person.fetch())[3] == []
    assert await person.find_unacknowledged("m1", "m3") == [["m3"], ["m1"]]
    assert not await person.redis.exists(person.keys.entry_states)


async def test_a_chat_in_flight_that_became_a_shadow_entry_is_noted_all_the_same(person: Scripts) -> None:
    """Its sender is blocked, the mailbox is fetched again, and only then the client acknowledges."""
    await person.claim()
    sent = await stored(person, "m1", "m2")
    await person.fetch()
    await person.load(version=1, blocked=(ASHA,))
    assert (await person.fetch(mode="again", ids=sent[:1]))[3] == []
    await person.note_acknowledged({"m1": sent[0], "m2": sent[1]})
    await person.settle(*sent)
    assert await person.find_unacknowledged("m1", "m2") == [[], ["m1", "m2"]]
    assert not await person.redis.exists(person.keys.entry_states)


@pytest.mark.parametrize("is_connected", [True, False])
async def test_a_note_that_comes_late_goes_when_the_mailbox_is_empty(person: Scripts, is_connected: bool) -> None:
    await person.claim()
    (stream_id,) = await stored(person, "m1")
    await person.fetch()
    await person.settle(stream_id)
    await person.note_acknowledged({"m1": stream_id})
    if not is_connected:
        await person.sweep("s1")
        await person.redis.delete(person.keys.mailbox)
    assert await person.redis.exists(person.keys.entry_states)
    await person.delete_empty()
    assert not await person.redis.exists(person.keys.entry_states)


async def test_expiry_takes_also_what_a_device_has_pending(person: Scripts) -> None:
    await person.claim("phone")
    await person.claim("tablet", "s2", "c2")
    sent = await stored(person, "m1")
    await person.fetch(device="phone")
    await person.sweep("s1")
    await person.expire(*sent)
    assert (await person.redis.xpending(person.keys.mailbox, "phone"))["pending"] == 0
    assert await person.waits() == []


async def test_shadow_entries_expire_as_chats_do(person: Scripts) -> None:
    await person.load(version=1, blocked=(ASHA,))
    first, second = await stored(person, "m1", "m2")
    assert await person.expire_shadows(first, "1-1") == 1
    assert await person.expire_shadows(first) == 0
    assert await person.tally() == {"pn": 1, "pb": 5, f"pn:{ASHA}": 1}
    assert await person.states(person.keys.dedupe) == ["p", "p"]
    assert await person.store_chat("m1") == ["stored", first, []]
    assert await person.expire_shadows(second) == 1
    assert await person.tally() == {}
    assert not await person.redis.exists(person.keys.shadows)


async def test_a_dropped_chat_expires_under_its_own_id(person: Scripts) -> None:
    await person.claim()
    (sent,) = await stored(person, "m1")
    await person.load(version=1, blocked=(ASHA,))
    await person.fetch()
    ((shadow, _),) = await person.redis.xrange(person.keys.shadows)
    assert await person.expire_shadows(shadow.decode()) == 1
    assert await person.expire_shadows(shadow.decode()) == 0
    assert await person.tally() == {}
    assert await person.states(person.keys.dedupe) == ["p"]
    assert await person.store_chat("m1") == ["stored", sent, []]


async def test_leases_of_a_dead_server_end(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    for _ in range(2):
        assert await person.sweep("s9") == []
    (ended,) = await person.sweep("s1")
    assert ended[:3] == ["phone", "s1", "c1"]
    assert await person.redis.get(person.keys.last_seen) == ended[3].encode()
    assert await person.sweep("s1") == []
    assert await person.read_presence() == ["online", ""]


async def test_leases_that_are_over_end(person: Scripts) -> None:
    await person.claim(lease_ms=1000)  # long enough for a busy machine to look in time
    assert await person.sweep() == []
    await asyncio.sleep(1.1)
    assert [each[:3] for each in await person.sweep()] == [["primary", "s1", "c1"]]
    assert await person.sweep() == []
    assert (await person.read_presence())[0] == "seen"


async def test_a_clock_that_jumped_back_keeps_no_ghost_online(person: Scripts) -> None:
    seconds, _ = await person.redis.time()
    hour = (int(seconds) + 3600) * 1000
    await person.redis.hset(person.keys.leases, "primary", f"s1 c1 {hour} {hour + 60_000}")
    for _ in range(2):
        assert await person.sweep(lease_ms=500) == []
    till = int((await person.redis.hget(person.keys.leases, "primary")).split()[3])
    assert till <= (int(seconds) + 30) * 1000
    await asyncio.sleep(0.55)
    (ended,) = await person.sweep(lease_ms=500)
    assert int(ended[3]) < hour
    assert (await person.read_presence())[0] == "seen"


async def test_an_evidence_from_the_future_is_no_last_seen_in_the_future(person: Scripts) -> None:
    seconds, _ = await person.redis.time()
    hour = (int(seconds) + 3600) * 1000
    await person.redis.hset(person.keys.leases, "primary", f"s1 c1 {hour} {hour + 60_000}")
    (ended,) = await person.sweep("s1")
    assert int(ended[3]) < (int(seconds) + 60) * 1000


async def test_stuck_is_what_nobody_carries_for_who_is_connected(person: Scripts) -> None:
    assert await person.find_stuck() == []
    (sent,) = await stored(person, "m1")
    assert await person.find_stuck() == []  # nobody is connected
    await person.claim(server="s2", connection="c2")
    for _ in range(2):
        assert await person.find_stuck() == ["s2"]  # not read yet
    await person.fetch(server="s2", connection="c2")
    assert await person.find_stuck() == []  # on its way
    await asyncio.sleep(0.03)
    assert await person.find_stuck(too_long_ms=10) == ["s2"]  # unsettled for too long
    await person.claim(server="s3", connection="c3")
    assert await person.find_stuck() == ["s3"]  # another server holds it
    await person.settle(sent)
    assert await person.find_stuck(too_long_ms=0) == []


async def test_of_who_is_gone_nothing_is_stuck(person: Scripts) -> None:
    await person.claim(lease_ms=-1)
    await stored(person, "m1")
    assert await person.find_stuck() == []


async def test_a_device_is_forgotten_only_if_long_gone(person: Scripts) -> None:
    assert await person.forget_device("phone") == ["unknown", 0]
    await person.claim("phone")
    assert await person.forget_device("phone", since_ms=0) == ["recent", 0]
    for _ in range(2):
        assert await person.forget_device("phone") == ["connected", 0]
    await person.sweep("s1")
    assert await person.forget_device("phone") == ["forgotten", 0]
    assert await person.forget_device("phone") == ["unknown", 0]


async def test_what_only_a_forgotten_device_had_to_settle_leaves_with_it(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    sent = await stored(person, "m1", "m2", "m3")
    await person.fetch(device="phone", count=2)
    await person.settle(sent[0], device="phone")
    await person.sweep("s2")
    assert await person.forget_device("tablet") == ["forgotten", 1]
    assert await person.groups() == ["phone"]
    assert await person.waits() == sent[1:]
    assert await person.states(person.keys.dedupe) == ["d", "s", "s"]
    assert (await person.tally())["n"] == 2


async def test_the_last_device_leaves_all_that_waits_to_the_next(person: Scripts) -> None:
    await person.claim("phone")
    sent = await stored(person, "m1", "m2")
    await person.fetch(device="phone")
    await person.sweep("s1")
    assert await person.forget_device("phone") == ["forgotten", 0]
    assert await person.groups() == ["primary"]
    assert await person.forget_device("phone") == ["unknown", 0]
    await person.claim("tablet", "s2", "c2")
    assert await person.groups() == ["tablet"]
    found = await person.fetch(device="tablet", server="s2", connection="c2")
    assert [entry[0] for entry in found[3]] == sent


async def test_primary_forgotten_as_the_last_becomes_the_placeholder(person: Scripts) -> None:
    await person.claim("primary")
    sent = await stored(person, "m1")
    await person.sweep("s1")
    assert await person.forget_device("primary") == ["forgotten", 0]
    assert await person.groups() == ["primary"]
    assert await person.waits() == sent
    await person.claim("tablet", "s2", "c2")
    assert await person.groups() == ["tablet"]


@pytest.mark.parametrize("late", ["renew", "release"])
async def test_a_late_word_of_a_forgotten_devices_connection_does_not_bring_it_back(person: Scripts, late: str) -> None:
    await person.claim("tablet", "s2", "c2")
    await person.claim("primary", "s1", "c1", lease_ms=20)
    await stored(person, "m1")
    await asyncio.sleep(0.04)
    assert await person.read_presence() == ["online", ""]
    assert (await person.forget_device("primary"))[0] == "forgotten"
    assert (await (person.renew() if late == "renew" else person.release()))[0] == "gone"
    assert (await person.fetch())[0] == "gone"
    assert await person.groups() == ["tablet"]
    assert not await person.redis.hexists(person.keys.user, "dev:primary")


async def test_a_forgotten_device_was_last_seen_at_its_last_sign_of_life(person: Scripts) -> None:
    await person.claim(lease_ms=20)
    await asyncio.sleep(0.04)
    before = await person.read_presence()
    assert before[0] == "seen"
    assert await person.forget_device("primary") == ["forgotten", 0]
    assert await person.read_presence() == before


async def test_a_device_without_a_mailbox_is_forgotten(person: Scripts) -> None:
    await person.claim("phone")
    await person.sweep("s1")
    assert await person.forget_device("phone") == ["forgotten", 0]
    assert not await person.redis.exists(person.keys.mailbox)


async def test_a_mailbox_is_tidied_only_when_nothing_needs_it(person: Scripts) -> None:
    assert await person.delete_empty() == ["none"]
    await person.claim()
    (sent,) = await stored(person, "m1")
    assert await person.delete_empty() == ["busy"]
    await person.settle(sent)
    for _ in range(2):
        assert await person.delete_empty() == ["busy"]  # connected
    await person.release()
    assert await person.delete_empty() == ["deleted"]
    assert await person.delete_empty() == ["none"]


async def test_ids_never_go_back_and_devices_groups_come_back(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    # A clock that is an hour ahead gave this id; it will be right again when the next entry comes.
    seconds, _ = await person.redis.time()
    ahead = f"{(int(seconds) + 3600) * 1000}-5"
    await stored(person, "m0")
    await person.redis.xadd(person.keys.mailbox, {"k": "r", "f": RAVI, "a": "read", "i": "x"}, id=ahead)
    for device in ("phone", "tablet"):
        await person.settle(*await person.waits(), device=device)
    for entry in await person.waits():
        await person.expire(entry)
    await person.sweep("s1")
    await person.sweep("s2")
    assert await person.delete_empty() == ["deleted"]
    assert not await person.redis.exists(person.keys.mailbox)
    _, after, _ = await person.store_chat("m1")
    assert parts(after) > parts(ahead)
    assert await person.groups() == ["phone", "tablet"]
    await person.claim("tablet", "s2", "c2")
    assert [each[0] for each in (await person.fetch(device="tablet", server="s2", connection="c2"))[3]] == [after]


async def test_a_tidied_mailbox_does_not_come_back_to_who_is_nobody(person: Scripts) -> None:
    (sent,) = await stored(person, "m1")
    await person.settle(sent)
    await person.redis.delete(person.keys.user)
    assert await person.delete_empty() == ["deleted"]
    assert not await person.redis.exists(person.keys.user)


async def test_a_mailbox_in_which_something_is_still_pending_stays(person: Scripts) -> None:
    await person.claim()
    (sent,) = await stored(person, "m1")
    await person.fetch()
    await person.release()
    await person.redis.xdel(person.keys.mailbox, sent)
    for _ in range(2):
        assert await person.delete_empty() == ["busy"]
