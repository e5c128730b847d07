"""What waits to leave for one client, and the patience with a client that does not read."""

import asyncio
from collections.abc import Callable
from typing import Final

from protocol.websocket import writer

UNSENT_BYTES: Final = 2**20
"""More than this unsent, and the client is a slow consumer."""
LOW_BYTES: Final = 2**16
PIECE_BYTES: Final = 2**16
"""As much is given to the transport at once; it asks for a pause above the same figure."""
MARK_BYTES: Final = 8


def _nobody() -> None:
    return


class Outgoing:
    """Frames, in order. What one tick of the loop queues is one write."""

    __slots__ = (
        "_deadline", "_drained", "_flushed", "_frames", "_loop", "_mark", "_scheduled", "_stopped", "_stuck",
        "_transport", "_write_seconds", "mark_written", "unsent",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        write_seconds: float,
        flushed: Callable[[], None],
        stuck: Callable[[], None],
    ) -> None:
        """:param flushed: called each time all has been written; ``stuck``: after a write blocked too long."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._write_seconds = write_seconds
        self._flushed, self._stuck = flushed, stuck
        self._frames: list[bytes] = []
        self._mark = 0
        self._scheduled = False
        self._stopped = False
        self._deadline: asyncio.TimerHandle | None = None
        self._drained: Callable[[], None] | None = None
        self.unsent = 0
        self.mark_written = 0

    def put(self, frame: bytes) -> None:
        """Queue a frame. It leaves at the end of the tick, or at once when much is queued by then."""
        if self._stopped:
            return
        self._frames.append(frame)
        self.unsent += len(frame)
        if self.unsent >= PIECE_BYTES and not self.blocked:
            self.flush()
        elif not self._scheduled:
            self.flush_soon()

    def put_ping(self, mark: int) -> None:
        """Queue a ping; ``mark`` rises from ping to ping."""
        self._mark = mark
        self.put(writer.ping(mark.to_bytes(MARK_BYTES, "big")))

    @property
    def overfull(self) -> bool:
        """Whether more waits than one client may cost."""
        return self.unsent > UNSENT_BYTES

    @property
    def blocked(self) -> bool:
        """Whether the transport takes no more for now."""
        return self._deadline is not None

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back once, when little waits; never before this returns. A later one takes its place."""
        self._drained = callback
        self._tell_if_low()

    def drop(self) -> None:
        """Forget what waits."""
        self._frames.clear()
        self.unsent = 0
        self._tell_if_low()

    def stop(self) -> None:
        """Nothing leaves any more, and nobody is told."""
        self._stopped = True
        self._flushed = self._stuck = _nobody
        self.drop()
        if self._deadline is not None:
            self._deadline.cancel()

    def flush_soon(self) -> None:
        """Write at the end of this tick, so that what is queued together leaves together."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits, as far as the transport takes it."""
        self._scheduled = False
        if self._stopped or self._transport.is_closing():
            self.drop()
            return
        while self._frames and not self.blocked:
            self._write_some()
        self._tell_if_low()
        if not self._frames:
            self._flushed()

    def pause(self) -> None:
        """The transport takes no more: the client has ``write_seconds`` to read."""
        if self._deadline is None and not self._stopped:
            self._deadline = self._loop.call_later(self._write_seconds, self._stuck)

    def resume(self) -> None:
        """It takes more again."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self.flush()

    def _write_some(self) -> None:
        frames = self._frames
        if self.unsent <= PIECE_BYTES:
            self._frames, self.unsent, self.mark_written = [], 0, self._mark
        else:
            frames = self._first()
        self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _first(self) -> list[bytes]:
        size, count = 0, 0
        while count < len(self._frames) and size < PIECE_BYTES:
            size += len(self._frames[count])
            count += 1
        frames = self._frames[:count]
        del self._frames[:count]
        self.unsent -= size
        for frame in frames:
            if writer.is_ping(frame):
                self.mark_written = int.from_bytes(frame[-MARK_BYTES:], "big")
        return frames

    def _tell_if_low(self) -> None:
        if self._drained is not None and self.unsent <= LOW_BYTES:
            self._loop.call_soon(self._drained)
            self._drained = None
