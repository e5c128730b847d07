"""Pings, and the end of clients that answer none: one task for all sockets of a worker.

The sockets are spread over buckets and one bucket is pinged at a time, because pinging ten thousand in one turn of the
loop holds up everything else for a tenth of a second.
"""

import asyncio
import itertools
from typing import Final, Protocol

from background.loops import Failures, Loop, forever
from protocol.errors import UNREACHABLE, Close

BUCKETS: Final = 40
MISSES: Final = 2
LATE_PART: Final = 0.25
"""Part of a period that is made up for: a client that is pinged late has so much less time until the next ping."""


class WatchedSocket(Protocol):
    """What a socket needs to be watched."""

    def ping(self) -> int:
        """Send a ping."""

    def take_activity(self) -> bool:
        """Whether any frame or pong came since the last call."""

    def close_now(self, close: Close) -> None:
        """Close it at once."""


class Heartbeat:
    """Pings every socket once per ``ping_seconds``; ends it when two of these pings in a row brought nothing.

    Any frame counts as an answer. Each ping has a period to be answered, less what the one before it came late, so a
    vanished client is ended two to three periods after its last frame, however busy the loop is.
    """

    def __init__(self, ping_seconds: float) -> None:
        self._ping_seconds = ping_seconds
        self._buckets: list[dict[WatchedSocket, int]] = [
            {} for _ in range(BUCKETS)
        ]  # socket -> pings since the last frame
        self._bucket_of: dict[WatchedSocket, dict[WatchedSocket, int]] = {}
        self._filling = itertools.cycle(self._buckets)
        self._due = itertools.cycle(self._buckets)
        self._due_at = 0.0
        self._loop: Loop | None = None
        self._failures = Failures("a socket's ping")

    def __len__(self) -> int:
        return len(self._bucket_of)

    def add(self, socket: WatchedSocket) -> None:
        """Watch a socket. Its first ping goes out within a period."""
        bucket = next(self._filling)
        bucket[socket] = 0
        self._bucket_of[socket] = bucket

    def remove(self, socket: WatchedSocket) -> None:
        """Watch it no longer; a no-op when it is not watched."""
        bucket = self._bucket_of.pop(socket, None)
        if bucket is not None:
            bucket.pop(socket, None)

    def sockets(self) -> list[WatchedSocket]:
        """All that are watched: the open sockets of this worker."""
        return list(self._bucket_of)

    def start(self) -> None:
        """Begin. Not through ``app.add_task``: Sanic cancels those at SIGTERM, before the drain."""
        self._due_at = asyncio.get_running_loop().time()
        self._loop = forever("pings", self._ping_next)

    def stop(self) -> None:
        """End; may be called without a start."""
        if self._loop is not None:
            self._loop.cancel()

    async def _ping_next(self) -> None:
        """Wait for the next bucket's time; then ping it, and the buckets whose time has come meanwhile."""
        now, step = asyncio.get_running_loop().time, self._ping_seconds / BUCKETS
        # On a busy loop every sleep is a little too long: forty of them would make two periods of one.
        self._due_at += step
        if (late := now() - self._due_at) < 0:
            await asyncio.sleep(-late)
        elif late > LATE_PART * self._ping_seconds:
            self._due_at += late
        self._ping(next(self._due))
        # However long pinging takes, other work gets its turn.
        while 0 <= now() - self._due_at - step <= LATE_PART * self._ping_seconds:
            self._due_at += step
            self._ping(next(self._due))

    def _ping(self, bucket: dict[WatchedSocket, int]) -> None:
        for socket in list(bucket):
            try:
                self._beat(socket, bucket)
            except Exception as error:  # noqa: BLE001 - logged; the other sockets get their ping
                self._failures.failed(error, foreseen=False)

    def _beat(self, socket: WatchedSocket, bucket: dict[WatchedSocket, int]) -> None:
        unanswered = 0 if socket.take_activity() else bucket[socket]
        if unanswered >= MISSES:
            self.remove(socket)
            socket.close_now(UNREACHABLE)
            return
        bucket[socket] = unanswered + 1
        socket.ping()
