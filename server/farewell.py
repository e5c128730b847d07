"""How one socket ends: a last word, our half of TCP closed, and a cut for who does not do his part in time."""

import asyncio
from typing import Final

from protocol.websocket import writer

GRACE_SECONDS: Final = 1.0
"""How long the other side may take to read a last word and to close its half of TCP, before we cut."""


class Farewell:
    """Writes straight to the transport: whatever is queued has been written or dropped by then."""

    __slots__ = ("_cut", "_loop", "_transport", "said")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._cut: asyncio.TimerHandle | None = None
        self.said = False
        """Whether the close frame was written. No frame may follow it."""

    def say(self, code: int, reason: str) -> None:
        """Write the close frame, unless one was written."""
        if not self.said and not self._transport.is_closing():
            self.said = True
            self._transport.write(writer.goodbye(code, reason))

    def finish(self) -> None:
        """Write nothing more; the client has a moment to close its half.

        Closing both halves with bytes still arriving makes the kernel send a reset, which can overtake our goodbye.
        """
        self.cut_after(GRACE_SECONDS)
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def cut_after(self, seconds: float) -> None:
        """Cut TCP then, or when an earlier call said."""
        when = self._loop.time() + seconds
        if self._cut is not None and self._cut.when() <= when:
            return
        self.over()
        self._cut = self._loop.call_at(when, self._transport.abort)

    def over(self) -> None:
        """TCP is gone: nothing is left to cut."""
        if self._cut is not None:
            self._cut.cancel()
