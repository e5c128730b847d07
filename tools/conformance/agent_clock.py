"""The clocks of the Python agent: real time passes, and a case moves it on. Installed before the client is imported."""

import asyncio
import random
import time
from typing import Any, Final

_MONOTONIC: Final = time.monotonic
_WALL: Final = time.time
_CHANCE: Final = random.Random().random  # noqa: S311 - jitter of a client, no secret
_SETTLE_SECONDS: Final = 0.003


class Clock:
    """What ``time`` says in this process. The monotonic clock only goes forward; the wall clock may be set wrong."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.wall_error = self._right_at = 0.0

    def install(self) -> None:
        """Everybody who reads a clock of :mod:`time` reads this one; asyncio does, too."""
        time.monotonic = self.now
        time.monotonic_ns = lambda: int(self.now() * 1e9)
        time.perf_counter = self.now
        time.time = self.wall
        time.time_ns = lambda: int(self.wall() * 1e9)

    def now(self) -> float:
        """Monotonic seconds."""
        return _MONOTONIC() + self.ahead

    def wall(self) -> float:
        """Unix time in seconds."""
        return _WALL() + self.ahead - self._right_at + self.wall_error

    def right_wall(self) -> None:
        """For the next case the wall clock is right: the server's does not know what this one was moved on."""
        self.wall_error, self._right_at = 0.0, self.ahead


class Loop(asyncio.SelectorEventLoop):
    """An event loop that can say which timer is due next."""

    def __init__(self) -> None:
        super().__init__()
        self._timers: list[asyncio.TimerHandle] = []

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:  # type: ignore[override]
        """As in asyncio; the timer is noted."""
        timer = super().call_at(when, callback, *args, context=context)
        self._timers.append(timer)
        return timer

    def pending_timers(self) -> list[float]:
        """When the timers are due that are set."""
        now = self.time()
        self._timers = [each for each in self._timers if not each.cancelled() and each.when() > now]
        return [each.when() for each in self._timers]


async def step(loop: Loop, clock: Clock, most: float) -> float:
    """Move on to the next timer, at most so many seconds; what became due then has run. How far it moved."""
    before = clock.now()
    moved = max(0.0, min([*loop.pending_timers(), before + most]) - before)
    clock.ahead += moved
    await settle(loop)
    return moved


async def settle(loop: Loop, seconds: float = _SETTLE_SECONDS) -> None:
    """Let everybody run who can, for a moment of real time that no timer of the loop measures."""
    for _ in range(4):
        await asyncio.sleep(0)
    await loop.run_in_executor(None, time.sleep, seconds)
    for _ in range(4):
        await asyncio.sleep(0)


def set_luck(value: float | None) -> None:
    """All random numbers in [0, 1) are this one. None: chance again. Not those of ``os.urandom`` and ``secrets``."""
    draw = _CHANCE if value is None else (lambda: value)
    random.random = draw
    random.uniform = lambda a, b: a + (b - a) * draw()
    for kind in (random.Random, random.SystemRandom):
        kind.random = lambda _: draw()  # type: ignore[method-assign, assignment]
