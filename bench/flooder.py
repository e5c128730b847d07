"""A hostile client, in a process of its own: ``python -m bench.flooder URL TOKEN KIND SECONDS``.

It does one thing as fast as it is let, for so long; cut off, it comes again at once. At the end it says how much of
it there was, as JSON: ``connections``, ``megabytes`` that were taken from it.
"""

import asyncio
import contextlib
import json
import sys
import time
from typing import Final
from urllib.parse import urlsplit

TEXT, CONTINUED, PING = 1, 0, 9
AT_A_TIME: Final = 2**18
DRIPPING: Final = 300
DRIP_SECONDS: Final = 0.1
_UPGRADE: Final = (
    "GET /?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def _frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """A client's frame, masked with zeros; at most 125 bytes of payload."""
    return bytes([opcode | (0x80 if last else 0), 0x80 | len(payload)]) + b"\0\0\0\0" + payload


_NONSENSE: Final = _frame(TEXT, b'{"type":"?"}') * 1000
STREAMS: Final = {
    "pings": _frame(PING, b"p" * 125) * 500,
    "answered": _NONSENSE,
    "one-byte": _frame(TEXT, b"1") * 10_000,
    "fragments": _frame(TEXT, b"", last=False) + _frame(CONTINUED, b"", last=False) * 10_000,
    "unread": _NONSENSE,
}
KINDS: Final = (*STREAMS, "drip")


class Flooder:
    """One flood against one server, until a deadline (``time.monotonic``)."""

    def __init__(self, url: str, token: str, seconds: float) -> None:
        parts = urlsplit(url)
        self._where = parts.hostname or "127.0.0.1", parts.port or 80
        self._head = _UPGRADE.format(token=token).encode()
        self._until = time.monotonic() + seconds
        self.connections = 0
        self.sent = 0

    @property
    def over(self) -> bool:
        """Whether time is up."""
        return time.monotonic() >= self._until

    async def stream(self, data: bytes, *, reads: bool) -> None:
        """Frames without end, over one connection after the other."""
        while not self.over:
            with contextlib.suppress(OSError):
                await self._one_stream(data, reads=reads)

    async def _one_stream(self, data: bytes, *, reads: bool) -> None:
        reader, writer = await asyncio.open_connection(*self._where, limit=2**16 if reads else 4096)
        self.connections += 1
        reading = asyncio.ensure_future(_read_all(reader)) if reads else None
        transport = writer.transport
        transport.write(self._head)
        try:
            while not self.over and not transport.is_closing() and not (reading and reading.done()):
                if transport.get_write_buffer_size() < AT_A_TIME:
                    transport.write(data)
                    self.sent += len(data)
                await asyncio.sleep(0.001)
            self.sent -= transport.get_write_buffer_size()
        finally:
            transport.abort()
            if reading is not None:
                reading.cancel()

    async def drip(self) -> None:
        """Many heads that never end, a byte at a time."""
        await asyncio.gather(*[self._one_drip() for _ in range(DRIPPING)])

    async def _one_drip(self) -> None:
        while not self.over:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(*self._where)
                self.connections += 1
                writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
                while not self.over and not writer.transport.is_closing() and not reader.at_eof():
                    writer.write(b"x")
                    self.sent += 1
                    await asyncio.sleep(DRIP_SECONDS)
                writer.transport.abort()


async def _read_all(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(2**16):
            pass


async def main(url: str, token: str, kind: str, seconds: float) -> dict[str, float]:
    """Flood, and tell."""
    flooder = Flooder(url, token, seconds)
    await (flooder.drip() if kind == "drip" else flooder.stream(STREAMS[kind], reads=kind != "unread"))
    return {"connections": flooder.connections, "megabytes": round(flooder.sent / 2**20, 1)}


if __name__ == "__main__":
    _url, _token, _kind, _seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(main(_url, _token, _kind, float(_seconds)))))
