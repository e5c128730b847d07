"""Who was cut off waits."""

import asyncio
import time

import pytest

from delivery import reconnect_penalty as module
from delivery.reconnect_penalty import FORGOTTEN_SECONDS, HELD_AT_ONCE, MOST_SECONDS, TIDIED_AT, ReconnectPenalty
from protocol.errors import ApiError

ASHA, RAVI = "9100000001", "9100000002"


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_each_time_he_waits_twice_as_long_and_nobody_else_does(clock: Clock) -> None:
    cooldown = ReconnectPenalty(1.0)
    waits = []
    for _ in range(7):
        cooldown.offended(ASHA)
        waits.append(cooldown.left(ASHA))
        clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, MOST_SECONDS, MOST_SECONDS]
    assert cooldown.left(ASHA) == 0
    assert cooldown.left(RAVI) == 0


def test_a_minute_of_good_manners_and_it_is_forgotten(clock: Clock) -> None:
    cooldown = ReconnectPenalty(1.0)
    cooldown.offended(ASHA)
    clock.now += 1 + FORGOTTEN_SECONDS - 1
    cooldown.offended(ASHA)
    assert cooldown.left(ASHA) == 2
    clock.now += 2 + FORGOTTEN_SECONDS + 1
    cooldown.offended(ASHA)
    assert cooldown.left(ASHA) == 1


def test_it_can_be_switched_off(clock: Clock) -> None:
    cooldown = ReconnectPenalty(0)
    cooldown.offended(ASHA)
    assert cooldown.left(ASHA) == 0
    assert not cooldown._marks


def test_it_keeps_no_more_people_than_it_must(clock: Clock) -> None:
    cooldown = ReconnectPenalty(1.0)
    for number in range(TIDIED_AT):
        cooldown.offended(str(number))
    clock.now += 2 + FORGOTTEN_SECONDS
    cooldown.offended(ASHA)
    assert list(cooldown._marks) == [ASHA]
    for number in range(3 * TIDIED_AT):
        cooldown.offended(str(number))
    assert len(cooldown._marks) == 3 * TIDIED_AT + 1, "nobody whose time is not over is let off"
    clock.now += 2 + FORGOTTEN_SECONDS
    for number in range(2 * TIDIED_AT):
        cooldown.offended(f"new {number}")
    assert len(cooldown._marks) == 2 * TIDIED_AT


async def test_who_need_not_wait_does_not() -> None:
    assert not await asyncio.wait_for(ReconnectPenalty(1.0).wait(ASHA), 0.1)


async def test_he_is_kept_until_his_time_is_over() -> None:
    cooldown = ReconnectPenalty(0.2)
    cooldown.offended(ASHA)
    before = time.monotonic()
    assert await cooldown.wait(ASHA)
    assert 0.19 <= time.monotonic() - before < 1
    assert not cooldown._held


async def test_a_timer_that_is_early_refuses_nobody(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    async def sleep(seconds: float) -> None:
        clock.now += seconds - 0.001

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    cooldown = ReconnectPenalty(1.0)
    cooldown.offended(ASHA)
    await cooldown.wait(ASHA)
    assert 0 < cooldown.left(ASHA) < 0.002


async def test_who_offends_again_while_he_waits_is_refused(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    cooldown = ReconnectPenalty(1.0)

    async def sleep(seconds: float) -> None:
        cooldown.offended(ASHA)
        clock.now += seconds

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    cooldown.offended(ASHA)
    with pytest.raises(ApiError) as caught:
        await cooldown.wait(ASHA)
    assert caught.value.retry_after == 1


async def test_who_has_to_wait_for_longer_is_kept_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_SECONDS", 0.1)
    cooldown = ReconnectPenalty(5.0)
    cooldown.offended(ASHA)
    before = time.monotonic()
    with pytest.raises(ApiError) as caught:
        await cooldown.wait(ASHA)
    assert 0.09 <= time.monotonic() - before < 1
    assert caught.value.code == "too_many_requests"
    assert 4 < (caught.value.retry_after or 0) < 5


async def test_only_a_few_of_one_person_are_kept(clock: Clock) -> None:
    cooldown = ReconnectPenalty(1.0)
    cooldown.offended(ASHA)
    kept = [asyncio.ensure_future(cooldown.wait(ASHA)) for _ in range(HELD_AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(ApiError) as caught:
        await cooldown.wait(ASHA)
    assert caught.value.code == "too_many_requests"
    for task in kept:
        task.cancel()
    await asyncio.gather(*kept, return_exceptions=True)
    assert not cooldown._held, "who gave up makes room"


async def test_a_device_replaced_again_and_again_waits_and_nobody_else() -> None:
    cooldown = ReconnectPenalty(10)
    for _ in range(module.REPLACED_FREELY):
        cooldown.replaced("1", "phone")
        assert cooldown.left("1", "phone") == 0
    for wait in (10, 20, 30, 30):
        cooldown.replaced("1", "phone")
        assert wait - 1 < cooldown.left("1", "phone") <= wait
    assert cooldown.left("1", "laptop") == cooldown.left("1") == cooldown.left("2", "phone") == 0
    with pytest.raises(ApiError, match="too_many_requests"):
        await asyncio.gather(*[cooldown.wait("1", "phone") for _ in range(HELD_AT_ONCE + 1)])
