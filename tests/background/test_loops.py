"""One supervisor for all background loops: what fails is told and done again, what is stopped ends."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from background import loops
from background.loops import Loop, forever
from tests.support.processes import patient


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "PAUSE_SECONDS", 0.01)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


class Works:
    """Fails as often as it is told to."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.rounds = 0

    async def __call__(self) -> None:
        self.rounds += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)


async def test_it_is_done_again_and_again() -> None:
    work = Works()
    loop = forever("work", work, 0.001)
    assert loop.age is None
    await until(lambda: work.rounds > 3)
    assert loop.age is not None
    assert loop.age < patient(1)
    await loop.stop()
    rounds = work.rounds
    await asyncio.sleep(0.02)
    assert work.rounds == rounds


async def test_what_fails_is_told_once_with_its_traceback_and_goes_on() -> None:
    work = Works(*[KeyError("why")] * 5)
    with capture_logs() as logs:
        loop = forever("work", work, 0.001)
        await until(lambda: work.rounds > 7)
        await loop.stop()
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("a background loop failed and goes on", "error"),
        ("a background loop works again", "info"),
    ]
    assert logs[0]["loop"] == "work"
    assert logs[0]["error"] == "KeyError"
    assert isinstance(logs[0]["exc_info"], KeyError)


async def test_a_long_failure_is_told_again_with_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "REPORT_SECONDS", 0.1)
    work = Works(*[KeyError("why")] * 1000)
    with capture_logs() as logs:
        loop = forever("work", work)
        await until(lambda: len(logs) > 2)
        await loop.stop()
    assert logs[0]["failures"] == 1
    assert all(line["failures"] > 1 for line in logs[1:])
    assert sum(line["failures"] for line in logs) <= work.rounds
    assert loop.age is None


async def test_what_was_foreseen_comes_without_a_traceback() -> None:
    with capture_logs() as logs:
        loop = forever("work", Works(OSError("away")), 0.001, (OSError,))
        await until(lambda: len(logs) > 1)
        await loop.stop()
    assert logs[0]["log_level"] == "warning"
    assert "exc_info" not in logs[0]


async def test_a_cancellation_that_is_not_ours_does_not_end_it() -> None:
    work = Works(asyncio.CancelledError())
    with capture_logs() as logs:
        loop = forever("work", work, 0.001)
        await until(lambda: work.rounds > 2)
        await loop.stop()
    assert logs[0]["error"] == "CancelledError"


async def test_it_can_be_wanted_sooner() -> None:
    work = Works()
    loop = forever("work", work, 60)
    await until(lambda: work.rounds == 1)
    loop.soon()
    await until(lambda: work.rounds == 2)
    await loop.stop()


async def test_work_that_never_waits_does_not_stop_the_event_loop() -> None:
    async def nothing() -> None:
        return

    loop = forever("work", nothing)
    await asyncio.wait_for(asyncio.sleep(0.02), 5)
    await loop.stop()


async def slow(started: asyncio.Event, ended: list[str]) -> None:
    started.set()
    try:
        await asyncio.sleep(0.1)
        ended.append("by itself")
    except asyncio.CancelledError:
        ended.append("cut off")
        raise


@pytest.mark.parametrize(("patience", "how"), [(5.0, "by itself"), (0.01, "cut off"), (0.0, "cut off")])
async def test_stopping_lets_work_under_way_end_for_as_long_as_it_is_told(patience: float, how: str) -> None:
    started, ended = asyncio.Event(), list[str]()
    loop = forever("work", lambda: slow(started, ended))
    await started.wait()
    await loop.stop(patience)
    assert ended == [how]


async def test_a_process_that_ends_takes_it_along() -> None:
    """As ``asyncio.run`` does at its end: it cancels all there is."""
    loops_made: list[Loop] = []

    async def main() -> None:
        loops_made.append(forever("work", Works(), 60))
        await asyncio.sleep(0.01)

    await asyncio.to_thread(asyncio.run, main())
    assert loops_made[0]._task.cancelled()
