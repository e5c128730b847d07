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
    """Nothing more can be written. Its text says why; it is empty when the reader of our lines has gone."""


class Output:
    """Standard output. A pipe that nobody empties holds up the writer, not the event loop."""

    def __init__(self) -> None:
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()
        self.closed = asyncio.Event()

    @classmethod
    async def open(cls) -> "Output":
        """Standard output of this process."""
        output = cls()
        kind = os.fstat(sys.stdout.fileno()).st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.connect_write_pipe(lambda: _Watching(output.closed), sys.stdout)
            transport.set_write_buffer_limits(high=0)  # drain() returns when everything is with the reader's system
            output._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        return output

    async def line(self, said: dict[str, Any]) -> None:
        """Write one line. When this returns, the system has it.

        A process that is killed meanwhile may have written the beginning of it, if it is longer than 4,096 bytes.

        :raises OutputClosedError: nobody reads any more, or the disk is full
        """
        text = _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(said, ensure_ascii=False))
        data = text.encode("utf-8", "replace") + b"\n"
        async with self._turn:
            try:
                if self._writer is None:
                    while data:
                        data = data[os.write(sys.stdout.fileno(), data) :]
                else:
                    await self._pipe(self._writer, data)
            except OSError as error:
                self.closed.set()
                is_gone = isinstance(error, ConnectionError)  # a broken pipe is one
                why = "" if is_gone else f"standard output cannot be written: {error.strerror}."
                raise OutputClosedError(why) from None

    async def _pipe(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.closed.is_set():
            raise BrokenPipeError
        writer.write(data)
        await writer.drain()
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
