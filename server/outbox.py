"""What waits to leave on one socket, and the patience with a client that does not read."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from server.wire import Wire

UNSENT_BYTES: Final = 2**20
"""More than this unsent, and the client is a slow consumer."""
LOW_BYTES: Final = 2**16
MARK_BYTES: Final = 8


class Outbox:
    """Texts (bytes) and pings (their marks), in order. A task exists only while the client does not read."""

    def __init__(self, wire: Wire, write_seconds: float, flushed: Callable[[], None], stuck: Callable[[], None]):
        """:param flushed: called each time all has been written; ``stuck``: after a write blocked too long."""
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._write_seconds = write_seconds
        self._flushed, self._stuck = flushed, stuck
        self._queue: deque[bytes | int] = deque()
        self._low = asyncio.Event()
        self._low.set()
        self._scheduled = False
        self._waiting: asyncio.Task[None] | None = None
        self.unsent = 0
        self.mark_written = 0

    def put(self, item: bytes | int) -> None:
        """Queue a text, or the mark of a ping."""
        self._queue.append(item)
        if isinstance(item, bytes):
            self.unsent += len(item)
            if self.unsent > LOW_BYTES:
                self._low.clear()
        self.flush_soon()

    @property
    def overfull(self) -> bool:
        """Whether more waits than one client may cost."""
        return self.unsent > UNSENT_BYTES

    def drop(self) -> None:
        """Forget what waits."""
        self._queue.clear()
        self.unsent = 0
        self._low.set()

    async def drained(self) -> None:
        """Return when little waits."""
        await self._low.wait()

    def flush_soon(self) -> None:
        """Write at the end of this tick, so that what is queued together leaves together."""
        if not self._scheduled and self._waiting is None:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def watch_if_blocked(self) -> None:
        """Give the client ``write_seconds`` to read, if the transport takes no more."""
        if not self._wire.writable and self._waiting is None:
            self._waiting = self._loop.create_task(self._wait())

    def _flush(self) -> None:
        self._scheduled = False
        if not self._wire.open:
            self.drop()
        while self._queue and self._wire.writable:
            self._write(self._queue.popleft())
        if self.unsent <= LOW_BYTES:
            self._low.set()
        if self._queue:
            self.watch_if_blocked()
        else:
            self._flushed()

    def _write(self, item: bytes | int) -> None:
        if isinstance(item, int):
            self._wire.machine.send_ping(item.to_bytes(MARK_BYTES, "big"))
            self.mark_written = item
        else:
            self.unsent -= len(item)
            self._wire.machine.send_text(item)
        self._wire.write()

    async def _wait(self) -> None:
        try:
            await self._wire.writable_again(self._write_seconds)
        except TimeoutError:
            self._stuck()
            return
        self._waiting = None
        self._flush()
