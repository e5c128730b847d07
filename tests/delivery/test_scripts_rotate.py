"""A person's dedupe records: how long they are kept, and that what waits is never forgotten."""

import time

import pytest

from tests.delivery.person_scripts import ASHA, DAY, RAVI, RECORDS_SECONDS, Scripts


async def rotate_through(person: Scripts, count: int = 100) -> list[str]:
    """Age the records and rotate them; every verdict on the way."""
    await person.age_records()
    verdicts = [await person.rotate_dedupe(count=count)]
    while verdicts[-1] == "more":
        verdicts.append(await person.rotate_dedupe(count=count))
    return verdicts


async def test_there_is_nothing_to_rotate_before_the_time(person: Scripts) -> None:
    assert await person.rotate_dedupe() == "none"
    await person.store_chat("m1")
    before = await person.snapshot()
    for _ in range(2):
        assert await person.rotate_dedupe() == "kept"
    assert await person.snapshot() == before


async def test_what_has_left_is_known_for_a_rotation_and_forgotten_after_the_next(person: Scripts) -> None:
    _, first, _ = await person.store_chat("m1")
    await person.settle(first)
    assert (await rotate_through(person))[-1] == "rotated"
    assert 0 < await person.redis.ttl(person.keys.dedupe_before) <= DAY
    assert await person.store_chat("m1") == ["stored", first, []]
    await person.store_chat("m2")
    assert await person.rotate_dedupe() == "kept", "the time begins anew"
    assert (await rotate_through(person))[-1] == "rotated"
    assert (await person.store_chat("m1"))[1] != first, "it is a new chat by now"


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_what_waits_is_known_however_often_the_records_rotate(person: Scripts, count: int) -> None:
    sent = {f"m{n}": (await person.store_chat(f"m{n}"))[1] for n in range(5)}
    await person.store_receipt("x1")
    await person.load(version=1, blocked=(RAVI,))
    shadows = {f"p{n}": (await person.store_chat(f"p{n}", sender=RAVI))[1] for n in range(3)}
    for _ in range(3):
        assert (await rotate_through(person, count))[-1] == "rotated"
    for message_id, stream_id in sent.items():
        assert await person.store_chat(message_id) == ["stored", stream_id, []]
    for message_id, stream_id in shadows.items():
        assert await person.store_chat(message_id, sender=RAVI) == ["stored", stream_id, []]
    assert await person.states(person.keys.dedupe) == ["p"] * 3 + ["s"] * 5
    assert (await person.tally())["n"] == 5


async def test_a_dropped_chat_is_known_under_its_own_id_after_a_rotation(person: Scripts) -> None:
    await person.claim()
    _, sent, _ = await person.store_chat("m1")
    await person.load(version=1, blocked=(ASHA,))
    await person.fetch()
    for _ in range(2):
        await rotate_through(person)
    assert await person.store_chat("m1") == ["stored", sent, []]


async def test_until_a_rotation_is_through_the_old_records_do_not_end(person: Scripts) -> None:
    sent = [(await person.store_chat(f"m{n}"))[1] for n in range(4)]
    await person.age_records()
    assert await person.rotate_dedupe(count=2) == "more"
    assert await person.redis.ttl(person.keys.dedupe_before) > DAY
    for n, stream_id in enumerate(sent):
        assert await person.store_chat(f"m{n}") == ["stored", stream_id, []]
    await person.age_records()
    assert await person.rotate_dedupe(count=2) == "more", "the same rotation goes on, whatever the time"
    assert await person.states(person.keys.dedupe) == ["s"] * 4
    while await person.rotate_dedupe(count=2) != "rotated":
        pass
    assert await person.rotate_dedupe() == "kept", "what left meanwhile is kept as long as the rest"
    assert await person.redis.ttl(person.keys.dedupe) > 1.5 * RECORDS_SECONDS - 60, "and so is its hash"


async def test_what_happens_to_a_chat_while_the_records_rotate_is_not_undone(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    for n in range(4):
        await person.store_chat(f"m{n}")
    await person.age_records()
    await person.rotate_dedupe(count=1)  # m0 went with the new ones
    await person.mark_read("m0", device="phone")
    await person.mark_read("m3", device="phone")
    while await person.rotate_dedupe(count=1) != "rotated":
        pass
    assert await person.find_unread("m0", "m1", "m2", "m3") == ["m1", "m2"]


async def test_records_nobody_rotates_end_by_themselves_but_not_while_they_may_be_needed(person: Scripts) -> None:
    await person.store_chat("m1")
    assert await person.redis.ttl(person.keys.dedupe) >= RECORDS_SECONDS
    half_a_life_ago = time.time() * 1000 - RECORDS_SECONDS * 500
    await person.redis.hset(person.keys.dedupe, "since", str(int(half_a_life_ago)))
    await person.redis.expire(person.keys.dedupe, RECORDS_SECONDS - 1)
    await person.store_chat("m2")
    assert await person.redis.ttl(person.keys.dedupe) >= RECORDS_SECONDS
