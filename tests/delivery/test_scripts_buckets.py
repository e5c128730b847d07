"""Scripts whose keys their callers spell: buckets, login places, single writes. Every answer, and twice in a row."""

from typing import Any

import pytest
from redis.asyncio import Redis

from delivery import scripts
from delivery.redis.client import Arg
from delivery.results import CommandFailed
from tests.delivery.person_scripts import text
from tests.delivery.script_headers import shape
from tests.support.links import link_to

SECOND = 1_000_000
KEY = "rate:test:{A}"


class Caller:
    """Calls a script on one key."""

    def __init__(self, redis: "Redis") -> None:
        self._client = link_to(redis)

    async def call(self, script: scripts.Script, *args: Arg) -> Any:
        reply = text(await self._client.call(script, [KEY], args))
        assert shape(script.name).fits(reply), (script.name, reply)
        return reply

    async def take(self, burst: int = 2, longest: int = 0, count: int = 1) -> Any:
        """Tokens of a bucket whose tokens come back after a minute each."""
        return await self.call(scripts.TAKE_TOKEN, 60 * SECOND, burst, longest, 3600 * SECOND, count)

    async def forgive(self, which: str, burst: int = 2) -> Any:
        return await self.call(scripts.FORGIVE_FAILURES, 60 * SECOND, burst, 600 * SECOND, 3600 * SECOND, which)


@pytest.fixture
def caller(redis: "Redis") -> Caller:
    return Caller(redis)


async def test_a_bucket_gives_its_tokens_and_then_tells_how_long_to_wait(caller: Caller) -> None:
    assert [await caller.take() for _ in range(2)] == [[0, 1, 0], [0, 2, 0]]
    for _ in range(2):
        wait, in_use, failures = await caller.take()
        assert 59 * SECOND < wait <= 60 * SECOND
        assert (in_use, failures) == (2, 0), "a refusal takes nothing"


async def test_several_tokens_are_taken_together_or_not_at_all(caller: Caller) -> None:
    assert await caller.take(burst=5, count=3) == [0, 3, 0]
    for _ in range(2):
        wait, in_use, _ = await caller.take(burst=5, count=3)
        assert 59 * SECOND < wait <= 60 * SECOND, "two are there, and the third comes back after a minute"
        assert in_use == 3, "a refusal takes nothing"
    assert await caller.take(burst=5, count=2) == [0, 5, 0]
    wait, _, _ = await caller.take(burst=5, count=5)
    assert 299 * SECOND < wait <= 300 * SECOND
    assert (await caller.take(burst=5, count=6))[0] > wait, "more than the bucket holds are never there"


async def test_failures_are_counted_until_they_are_forgiven(caller: Caller) -> None:
    assert await caller.forgive("one") == 0, "there are none"
    assert await caller.take(burst=3, longest=600 * SECOND) == [0, 1, 0]
    for _ in range(2):
        assert await caller.forgive("one", burst=3) == 0
    assert await caller.take(burst=3, longest=600 * SECOND) == [0, 2, 0]
    assert await caller.take(burst=3, longest=600 * SECOND) == [0, 3, 1]
    for _ in range(2):
        wait, _, failures = await caller.take(burst=3, longest=600 * SECOND)
        assert wait > 0
        assert failures == 2, "a refusal is no failure"
    assert await caller.forgive("one", burst=3) == 1
    for _ in range(2):
        assert await caller.forgive("all", burst=3) == 0


async def test_of_too_many_places_the_one_used_longest_ago_goes(caller: Caller, redis: "Redis") -> None:
    for _ in range(2):
        assert await caller.call(scripts.REMEMBER_LOGIN_PLACE, 100, 2, "here") == 1
    await redis.zadd(KEY, {"here": 1})
    for _ in range(2):
        assert await caller.call(scripts.REMEMBER_LOGIN_PLACE, 100, 2, "there", "elsewhere") == 2
    assert sorted(await redis.zrange(KEY, 0, -1)) == [b"elsewhere", b"there"]
    assert 0 < await redis.ttl(KEY) <= 100


async def test_a_single_write_answers_as_its_command_does(caller: Caller, redis: "Redis") -> None:
    assert await caller.call(scripts.WRITE, "SADD", "a", "b") == 2
    assert await caller.call(scripts.WRITE, "SADD", "a", "b") == 0
    assert await redis.smembers(KEY) == {b"a", b"b"}


async def test_a_single_write_of_another_type_is_an_error(caller: Caller, redis: "Redis") -> None:
    await redis.set(KEY, "text")
    for _ in range(2):
        with pytest.raises(CommandFailed, match="WRONGTYPE"):
            await caller.call(scripts.WRITE, "SADD", "a")
