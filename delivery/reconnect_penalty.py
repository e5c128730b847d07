"""Who had to be cut off has to wait before he comes in again: each time twice as long.

What a connection may send is bounded, but only as long as it lives. Without this a client that is cut off at its bound
comes back at once and has it all again, hundreds of times a second, and each time at the price of an upgrade.
"""

import asyncio
import time
from typing import Final, NamedTuple

from protocol.errors import ApiError

MOST_SECONDS: Final = 30.0
HELD_SECONDS: Final = 4.0
"""So long he is kept at the door. A refusal at once would only be answered by the next attempt."""
HELD_AT_ONCE: Final = 4
EARLY_SECONDS: Final = 0.01
"""A timer of uvloop's counts whole milliseconds."""
FORGOTTEN_SECONDS: Final = 60.0
REPLACED_FREELY: Final = 3
"""So often a device's connection may be replaced by its next one without a wait: networks change, pages are reloaded.
Two tabs that reconnect at once end each other again and again."""
TIDIED_AT: Final = 1000


class _Mark(NamedTuple):
    times: int
    until: float


class ReconnectPenalty:
    """Those of one server. Others do not know of them."""

    def __init__(self, seconds: float) -> None:
        """:param seconds: to wait after the first time; 0 switches it off"""
        self._seconds = seconds
        self._marks: dict[str, _Mark] = {}
        self._held: dict[str, int] = {}
        self._tidy_at = TIDIED_AT

    def offended(self, mobile: str) -> None:
        """A connection of his is closed for what it sent."""
        if not self._seconds:
            return
        self._count(mobile, 0)

    def replaced(self, mobile: str, device: str) -> None:
        """A connection of this device was replaced by its next one."""
        if self._seconds:
            self._count(_of_device(mobile, device), REPLACED_FREELY)

    def left(self, mobile: str, device: str = "") -> float:
        """Seconds the person, or this device of theirs, still has to wait."""
        now, marks = time.monotonic(), (self._marks.get(mobile), self._marks.get(_of_device(mobile, device)))
        return max((mark.until - now for mark in marks if mark is not None and mark.until > now), default=0.0)

    async def wait(self, mobile: str, device: str = "") -> bool:
        """Return when he may come in, and whether that took any time: much may have changed by then.

        :raises ApiError: ``too_many_requests``: not within ``HELD_SECONDS``, or too many of his wait already
        """
        if not self.left(mobile, device):
            return False
        held = self._held.get(mobile, 0)
        if held >= HELD_AT_ONCE:
            raise ApiError("too_many_requests", retry_after=self.left(mobile, device))
        self._held[mobile] = held + 1
        try:
            await asyncio.sleep(min(self.left(mobile, device), HELD_SECONDS))
        finally:
            self._let_go(mobile)
        if (left := self.left(mobile, device)) > EARLY_SECONDS:
            raise ApiError("too_many_requests", retry_after=left)
        return True

    def _count(self, key: str, free: int) -> None:
        """:param free: so many times cost no wait"""
        now = time.monotonic()
        if len(self._marks) >= self._tidy_at:
            self._tidy(now)
        mark = self._marks.get(key)
        times = 0 if mark is None or mark.until + FORGOTTEN_SECONDS < now else mark.times
        wait = min(MOST_SECONDS, self._seconds * 2 ** min(times - free, 10)) if times >= free else 0.0
        self._marks[key] = _Mark(times + 1, now + wait)

    def _let_go(self, mobile: str) -> None:
        self._held[mobile] -= 1
        if not self._held[mobile]:
            del self._held[mobile]

    def _tidy(self, now: float) -> None:
        self._marks = {who: mark for who, mark in self._marks.items() if mark.until + FORGOTTEN_SECONDS >= now}
        self._tidy_at = max(TIDIED_AT, 2 * len(self._marks))


def _of_device(mobile: str, device: str) -> str:
    return f"{mobile} {device}"
