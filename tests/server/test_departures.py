"""Leaving at once while it is calm, together while it is busy."""

import asyncio
from collections.abc import Callable

import pytest

from server import departures
from server.departures import BUSY, CALM, LONGEST_SECONDS, Departures


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Departures]:
    """Departures that found this many frames a second."""

    def make(rate: float) -> Departures:
        made = Departures()
        made._measure(rate)
        return made

    return make


async def left_after(made: Departures) -> float:
    loop = asyncio.get_running_loop()
    began, left = loop.time(), asyncio.Event()
    made.add(left.set)
    await asyncio.wait_for(left.wait(), 1)
    return loop.time() - began


async def test_while_it_is_calm_everything_leaves_at_the_end_of_the_tick(
    measured: Callable[[float], Departures],
) -> None:
    gone: list[int] = []
    made = measured(CALM)
    made.add(lambda: gone.append(1))
    made.add(lambda: gone.append(2))
    assert gone == []
    await asyncio.sleep(0)
    assert gone == [1, 2]


async def test_while_it_is_busy_sockets_wait_for_each_other(measured: Callable[[float], Departures]) -> None:
    made = measured(BUSY)
    first = asyncio.create_task(left_after(made))
    await asyncio.sleep(LONGEST_SECONDS / 2)
    assert await left_after(made) < LONGEST_SECONDS
    assert await first >= LONGEST_SECONDS * 0.9


async def test_the_busier_the_longer(measured: Callable[[float], Departures]) -> None:
    waits = [measured(rate)._wait for rate in (0, CALM, (CALM + BUSY) / 2, BUSY, 10 * BUSY)]
    assert waits == [0, 0, LONGEST_SECONDS / 2, LONGEST_SECONDS, LONGEST_SECONDS]


async def test_frames_are_counted_over_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "MEASURE_SECONDS", 0.0)
    made = Departures()
    made.frames = 10**9
    await left_after(made)
    assert (made.frames, made._wait) == (0, LONGEST_SECONDS)
    await asyncio.sleep(0.01)
    await left_after(made)
    assert made._wait == 0


async def test_one_socket_that_fails_holds_up_no_other(measured: Callable[[float], Departures]) -> None:
    def fail() -> None:
        raise ValueError

    made = measured(0)
    made.add(fail)
    assert await left_after(made) < 0.5
