"""Buckets: what fits, what is refused and for how long, and what is left of them in Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from delivery import keys, rate_limits
from delivery.rate_limits import (
    FAILURE_SECONDS,
    Limit,
    LocalLimit,
    RateLimits,
    Refreshes,
    Taken,
    Upgrades,
    lookups,
    sign_ups,
)
from delivery.redis.client import RedisClient
from delivery.scripts import FORGIVE_FAILURES
from protocol.errors import ApiError
from tests.support.links import link_to
from tests.support.messaging import make_settings
from tests.support.processes import patient

SLOW = Limit("slow", rate=1 / 60, burst=3)
QUICK = Limit("quick", rate=20, burst=2)
DOUBLING = Limit("doubling", rate=1, burst=2, max_wait=10)
CLOSED = Limit("closed", rate=1, burst=1, closed=True)


@pytest.fixture(autouse=True)
async def _known_script(redis: "Redis") -> None:
    """Else Redis would be sent the script first, and run it behind what a test sends next."""
    await redis.script_load(FORGIVE_FAILURES.text)


@pytest.fixture
def limits(redis: "Redis") -> RateLimits:
    return RateLimits(link_to(redis), on=True)


async def _refused(limits: RateLimits, limit: Limit, whose: str = "A") -> float:
    """Seconds to wait."""
    with pytest.raises(ApiError) as caught:
        await limits.take(limit, whose)
    assert caught.value.code == "rate_limited"
    assert caught.value.retry_after is not None
    return caught.value.retry_after


async def test_after_a_burst_the_next_attempt_gets_the_time_to_wait(limits: RateLimits) -> None:
    assert [await limits.take(SLOW, "A") for _ in range(3)] == [Taken(1), Taken(2), Taken(3)]
    assert 55 < await _refused(limits, SLOW) <= 60
    assert await limits.take(SLOW, "B") == Taken(1), "another bucket"


async def test_several_tokens_at_once_are_all_or_none(limits: RateLimits) -> None:
    assert await limits.take(SLOW, "A", 2) == Taken(2)
    with pytest.raises(ApiError) as caught:
        await limits.take(SLOW, "A", 3)
    assert 115 < (caught.value.retry_after or 0) <= 120, "two of them have to come back"
    assert await limits.take(SLOW, "A") == Taken(3)


async def test_failed_attempts_take_no_token(limits: RateLimits) -> None:
    for _ in range(3):
        await limits.take(SLOW, "A")
    waits = [await _refused(limits, SLOW) for _ in range(20)]
    assert waits == sorted(waits, reverse=True)


async def test_tokens_come_back_with_time(limits: RateLimits) -> None:
    await limits.take(QUICK, "A")
    await limits.take(QUICK, "A")
    await asyncio.sleep(await _refused(limits, QUICK) + 0.005)
    assert (await limits.take(QUICK, "A")).in_use <= 2


async def test_a_bucket_expires_when_it_is_full_again(limits: RateLimits, redis: "Redis") -> None:
    name = keys.rate_bucket("quick", "A")
    await limits.take(QUICK, "A")
    await limits.take(QUICK, "A")
    assert 0 < await redis.pttl(name) <= 101
    await asyncio.sleep(0.12)
    assert await redis.exists(name) == 0


async def test_every_bucket_expires(limits: RateLimits, redis: "Redis") -> None:
    for limit in (SLOW, QUICK, DOUBLING, CLOSED):
        await limits.take(limit, "A")
    limits.forgive(DOUBLING, "A", "one")
    await limits.take(DOUBLING, "B")
    left = [await redis.pttl(name) for name in await redis.keys()]
    assert left
    gone = -2  # the quick one lives for some milliseconds
    assert all(each == gone or 0 < each <= FAILURE_SECONDS * 1000 for each in left)


async def _waits(limits: RateLimits, redis: "Redis", count: int) -> list[int]:
    """How long each of so many attempts had to wait, each made as soon as it may; time is what we say."""
    waits = []
    for _ in range(count):
        try:
            await limits.take(DOUBLING, "A")
            waits.append(0)
        except ApiError as refusal:
            waits.append(round(refusal.retry_after or 0))
            await _pass(redis, DOUBLING, "A", refusal.retry_after or 0)
            await limits.take(DOUBLING, "A")
    return waits


async def _pass(redis: "Redis", limit: Limit, whose: str, seconds: float) -> None:
    """As if so many seconds had passed."""
    name = keys.rate_bucket(limit.name, whose)
    full_at, failures = (await redis.get(name)).split()
    await redis.set(name, b"%d %s" % (int(full_at) - int(seconds * 1e6), failures), keepttl=True)


async def test_failures_beyond_the_burst_double_the_wait_up_to_the_longest(limits: RateLimits, redis: "Redis") -> None:
    assert await _waits(limits, redis, 8) == [0, 0, 1, 2, 4, 8, 10, 10]


async def test_concurrent_attempts_are_counted_one_by_one(limits: RateLimits) -> None:
    answers = await asyncio.gather(*(limits.take(DOUBLING, "A") for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(answer, Taken) for answer in answers) == 2


async def test_a_forgiven_attempt_is_not_counted(limits: RateLimits, redis: "Redis") -> None:
    for _ in range(6):
        await limits.take(DOUBLING, "A")
        limits.forgive(DOUBLING, "A", "one")
        await _pass(redis, DOUBLING, "A", 1)
    assert (await limits.take(DOUBLING, "A")).failures == 0


async def test_forgiving_one_attempt_leaves_the_others(limits: RateLimits, redis: "Redis") -> None:
    assert await _waits(limits, redis, 5) == [0, 0, 1, 2, 4]
    limits.forgive(DOUBLING, "A", "one")
    assert round(await _refused(limits, DOUBLING)) == 1, "its own share of the wait went, 8 seconds"
    await _pass(redis, DOUBLING, "A", 1)
    assert (await limits.take(DOUBLING, "A")).failures == 4


async def test_all_failures_are_forgotten_at_once(limits: RateLimits, redis: "Redis") -> None:
    await _waits(limits, redis, 6)
    limits.forgive(DOUBLING, "A", "all")
    assert await _refused(limits, DOUBLING) <= 1, "that there were attempts is not forgotten"
    await _pass(redis, DOUBLING, "A", 2)
    assert (await limits.take(DOUBLING, "A")).failures == 0


async def test_forgiving_without_a_bucket_makes_no_key(limits: RateLimits, redis: "Redis") -> None:
    limits.forgive(DOUBLING, "nobody", "one")
    await limits.take(SLOW, "A")
    assert await redis.keys() == [keys.rate_bucket("slow", "A").encode()]


async def test_a_clock_that_was_set_back_locks_nobody_out(limits: RateLimits, redis: "Redis") -> None:
    await limits.take(DOUBLING, "A")
    await _pass(redis, DOUBLING, "A", -3600)
    assert await _refused(limits, DOUBLING) <= 10


async def test_limits_work_at_maxmemory(limits: RateLimits, redis: "Redis") -> None:
    await redis.config_set("maxmemory", 1)
    try:
        await limits.take(CLOSED, "A")
        await _refused(limits, CLOSED)
        await limits.take(DOUBLING, "A")
        limits.forgive(DOUBLING, "A", "all")
        assert (await limits.take(DOUBLING, "A")).failures == 0
    finally:
        await redis.config_set("maxmemory", 0)


async def test_without_redis_an_open_limit_allows_and_a_closed_one_does_not(away: RedisClient) -> None:
    limits = RateLimits(away, on=True)
    assert await limits.take(SLOW, "A") == Taken()
    with pytest.raises(ApiError, match="unavailable"):
        await limits.take(CLOSED, "A")


async def test_a_bucket_that_is_broken_counts_as_redis_away(limits: RateLimits, redis: "Redis") -> None:
    for limit in (SLOW, CLOSED):
        await redis.sadd(keys.rate_bucket(limit.name, "A"), "oops")
    assert await limits.take(SLOW, "A") == Taken()
    with pytest.raises(ApiError, match="unavailable"):
        await limits.take(CLOSED, "A")


async def test_errors_of_a_closed_limit_are_delayed_but_not_too_many(
    limits: RateLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "MAX_DELAYED", 2)
    monkeypatch.setattr(rate_limits, "DELAY_SECONDS", 0.5)
    slow = Limit("closed", rate=1 / 60, burst=1, closed=True)
    await limits.take(slow, "A")
    started = time.monotonic()

    async def seconds() -> float:
        await _refused(limits, slow)
        return time.monotonic() - started

    held = sorted(await asyncio.gather(*(seconds() for _ in range(4))))
    assert [each >= 0.5 for each in held] == [False, False, True, True]
    assert limits._delayed == 0
    started = time.monotonic()
    await limits.take(QUICK, "A")
    await limits.take(QUICK, "A")
    await _refused(limits, QUICK)
    assert time.monotonic() - started < patient(0.4), "an open limit's refusals are told at once"


async def test_when_switched_off_redis_is_not_asked(away: RedisClient) -> None:
    limits = RateLimits(away, on=False)
    started = time.monotonic()
    for _ in range(50):
        assert await limits.take(CLOSED, "A") == Taken()
    limits.forgive(CLOSED, "A", "all")
    assert time.monotonic() - started < patient(0.1)
    assert away.connections == 0


def test_the_named_limits_follow_the_settings() -> None:
    settings = make_settings(lookups_per_minute=30, lookups_burst=7, sign_ups_per_hour=3)
    assert lookups(settings) == Limit("lookups", 0.5, 7)
    assert sign_ups(settings) == Limit("sign-ups", 3 / 3600, 3, closed=True)


@pytest.fixture
async def clock() -> AsyncIterator[Any]:
    class Clock:
        now = 1000.0

        def __call__(self) -> float:
            return self.now

    return Clock()


def test_a_local_bucket_is_the_same_without_redis(clock: Any) -> None:
    limit = LocalLimit(2, 3, clock)
    for _ in range(3):
        assert limit.wait("A") == 0
        limit.take("A")
    assert (limit.wait("A"), limit.wait("B")) == (0.5, 0)
    clock.now += 0.5
    assert limit.wait("A") == 0


def test_full_local_buckets_are_deleted(clock: Any) -> None:
    limit = LocalLimit(1, 1, clock)
    for number in range(1000):
        limit.take(str(number))
    clock.now += 1
    limit.take("one more")
    assert len(limit) == 1
    for number in range(5000):  # all of them in use: nothing can be thrown away, and it is not tried each time
        limit.take(str(number))
    assert len(limit) == 5001


def test_upgrades_are_counted_by_person_and_by_address() -> None:
    upgrades = Upgrades(
        make_settings(rate_limits="on", upgrades_burst=2, upgrades_per_address_burst=3, upgrades_per_second=0.01)
    )
    assert [upgrades.enter_at_once("A", "here") for _ in range(3)] == [True, True, False]
    with pytest.raises(ApiError, match="rate_limited"):
        upgrades.enter("A")
    upgrades.enter("B")
    upgrades.admit("here")
    with pytest.raises(ApiError) as caught:
        upgrades.admit("here")
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 0.1
    assert not upgrades.enter_at_once("C", "here")
    assert upgrades.enter_at_once("C", "there")


def test_refreshes_are_limited_by_session_and_by_address_without_redis() -> None:
    few = {"refreshes_burst": 2, "refreshes_per_minute": 1, "refreshes_per_address_burst": 3}
    refreshes = Refreshes(make_settings(rate_limits="on", refreshes_per_address_per_second=0.01, **few))
    for call, whose, times in ((refreshes.enter, "a session", 2), (refreshes.admit, "here", 3)):
        for _ in range(times):
            call(whose)
        with pytest.raises(ApiError, match="rate_limited"):
            call(whose)
        call("another")
    free = Refreshes(make_settings(rate_limits="off", **few))
    for _ in range(10):
        free.enter("a session")
        free.admit("here")


def test_upgrades_are_free_when_switched_off() -> None:
    upgrades = Upgrades(make_settings(rate_limits="off", upgrades_burst=1, upgrades_per_address_burst=1))
    assert all(upgrades.enter_at_once("A", "here") for _ in range(10))
    for _ in range(10):
        upgrades.admit("here")
        upgrades.enter("A")
