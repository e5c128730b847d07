"""A hostile client with some accounts, in a process of its own: ``python -m tools.bench.flooder``.

The first line of its standard input is an :class:`Order`, as JSON; with the second it begins. It does one thing as fast
as it is let, for so long; cut off, it comes again at once. At the end it says how much of it there was
(:class:`Told`), as JSON.
"""

import asyncio
import contextlib
import re
import struct
import sys
import time
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tools.bench.recipes import BELOW, PONG, PROTOCOL, SYBIL_LISTENS, Target, small_frame, streams
from tools.bench.seed import text_frame

AT_A_TIME: Final = 2**18
LOOK_SECONDS: Final = 0.001
PAUSE_SECONDS: Final = 0.01
"""After an upgrade that was refused, or that nobody answered."""
DRIPPING: Final = 300
DRIP_SECONDS: Final = 0.1
RECONNECTING: Final = 16
REPLACING: Final = 4
HEADS: Final = ("drip", "reconnects", "replaced")
KINDS: Final = (*PROTOCOL, *BELOW, *HEADS)
CUT: Final = "cut"
_CLOSE: Final = b"\x88"
_LAST_BYTES: Final = 256
_UPGRADE: Final = (
    "GET /?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{subprotocol}\r\n"
)
_ACK: Final = '{"type":"ack","ackType":"delivered","streamId":"%s"}'
_STREAM_ID: Final = re.compile(rb'"streamId":"([^"]+)"')


class Hostile(msgspec.Struct):
    """One account, and the address (of the loopback network) that it comes from; an account it may send to."""

    token: str
    source: str
    sybil: str
    sybil_token: str


class Order(msgspec.Struct):
    """What to do.

    :param url: ``http://host:port``
    :param kind: one of :data:`KINDS`
    :param seconds: for how long
    """

    url: str
    kind: str
    dialect: str
    seconds: float
    accounts: list[Hostile]


class Told(msgspec.Struct):
    """How much of it there was.

    :param connections: upgrades that were answered with 101
    :param frames: frames of the protocol, or messages, that the system took from it; those of ``drip`` are bytes
    :param blocked_percent: share of the looks at which the server had not taken the last 256 KiB yet
    :param closes: close codes, and how many of each
    :param refused: statuses of upgrades that were refused; 0 for a connection that ended without an answer
    """

    connections: int = 0
    frames: int = 0
    megabytes: float = 0.0
    blocked_percent: float = 0.0
    closes: dict[str, int] = {}
    refused: dict[str, int] = {}


class _Wire(asyncio.Protocol):
    """One TCP connection: the status of the answer, and the last bytes that came.

    :param acks: ack every chat
    :param lively: answer whatever comes with a pong: who gives no sign of life takes nobody's place
    """

    def __init__(self, *, acks: bool = False, lively: bool = False) -> None:
        self.transport: asyncio.Transport
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        self._acks, self._lively, self._last = acks, lively, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_connection makes
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """The head of the answer, or frames."""
        if not self.status.done():
            words = data.split(b" ", 2)
            self.status.set_result(int(words[1]) if len(words) > 1 and words[1].isdigit() else 0)
        data = self._last + data
        if self._acks and (found := list(_STREAM_ID.finditer(data))):
            acks = [text_frame(_ACK % match[1].decode()) for match in found]
            self.transport.write(b"".join(acks))
            data = data[found[-1].end() :]
        if self._lively:
            self.transport.write(small_frame(PONG, b""))
        self._last = data[-_LAST_BYTES:]
        if self.close_code() != CUT:  # told to go: it does not wait for the goodbye
            self.transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """It is gone."""
        if not self.status.done():
            self.status.set_result(0)
        self.lost.set()

    def abort(self) -> None:
        """End it, if it has not ended."""
        if not self.lost.is_set():
            self.transport.abort()

    def close_code(self) -> str:
        """The code of the close frame that came last; "cut" when there was none."""
        at = self._last.rfind(_CLOSE)
        if at < 0 or len(self._last) < at + 4 or self._last[at + 1] != len(self._last) - at - 2:
            return CUT
        return str(struct.unpack_from("!H", self._last, at + 2)[0])


class Flooder:
    """One flood against one server."""

    def __init__(self, order: Order) -> None:
        parts = urlsplit(order.url)
        self._where = parts.hostname or "127.0.0.1", parts.port or 80
        self._order = order
        self._until = time.monotonic() + order.seconds
        self._closes: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._connections = self._frames = self._sent = self._looks = self._blocked = 0

    @property
    def over(self) -> bool:
        """Whether time is up."""
        return time.monotonic() >= self._until

    async def run(self) -> Told:
        """All accounts, until the time is up."""
        kind, accounts = self._order.kind, self._order.accounts
        sybils = [asyncio.ensure_future(self._listen(each)) for each in accounts if kind in SYBIL_LISTENS]
        jobs = [self._heads(kind, each) if kind in HEADS else self._stream(kind, each) for each in accounts]
        await asyncio.gather(*jobs)
        for sybil in sybils:
            sybil.cancel()
        blocked = round(100 * self._blocked / (self._looks or 1), 1)
        megabytes = round(self._sent / 2**20, 1)
        return Told(self._connections, self._frames, megabytes, blocked, dict(self._closes), dict(self._refused))

    async def _open(
        self, hostile: Hostile, token: str, subprotocol: str, *, acks: bool = False, lively: bool = False
    ) -> _Wire | None:
        """A connection that was let in, or None and a pause."""
        loop, source = asyncio.get_running_loop(), (hostile.source, 0)
        header = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        status = 0
        with contextlib.suppress(OSError, TimeoutError):
            _, wire = await loop.create_connection(
                lambda: _Wire(acks=acks, lively=lively), *self._where, local_addr=source
            )
            wire.transport.write(_UPGRADE.format(token=token, subprotocol=header).encode())
            # An answer that never comes must not keep it from ending in time.
            status = await asyncio.wait_for(wire.status, max(0.1, self._until - time.monotonic()))
            if status == 101:
                self._connections += 1
                return wire
            wire.abort()
        self._refused[str(status)] += 1
        await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def _stream(self, kind: str, hostile: Hostile) -> None:
        """Frames without end, over one connection after the other."""
        arrays = self._order.dialect == "wm.v1"
        while not self.over:
            if wire := await self._open(hostile, hostile.token, "wm.v1" if arrays else ""):
                if kind == "unread":
                    wire.transport.pause_reading()
                await self._pour(wire, kind, Target(hostile.sybil), arrays=arrays)

    async def _pour(self, wire: _Wire, kind: str, target: Target, *, arrays: bool) -> None:
        blocks, transport = streams(kind, target, arrays=arrays), wire.transport
        transport.set_write_buffer_limits(high=2 * AT_A_TIME)
        while not self.over and not wire.lost.is_set() and not transport.is_closing():
            self._looks += 1
            self._blocked += transport.get_write_buffer_size() >= AT_A_TIME
            while transport.get_write_buffer_size() < AT_A_TIME and not self.over and not transport.is_closing():
                block, count = next(blocks)
                transport.write(block)
                self._sent, self._frames = self._sent + len(block), self._frames + count
                await asyncio.sleep(0)  # others have their turn: what comes is read, other accounts write
            await asyncio.sleep(LOOK_SECONDS)
        self._sent -= transport.get_write_buffer_size()
        if not self.over:
            self._closes[wire.close_code()] += 1
        wire.abort()

    async def _listen(self, hostile: Hostile) -> None:
        """Somebody who acks what the hostile client sends."""
        while not self.over:
            if wire := await self._open(hostile, hostile.sybil_token, "wm.v1", acks=True):
                await wire.lost.wait()

    async def _heads(self, kind: str, hostile: Hostile) -> None:
        """Connections rather than what is said on them."""
        count, one = {
            "drip": (DRIPPING, self._drip),
            "reconnects": (RECONNECTING, self._reconnect),
            "replaced": (REPLACING, self._be_replaced),
        }[kind]
        await asyncio.gather(*[one(hostile) for _ in range(count)])

    async def _drip(self, hostile: Hostile) -> None:
        """A head that never ends, a byte at a time."""
        loop = asyncio.get_running_loop()
        while not self.over:
            with contextlib.suppress(OSError):
                _, wire = await loop.create_connection(_Wire, *self._where, local_addr=(hostile.source, 0))
                wire.transport.write(b"GET / HTTP/1.1\r\nX-Slow: ")
                while not self.over and not wire.lost.is_set() and not wire.transport.is_closing():
                    wire.transport.write(b"x")
                    self._sent, self._frames = self._sent + 1, self._frames + 1
                    await asyncio.sleep(DRIP_SECONDS)
                if wire.lost.is_set():
                    self._closes[CUT] += 1
                wire.abort()
                continue
            await asyncio.sleep(PAUSE_SECONDS)

    async def _reconnect(self, hostile: Hostile) -> None:
        """Upgrade, and leave at once."""
        while not self.over:
            if wire := await self._open(hostile, hostile.token, "wm.v1"):
                wire.transport.write(small_frame(8, struct.pack("!H", 1000)))
                wire.transport.close()

    async def _be_replaced(self, hostile: Hostile) -> None:
        """Stay until another connection of the same device takes the place, and take it back."""
        while not self.over:
            if wire := await self._open(hostile, hostile.token, "wm.v1", lively=True):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wire.lost.wait(), max(0.0, self._until - time.monotonic()))
                    self._closes[wire.close_code()] += 1
                wire.abort()


def main() -> None:
    """Wait for the word, flood, and tell."""
    order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    sys.stdin.readline()

    async def run() -> Told:
        return await Flooder(order).run()

    sys.stdout.write(msgspec.json.encode(asyncio.run(run())).decode() + "\n")


if __name__ == "__main__":
    main()
