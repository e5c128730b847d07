"""A wall clock that jumps, and jobs that go on."""

import asyncio
import importlib
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.cron import CronJob, cron


@pytest.fixture
def clock(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module; its package needs the environment."""
    for name in ("REDIS_URL", "DATABASE_URL", "JWT_SECRET"):
        monkeypatch.setenv(name, env[name])
    return importlib.import_module("workers.clock")


async def job(_ctx: dict[str, Any]) -> None:
    """Nothing."""


class Clocks:
    """Two clocks by hand."""

    def __init__(self, clock: Any) -> None:
        self.jobs: list[CronJob] = [cron(job, second=set(range(60)))]
        self.jobs[0].next_run = datetime.now(UTC) + timedelta(seconds=1)
        self.ahead = self.now = 1_000.0
        self.watch = clock.ClockWatch(self.jobs, lambda: self.now + self.ahead, lambda: self.now)

    def pass_(self, seconds: float, jump: float = 0.0) -> bool:
        """Look after so much time; whether the jobs begin anew."""
        self.now += seconds
        self.ahead += jump
        self.watch.look()
        return self.jobs[0].next_run is None


@pytest.mark.parametrize("beyond", [-3600.0, 3600.0, -1.0])
def test_after_a_jump_all_jobs_run_once(clock: Any, beyond: float) -> None:
    clocks = Clocks(clock)
    assert clocks.pass_(1, math.copysign(clock.JUMP_SECONDS, beyond) + beyond)
    clocks.jobs[0].next_run = datetime.now(UTC)  # as arq does
    assert not clocks.pass_(1)


def test_a_process_that_stood_still_and_a_clock_that_is_nudged_are_no_jump(clock: Any) -> None:
    clocks = Clocks(clock)
    assert not clocks.pass_(3600)
    for _ in range(100):
        assert not clocks.pass_(1, 0.9)
    assert not clocks.pass_(1, 1 - clock.JUMP_SECONDS)


async def test_it_looks_by_itself(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "LOOK_SECONDS", 0.01)
    clocks = Clocks(clock)
    running = clocks.watch.start()
    clocks.ahead -= 3600
    async with asyncio.timeout(5):
        while clocks.jobs[0].next_run is not None:
            await asyncio.sleep(0.01)
    await running.stop()
