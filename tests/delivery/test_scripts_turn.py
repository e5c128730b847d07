"""A person's dedupe records: how long they are kept, and that what waits is never forgotten."""

import pytest

from tests.delivery.post import ASHA, DAY, RAVI, RECORDS_SECONDS, Post


async def turn_through(post: Post, count: int = 100) -> list[str]:
    """Age the records and turn them; every verdict on the way."""
    await post.age_records()
    verdicts = [await post.turn(count=count)]
    while verdicts[-1] == "more":
        verdicts.append(await post.turn(count=count))
    return verdicts


async def test_there_is_nothing_to_turn_before_the_time(post: Post) -> None:
    assert await post.turn() == "none"
    await post.send("m1")
    before = await post.snapshot()
    for _ in range(2):
        assert await post.turn() == "kept"
    assert await post.snapshot() == before


async def test_what_has_left_is_known_for_a_turn_and_forgotten_after_the_next(post: Post) -> None:
    _, first, _ = await post.send("m1")
    await post.settle(first)
    assert (await turn_through(post))[-1] == "rotated"
    assert 0 < await post.redis.ttl(post.keys.dedupe_before) <= DAY
    assert await post.send("m1") == ["stored", first, []]
    await post.send("m2")
    assert await post.turn() == "kept", "the time begins anew"
    assert (await turn_through(post))[-1] == "rotated"
    assert (await post.send("m1"))[1] != first, "it is a new chat by now"


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_what_waits_is_known_however_often_the_records_turn(post: Post, count: int) -> None:
    sent = {f"m{n}": (await post.send(f"m{n}"))[1] for n in range(5)}
    await post.receipt("x1")
    await post.load(version=1, blocked=(RAVI,))
    phantoms = {f"p{n}": (await post.send(f"p{n}", sender=RAVI))[1] for n in range(3)}
    for _ in range(3):
        assert (await turn_through(post, count))[-1] == "rotated"
    for message_id, stream_id in sent.items():
        assert await post.send(message_id) == ["stored", stream_id, []]
    for message_id, stream_id in phantoms.items():
        assert await post.send(message_id, sender=RAVI) == ["stored", stream_id, []]
    assert await post.states(post.keys.dedupe) == ["p"] * 3 + ["s"] * 5
    assert (await post.tally())["n"] == 5


async def test_a_dropped_chat_is_known_under_its_own_id_after_a_turn(post: Post) -> None:
    await post.claim()
    _, sent, _ = await post.send("m1")
    await post.load(version=1, blocked=(ASHA,))
    await post.collect()
    for _ in range(2):
        await turn_through(post)
    assert await post.send("m1") == ["stored", sent, []]


async def test_until_a_turn_is_through_the_old_records_do_not_end(post: Post) -> None:
    sent = [(await post.send(f"m{n}"))[1] for n in range(4)]
    await post.age_records()
    assert await post.turn(count=2) == "more"
    assert await post.redis.ttl(post.keys.dedupe_before) > DAY
    for n, stream_id in enumerate(sent):
        assert await post.send(f"m{n}") == ["stored", stream_id, []]
    await post.age_records()
    assert await post.turn(count=2) == "more", "the same turn goes on, whatever the time"
    assert await post.states(post.keys.dedupe) == ["s"] * 4
    while await post.turn(count=2) != "rotated":
        pass
    assert await post.turn() == "kept", "what left meanwhile is kept as long as the rest"


async def test_what_happens_to_a_chat_while_the_records_turn_is_not_undone(post: Post) -> None:
    await post.claim("phone", "s1", "c1")
    await post.claim("tablet", "s2", "c2")
    for n in range(4):
        await post.send(f"m{n}")
    await post.age_records()
    await post.turn(count=1)  # m0 went with the new ones
    await post.mark_read("m0", device="phone")
    await post.mark_read("m3", device="phone")
    while await post.turn(count=1) != "rotated":
        pass
    assert await post.unread("m0", "m1", "m2", "m3") == ["m1", "m2"]


async def test_records_nobody_turns_end_by_themselves_but_not_while_they_may_be_needed(post: Post) -> None:
    await post.send("m1")
    assert await post.redis.ttl(post.keys.dedupe) >= RECORDS_SECONDS
    await post.redis.expire(post.keys.dedupe, RECORDS_SECONDS - 1)
    await post.send("m2")
    assert await post.redis.ttl(post.keys.dedupe) >= RECORDS_SECONDS
