"""A client whose connection was closed for what it sent must wait before it connects again."""

import asyncio
import time

import pytest

from delivery import reconnect_penalty as module
from delivery.reconnect_penalty import CLEAN_UP_AT, FORGET_SECONDS, MAX_SECONDS, MAX_WAITING, ReconnectPenalty
from protocol.errors import ApiError
from tests.support.processes import patient

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


def test_each_penalty_is_twice_as_long_and_for_one_person_only(clock: Clock) -> None:
    penalty = ReconnectPenalty(1.0)
    waits = []
    for _ in range(7):
        penalty.penalize(ASHA)
        waits.append(penalty.seconds_left(ASHA))
        clock.now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, MAX_SECONDS, MAX_SECONDS]
    assert penalty.seconds_left(ASHA) == 0
    assert penalty.seconds_left(RAVI) == 0


def test_after_a_minute_without_one_penalties_start_anew(clock: Clock) -> None:
    penalty = ReconnectPenalty(1.0)
    penalty.penalize(ASHA)
    clock.now += 1 + FORGET_SECONDS - 1
    penalty.penalize(ASHA)
    assert penalty.seconds_left(ASHA) == 2
    clock.now += 2 + FORGET_SECONDS + 1
    penalty.penalize(ASHA)
    assert penalty.seconds_left(ASHA) == 1


def test_it_can_be_switched_off(clock: Clock) -> None:
    penalty = ReconnectPenalty(0)
    penalty.penalize(ASHA)
    assert penalty.seconds_left(ASHA) == 0
    assert not penalty._penalties


def test_forgotten_penalties_are_deleted(clock: Clock) -> None:
    penalty = ReconnectPenalty(1.0)
    for number in range(CLEAN_UP_AT):
        penalty.penalize(str(number))
    clock.now += 2 + FORGET_SECONDS
    penalty.penalize(ASHA)
    assert list(penalty._penalties) == [ASHA]
    for number in range(3 * CLEAN_UP_AT):
        penalty.penalize(str(number))
    assert len(penalty._penalties) == 3 * CLEAN_UP_AT + 1, "a penalty that is not over is never deleted"
    clock.now += 2 + FORGET_SECONDS
    for number in range(2 * CLEAN_UP_AT):
        penalty.penalize(f"new {number}")
    assert len(penalty._penalties) == 2 * CLEAN_UP_AT


async def test_without_a_penalty_nobody_waits() -> None:
    assert not await asyncio.wait_for(ReconnectPenalty(1.0).wait(ASHA), 0.1)


async def test_a_wait_ends_with_the_penalty() -> None:
    penalty = ReconnectPenalty(0.2)
    penalty.penalize(ASHA)
    before = time.monotonic()
    assert await penalty.wait(ASHA)
    assert 0.19 <= time.monotonic() - before < patient(1)
    assert not penalty._waiting


async def test_a_timer_that_fires_early_is_no_error(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    async def sleep(seconds: float) -> None:
        clock.now += seconds - 0.001

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    penalty = ReconnectPenalty(1.0)
    penalty.penalize(ASHA)
    await penalty.wait(ASHA)
    assert 0 < penalty.seconds_left(ASHA) < 0.002


async def test_a_new_penalty_during_the_wait_is_an_error(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    penalty = ReconnectPenalty(1.0)

    async def sleep(seconds: float) -> None:
        penalty.penalize(ASHA)
        clock.now += seconds

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    penalty.penalize(ASHA)
    with pytest.raises(ApiError) as caught:
        await penalty.wait(ASHA)
    assert caught.value.retry_after == 1


async def test_a_penalty_longer_than_the_wait_is_an_error_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAIT_SECONDS", 0.1)
    penalty = ReconnectPenalty(5.0)
    penalty.penalize(ASHA)
    before = time.monotonic()
    with pytest.raises(ApiError) as caught:
        await penalty.wait(ASHA)
    assert 0.09 <= time.monotonic() - before < patient(1)
    assert caught.value.code == "too_many_requests"
    assert 4 < (caught.value.retry_after or 0) < 5


async def test_only_a_few_upgrades_of_one_person_wait(clock: Clock) -> None:
    penalty = ReconnectPenalty(1.0)
    penalty.penalize(ASHA)
    waiting = [asyncio.ensure_future(penalty.wait(ASHA)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(ApiError) as caught:
        await penalty.wait(ASHA)
    assert caught.value.code == "too_many_requests"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not penalty._waiting, "an upgrade that gave up makes room"


async def test_a_device_replaced_again_and_again_gets_a_penalty_of_its_own() -> None:
    penalty = ReconnectPenalty(10)
    for _ in range(module.FREE_REPLACEMENTS):
        penalty.note_replaced("1", "phone")
        assert penalty.seconds_left("1", "phone") == 0
    for wait in (10, 20, 30, 30):
        penalty.note_replaced("1", "phone")
        assert wait - 1 < penalty.seconds_left("1", "phone") <= wait
    assert penalty.seconds_left("1", "laptop") == penalty.seconds_left("1") == penalty.seconds_left("2", "phone") == 0
    with pytest.raises(ApiError, match="too_many_requests"):
        await asyncio.gather(*[penalty.wait("1", "phone") for _ in range(MAX_WAITING + 1)])
