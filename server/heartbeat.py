"""Pings, and the end of clients that answer none: one task for all sockets of a worker.

The sockets are spread over buckets and one bucket is pinged at a time, because pinging ten thousand in one tick
holds up everything else for a tenth of a second.
"""

import asyncio
import itertools
from typing import Final, Protocol

from background.loops import Failures, Loop, forever
from protocol.errors import UNREACHABLE, Close

BUCKETS: Final = 40
MISSES: Final = 2
LATEST: Final = 0.25
"""Part of a period that is made up for: who is pinged late has so much less time to answer the next ping."""


class Beating(Protocol):
    """What a socket needs to be watched."""

    def ping(self) -> int:
        """Send a ping."""

    def take_evidence(self) -> bool:
        """Whether any frame or pong came since the last call."""

    def end(self, close: Close) -> None:
        """End it now."""


class Heartbeat:
    """Pings every socket once per ``ping_seconds``; ends it when two of these pings in a row brought nothing.

    Any frame counts as an answer. Each ping has a period to be answered, less what the one before it came late, so a
    vanished client is ended two to three periods after its last frame, however busy the loop is.
    """

    def __init__(self, ping_seconds: float) -> None:
        self._ping_seconds = ping_seconds
        self._buckets: list[dict[Beating, int]] = [{} for _ in range(BUCKETS)]  # socket -> pings since the last frame
        self._where: dict[Beating, dict[Beating, int]] = {}
        self._next = itertools.cycle(self._buckets)
        self._turns = itertools.cycle(self._buckets)
        self._moment = 0.0
        self._loop: Loop | None = None
        self._failures = Failures("a socket's ping")

    def __len__(self) -> int:
        return len(self._where)

    def add(self, socket: Beating) -> None:
        """Watch a socket. Its first ping goes out within a period."""
        bucket = next(self._next)
        bucket[socket] = 0
        self._where[socket] = bucket

    def remove(self, socket: Beating) -> None:
        """Watch it no longer; a no-op when it is not watched."""
        bucket = self._where.pop(socket, None)
        if bucket is not None:
            bucket.pop(socket, None)

    def sockets(self) -> list[Beating]:
        """All that are watched: the open sockets of this worker."""
        return list(self._where)

    def start(self) -> None:
        """Begin. Not through ``app.add_task``: Sanic cancels those at SIGTERM, before the drain."""
        self._moment = asyncio.get_running_loop().time()
        self._loop = forever("pings", self._ping_next)

    def stop(self) -> None:
        """End; may be called without a start."""
        if self._loop is not None:
            self._loop.cancel()

    async def _ping_next(self) -> None:
        """Wait for the next bucket's time; then this one, and those whose time has come meanwhile."""
        now, step = asyncio.get_running_loop().time, self._ping_seconds / BUCKETS
        # On a busy loop every sleep is a little too long: forty of them would make two periods of one.
        self._moment += step
        if (late := now() - self._moment) < 0:
            await asyncio.sleep(-late)
        elif late > LATEST * self._ping_seconds:
            self._moment += late
        self._ping(next(self._turns))
        # Whatever pinging takes, others get their turn.
        while 0 <= now() - self._moment - step <= LATEST * self._ping_seconds:
            self._moment += step
            self._ping(next(self._turns))

    def _ping(self, bucket: dict[Beating, int]) -> None:
        for socket in list(bucket):
            try:
                self._beat(socket, bucket)
            except Exception as error:  # noqa: BLE001 - logged; the other sockets get their ping
                self._failures.failed(error, foreseen=False)

    def _beat(self, socket: Beating, bucket: dict[Beating, int]) -> None:
        unanswered = 0 if socket.take_evidence() else bucket[socket]
        if unanswered >= MISSES:
            self.remove(socket)
            socket.end(UNREACHABLE)
            return
        bucket[socket] = unanswered + 1
        socket.ping()
