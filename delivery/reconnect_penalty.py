"""A client whose connection was closed for what it sent must wait before it connects again: each time twice as long.

What one connection may send is bounded, but only while it lives. Without a penalty a client that was cut off at its
limit would reconnect at once and have the whole limit again, hundreds of times a second, each time at the cost of an
upgrade.
"""

import asyncio
import time
from typing import Final, NamedTuple

from protocol.errors import ApiError

MAX_SECONDS: Final = 30.0
MAX_WAIT_SECONDS: Final = 4.0
"""How long an upgrade waits for the end of a penalty. An error at once would only cause the next attempt."""
MAX_WAITING: Final = 4
"""Upgrades of one person that wait."""
TIMER_SECONDS: Final = 0.01
"""How early a timer may fire: those of uvloop count whole milliseconds."""
FORGET_SECONDS: Final = 60.0
"""A penalty that ended so long ago does not double the next one."""
FREE_REPLACEMENTS: Final = 3
"""So often a device's connection may be replaced by its next one without a penalty: networks change, pages are
reloaded. Two tabs that always reconnect at once would replace each other without end."""
CLEAN_UP_AT: Final = 1000
"""Penalties, beyond which forgotten ones are deleted."""


class _Penalty(NamedTuple):
    """:param until: by ``time.monotonic``"""

    times: int
    until: float


class ReconnectPenalty:
    """The penalties of one server. Other servers do not know of them."""

    def __init__(self, seconds: float) -> None:
        """:param seconds: of the first penalty; 0 switches penalties off"""
        self._seconds = seconds
        self._penalties: dict[str, _Penalty] = {}
        self._waiting: dict[str, int] = {}
        self._clean_up_at = CLEAN_UP_AT

    def penalize(self, mobile: str) -> None:
        """A connection of this person is closed for what it sent."""
        if self._seconds:
            self._add(mobile, 0)

    def note_replaced(self, mobile: str, device: str) -> None:
        """A connection of this device was replaced by its next one."""
        if self._seconds:
            self._add(_key(mobile, device), FREE_REPLACEMENTS)

    def seconds_left(self, mobile: str, device: str = "") -> float:
        """How long the person, or this device of theirs, still has to wait."""
        now = time.monotonic()
        penalties = (self._penalties.get(mobile), self._penalties.get(_key(mobile, device)))
        return max((each.until - now for each in penalties if each is not None and each.until > now), default=0.0)

    async def wait(self, mobile: str, device: str = "") -> bool:
        """Return when the person may connect, and whether that took any time: much may have changed by then.

        :raises ApiError: ``too_many_requests``: not within ``MAX_WAIT_SECONDS``, or too many wait for this person
        """
        if not self.seconds_left(mobile, device):
            return False
        waiting = self._waiting.get(mobile, 0)
        if waiting >= MAX_WAITING:
            raise ApiError("too_many_requests", retry_after=self.seconds_left(mobile, device))
        self._waiting[mobile] = waiting + 1
        try:
            await asyncio.sleep(min(self.seconds_left(mobile, device), MAX_WAIT_SECONDS))
        finally:
            self._end_wait(mobile)
        if (left := self.seconds_left(mobile, device)) > TIMER_SECONDS:
            raise ApiError("too_many_requests", retry_after=left)
        return True

    def _add(self, key: str, free: int) -> None:
        """:param free: so many times are without a penalty"""
        now = time.monotonic()
        if len(self._penalties) >= self._clean_up_at:
            self._clean_up(now)
        last = self._penalties.get(key)
        times = 0 if last is None or last.until + FORGET_SECONDS < now else last.times
        seconds = min(MAX_SECONDS, self._seconds * 2 ** min(times - free, 10)) if times >= free else 0.0
        self._penalties[key] = _Penalty(times + 1, now + seconds)

    def _end_wait(self, mobile: str) -> None:
        self._waiting[mobile] -= 1
        if not self._waiting[mobile]:
            del self._waiting[mobile]

    def _clean_up(self, now: float) -> None:
        self._penalties = {key: each for key, each in self._penalties.items() if each.until + FORGET_SECONDS >= now}
        self._clean_up_at = max(CLEAN_UP_AT, 2 * len(self._penalties))


def _key(mobile: str, device: str) -> str:
    return f"{mobile} {device}"
