"""When what waits for the clients leaves.

Waking a sleeping reader costs the kernel several times what the bytes cost. While little is said, everything leaves at
the end of its tick of the loop. The more is said, the longer the sockets wait for each other, and then leave together:
the client finds more at each waking, and neighbours on one machine find it awake (docs/decisions/0009).
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

logger = structlog.get_logger(__name__)
CALM: Final = 1_000
"""Frames a second up to which nobody waits."""
BUSY: Final = 3_000
"""Frames a second from which everybody waits for the longest time."""
LONGEST_SECONDS: Final = 0.004
MEASURE_SECONDS: Final = 0.1


class Departures:
    """For all sockets of a worker."""

    __slots__ = ("_due", "_since", "_wait", "frames")

    def __init__(self) -> None:
        self._due: list[Callable[[], None]] = []
        self._since = 0.0
        self._wait = 0.0
        self.frames = 0
        """Queued since the last measurement. Whoever queues one counts it."""

    def add(self, flush: Callable[[], None]) -> None:
        """Call this when it is time, once."""
        self._due.append(flush)
        if len(self._due) > 1:
            return
        loop = asyncio.get_running_loop()
        if self._wait:
            loop.call_later(self._wait, self._leave)
        else:
            loop.call_soon(self._leave)

    def _leave(self) -> None:
        due, self._due = self._due, []
        for flush in due:
            try:
                flush()
            except Exception:
                logger.exception("a socket could not be written to")
        elapsed = asyncio.get_running_loop().time() - self._since
        if elapsed >= MEASURE_SECONDS:
            self._measure(self.frames / elapsed)
            self._since += elapsed
            self.frames = 0

    def _measure(self, rate: float) -> None:
        share = min(1.0, max(0.0, (rate - CALM) / (BUSY - CALM)))
        self._wait = share * LONGEST_SECONDS
