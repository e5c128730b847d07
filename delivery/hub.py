"""The connections of this process, by the person they belong to."""

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import structlog

from background.loops import Failures, Loop, forever
from delivery.reconnect_penalty import ReconnectPenalty
from delivery.work import Work
from protocol.errors import LEASE_LOST, LOGGED_OUT, REPLACED, Close

logger = structlog.get_logger(__name__)
TICK_SECONDS: Final = 1.0


class Member(Protocol):
    """What the hub asks of a connection."""

    @property
    def mobile(self) -> str: ...
    @property
    def connection_id(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    def expect(self) -> None: ...
    def ring(self, stream_id: str) -> None: ...
    def close(self, close: Close) -> None: ...
    def drain(self, retry_after: float) -> None: ...
    def tick(self, now: float) -> None: ...


class Hub:
    """Finds connections; keeps the tasks that live for them, for those must not hang on a request's task."""

    def __init__(self, lease_seconds: float, cooldown_seconds: float = 0) -> None:
        self._lease_seconds = lease_seconds
        self.cooldown = ReconnectPenalty(cooldown_seconds)
        self.work = Work()
        self._members: dict[str, dict[str, Member]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ticker: Loop | None = None
        self._failures = Failures("a connection's tick")
        self._ticked = time.monotonic()

    def __len__(self) -> int:
        return sum(len(each) for each in self._members.values())

    def enter(self, member: Member) -> None:
        """From now on rings reach it."""
        self._members.setdefault(member.mobile, {})[member.connection_id] = member

    def leave(self, member: Member) -> bool:
        """Rings reach it no more; returns whether it was the person's last one here."""
        mine = self._members.get(member.mobile, {})
        mine.pop(member.connection_id, None)
        if not mine:
            self._members.pop(member.mobile, None)
        return not mine

    def members(self) -> list[Member]:
        """All, at this moment."""
        return [member for mine in self._members.values() for member in mine.values()]

    def expect(self, mobile: str) -> None:
        """What stores something for this person has just left for Redis: a read that leaves behind it finds it, and one
        trip is saved. Nothing depends on it; the ring follows."""
        for member in self._members.get(mobile, {}).values():
            try:
                member.expect()
            except Exception:
                logger.exception("somebody could not expect anything")  # whoever stored it has nothing to do with that

    def ring(self, mobile: str, stream_id: str) -> None:
        """Something waits for this person; "" means: look whatever you have read."""
        for member in self._members.get(mobile, {}).values():
            member.ring(stream_id)

    def ring_all(self) -> None:
        """Rings may have been lost."""
        for member in self.members():
            member.ring("")

    def replaced(self, mobile: str, connection_id: str) -> None:
        """This connection's device has a newer one."""
        member = self._members.get(mobile, {}).get(connection_id)
        if member is not None:
            member.close(REPLACED)

    def close_session(self, session_id: str, close: Close = LOGGED_OUT) -> None:
        """End the sockets of a session."""
        for member in self.members():
            if member.session_id == session_id:
                member.close(close)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run work that outlives whoever asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start(self) -> None:
        """Begin to tick."""
        self._ticked = time.monotonic()
        self._ticker = forever("ticker", self._tick, TICK_SECONDS)

    async def drain(self) -> None:
        """Say goodbye to everybody and wait until all have left."""
        everybody = self.members()
        spread = max(1.0, len(everybody) / 500)
        for member in everybody:
            member.drain(round(random.uniform(0.2, spread), 2))  # noqa: S311 - a spread, not a secret
        while self._members:
            await asyncio.sleep(0.02)
        if self._ticker is not None:
            self._ticker.cancel()

    async def _tick(self) -> None:
        now = time.monotonic()
        frozen = now - self._ticked > self._lease_seconds
        self._ticked = now
        for member in self.members():
            try:
                if frozen:
                    # Nobody renewed for so long that others saw these people offline: start again, in good order.
                    member.close(LEASE_LOST)
                else:
                    member.tick(now)
            except Exception as error:  # noqa: BLE001 - logged; the other connections get their tick
                self._failures.failed(error, foreseen=False)
        if frozen:
            logger.error("this process stood still for longer than a lease")
