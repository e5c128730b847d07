"""Virtual time: events run in the order of their times, and at one time in the order in which they were scheduled."""

import heapq
from collections.abc import Callable
from typing import Any, Final

START: Final = 1000.0
"""Seconds. Not 0, which some take for "never"."""
MOST_AT_ONCE: Final = 100_000
"""With more events at one time there is no end to them."""


class EndlessError(Exception):
    """Each event at one time causes another one at the same time."""


class Timer:
    """Something that will be run, if it is not cancelled."""

    __slots__ = ("args", "run")

    def __init__(self, run: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.run: Callable[..., object] | None = run
        self.args = args

    def cancel(self) -> None:
        """Do not run it. A no-op afterwards."""
        self.run, self.args = None, ()


class Timeline:
    """The one clock that never jumps, in seconds."""

    __slots__ = ("_heap", "_number", "now")

    def __init__(self) -> None:
        self.now = START
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = 0

    @property
    def events(self) -> int:
        """How many were scheduled so far."""
        return self._number

    def at(self, when: float, run: Callable[..., object], *args: Any) -> Timer:
        """Run this at that time, or now if it is past."""
        timer = Timer(run, args)
        self._number += 1
        heapq.heappush(self._heap, (max(when, self.now), self._number, timer))
        return timer

    def after(self, seconds: float, run: Callable[..., object], *args: Any) -> Timer:
        """Run this so much later."""
        return self.at(self.now + seconds, run, *args)

    def run_until(self, end: float) -> None:
        """Run all that is due before ``end``, which then is the time.

        :raises EndlessError: time stands still
        """
        heap, at_once = self._heap, 0
        while heap and heap[0][0] <= end:
            when, _, timer = heapq.heappop(heap)
            at_once = at_once + 1 if when == self.now else 0
            if at_once > MOST_AT_ONCE:
                raise EndlessError(f"work without end at one time: {timer.run}")
            self.now = when
            if timer.run is not None:
                timer.run(*timer.args)
        self.now = end
