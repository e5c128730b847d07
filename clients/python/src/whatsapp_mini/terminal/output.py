"""Lines of JSON on standard output, each of them written in full before the next step is taken."""

import asyncio
import json
import os
import re
import stat
import sys
from typing import Any, Final

_ACTS: Final = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What JSON may hold as it is, and a terminal obeys: C1 controls (U+009B begins a sequence as ESC [ does), and marks
that turn the direction of what follows them."""


class OutputClosedError(Exception):
    """The reader of our lines has gone."""


class Output:
    """Standard output. A pipe that nobody empties holds up the writer, not the event loop."""

    def __init__(self, writer: asyncio.StreamWriter | None) -> None:
        self._writer = writer
        self._turn = asyncio.Lock()
        self.closed = asyncio.Event()

    @classmethod
    async def open(cls) -> "Output":
        """Standard output of this process."""
        descriptor = sys.stdout.fileno()
        kind = os.fstat(descriptor).st_mode
        if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
            return cls(None)
        output = cls(None)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(lambda: _Watching(output.closed), sys.stdout)
        transport.set_write_buffer_limits(high=0)  # so that drain() returns when everything is with the reader's system
        output._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        return output

    async def line(self, said: dict[str, Any]) -> None:
        """Write one line. When this returns, the system has it.

        :raises OutputClosedError: nobody reads any more
        """
        async with self._turn:
            text = _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(said, ensure_ascii=False))
            data = text.encode("utf-8", "replace") + b"\n"
            try:
                await self._write(data)
            except ConnectionError:  # a broken pipe is one
                self.closed.set()
                raise OutputClosedError from None

    async def _write(self, data: bytes) -> None:
        if self._writer is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        if self.closed.is_set():
            raise BrokenPipeError
        self._writer.write(data)
        await self._writer.drain()
        if self.closed.is_set():
            raise BrokenPipeError


class _Watching(asyncio.streams.FlowControlMixin):
    """Notes that the reader has gone, also while nothing is written."""

    def __init__(self, closed: asyncio.Event) -> None:
        super().__init__()
        self._closed = closed

    def connection_lost(self, exc: Exception | None) -> None:
        """The pipe is closed at the other end."""
        self._closed.set()
        super().connection_lost(exc)
