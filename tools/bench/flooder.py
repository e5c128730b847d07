"""A hostile client with some accounts, in a process of its own: ``python -m tools.bench.flooder``.

The first line of its standard input is an :class:`Order`, as JSON; with the second line it begins. It sends one kind of
flood as fast as the server lets it, for the given time; disconnected, it reconnects at once. At the end it writes how
much it sent (:class:`FloodReport`), as JSON.

Floods of protocol frames exist in both dialects: arrays of up to 60 kB in ``wm.v1``, one frame a message in the seed
dialect. Floods below the protocol are the same in both.
"""

import asyncio
import contextlib
import itertools
import re
import secrets
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec

from tools.bench.client import text_frame

TEXT, BINARY, CONTINUED, PING, PONG = 1, 2, 0, 9, 10
MESSAGE_BYTES: Final = 60_000
"""Size of one message; the server accepts 64 KiB."""
BIG_TEXT: Final = "x" * 16 * 1024


def small_frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """A client's frame, masked with zeros; at most 125 bytes of payload."""
    return bytes([opcode | (0x80 if last else 0), 0x80 | len(payload)]) + b"\0\0\0\0" + payload


@dataclass(frozen=True, slots=True)
class Target:
    """:param sybil: the number of an account that belongs to the hostile client, too"""

    sybil: str


MakeFrame = Callable[[Target, str], str]
"""Makes a protocol frame with a unique ``messageId``."""


def _chat(to: str, message_id: str, text: str) -> str:
    return f'{{"type":"chat","to":"{to}","messageId":"{message_id}","message":"{text}"}}'


def _ack(fields: str) -> str:
    return f'{{"type":"ack",{fields}}}'


_IDS: Final = '"ackType":"delivered","streamIds":[' + ",".join(['"1-1"'] * 1000) + "]"
_READ: Final = '"ackType":"read","to":"%s",'
_NUMBERS: Final = itertools.count(9_100_000_000)
"""Numbers of people who do not exist."""

PROTOCOL: Final[dict[str, MakeFrame]] = {
    "chats": lambda target, name: _chat(target.sybil, name, "hello"),
    "chats-16k": lambda target, name: _chat(target.sybil, name, BIG_TEXT),
    "mailbox-full": lambda target, name: _chat(target.sybil, name, "hello"),
    "nobody": lambda _target, name: _chat(str(next(_NUMBERS)), name, "hello"),
    "fresh-recipients": lambda _target, _name: (
        f'{{"type":"chat","to":"{next(_NUMBERS)}","messageId":"m","message":"x"}}'
    ),
    "repeated": lambda target, _name: _chat(target.sybil, "again", "hello"),
    "acks-1000": lambda _target, _name: _ack(_IDS),
    "acks": lambda _target, _name: _ack('"ackType":"delivered","streamIds":["1-1"]'),
    "reads-1000": lambda target, name: _ack(
        _READ % target.sybil + '"messageIds":["' + '","'.join(f"{name}{n}" for n in range(1000)) + '"]'
    ),
    "reads": lambda target, name: _ack(_READ % target.sybil + f'"messageId":"{name}"'),
    "acks-by-message": lambda target, name: _ack(f'"ackType":"delivered","to":"{target.sybil}","messageId":"{name}"'),
    "unknown-type": lambda _target, _name: '{"type":"?"}',
    "json-ping": lambda _target, _name: '{"type":"ping"}',
    "surrogates": lambda target, name: _chat(target.sybil, name, "\\ud83d"),
    "unread": lambda _target, name: _chat(str(next(_NUMBERS)), name, "hello"),
}
"""Frames of the protocol, by the flood they make. ``unread`` is ``nobody`` from a client that reads no answer."""

BELOW: Final[dict[str, tuple[bytes, int]]] = {
    "bad-json": (text_frame('{"type":') * 2_000, 2_000),
    "binary": (small_frame(BINARY, b"b" * 100) * 500, 500),
    "pings": (small_frame(PING, b"p" * 125) * 500, 500),
    "pongs": (small_frame(PONG, b"p" * 125) * 500, 500),
    "one-byte": (small_frame(TEXT, b"1") * 10_000, 10_000),
    "fragments": (small_frame(TEXT, b"", last=False) + small_frame(CONTINUED, b"", last=False) * 9_999, 10_000),
}
"""Floods of what is no frame of the protocol: bytes that are repeated, and how many frames they contain."""

SYBIL_LISTENS: Final = frozenset({"chats", "chats-16k"})
"""Floods whose recipient is connected and acks, so that each chat is stored, delivered and receipted."""
SAME_EACH_TIME: Final = frozenset({"repeated", "acks-1000", "acks", "unknown-type", "json-ping"})


def streams(kind: str, target: Target, *, arrays: bool) -> Iterator[tuple[bytes, int]]:
    """An endless iterator of blocks of bytes, and how many frames (or messages) each contains.

    :param arrays: join frames of the protocol (``wm.v1``)
    """
    if kind in BELOW:
        return itertools.repeat(BELOW[kind])
    made = _blocks(PROTOCOL[kind], target, arrays=arrays)
    return itertools.repeat(next(made)) if kind in SAME_EACH_TIME else made


def _blocks(make_frame: MakeFrame, target: Target, *, arrays: bool) -> Iterator[tuple[bytes, int]]:
    run = secrets.token_hex(4)
    frames = (make_frame(target, f"{run}-{number}") for number in itertools.count())
    waiting: list[str] = []
    size = 0
    for frame in frames:
        if waiting and size + len(frame) + 1 > MESSAGE_BYTES:
            yield _messages(waiting, arrays=arrays), len(waiting)
            waiting, size = [], 0
        waiting.append(frame)
        size += len(frame) + 1


def _messages(frames: list[str], *, arrays: bool) -> bytes:
    return text_frame("[" + ",".join(frames) + "]") if arrays else b"".join(map(text_frame, frames))


AT_A_TIME: Final = 2**18
LOOK_SECONDS: Final = 0.001
PAUSE_SECONDS: Final = 0.01
"""After an upgrade that was refused or not answered."""
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
    """One account, the loopback address that it connects from, and an account that it may send to."""

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


class FloodReport(msgspec.Struct):
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


class _RawConnection(asyncio.Protocol):
    """One TCP connection: the status of the answer, and the last bytes that came.

    :param acks: ack every chat
    :param lively: answer everything with a pong: a client without a sign of life does not replace another
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
        if self.close_code() != CUT:  # closed by the server: it does not wait for the close handshake
            self.transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection ended."""
        if not self.status.done():
            self.status.set_result(0)
        self.lost.set()

    def abort(self) -> None:
        """End it, if it has not ended."""
        if not self.lost.is_set():
            self.transport.abort()

    def close_code(self) -> str:
        """The code of the last close frame; "cut" when there was none."""
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
        """Whether the time is over."""
        return time.monotonic() >= self._until

    async def run(self) -> FloodReport:
        """All accounts, until the time is up."""
        kind, accounts = self._order.kind, self._order.accounts
        sybils = [asyncio.ensure_future(self._listen(each)) for each in accounts if kind in SYBIL_LISTENS]
        jobs = [self._heads(kind, each) if kind in HEADS else self._stream(kind, each) for each in accounts]
        await asyncio.gather(*jobs)
        for sybil in sybils:
            sybil.cancel()
        blocked = round(100 * self._blocked / (self._looks or 1), 1)
        megabytes = round(self._sent / 2**20, 1)
        return FloodReport(self._connections, self._frames, megabytes, blocked, dict(self._closes), dict(self._refused))

    async def _open(
        self, hostile: Hostile, token: str, subprotocol: str, *, acks: bool = False, lively: bool = False
    ) -> _RawConnection | None:
        """An accepted connection, or None after a pause."""
        loop, source = asyncio.get_running_loop(), (hostile.source, 0)
        header = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        status = 0
        with contextlib.suppress(OSError, TimeoutError):
            _, connection = await loop.create_connection(
                lambda: _RawConnection(acks=acks, lively=lively), *self._where, local_addr=source
            )
            connection.transport.write(_UPGRADE.format(token=token, subprotocol=header).encode())
            # An answer that never comes must not keep it from ending in time.
            status = await asyncio.wait_for(connection.status, max(0.1, self._until - time.monotonic()))
            if status == 101:
                self._connections += 1
                return connection
            connection.abort()
        self._refused[str(status)] += 1
        await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def _stream(self, kind: str, hostile: Hostile) -> None:
        """Send frames without end, over one connection after the other."""
        arrays = self._order.dialect == "wm.v1"
        while not self.over:
            if connection := await self._open(hostile, hostile.token, "wm.v1" if arrays else ""):
                if kind == "unread":
                    connection.transport.pause_reading()
                await self._pour(connection, kind, Target(hostile.sybil), arrays=arrays)

    async def _pour(self, connection: _RawConnection, kind: str, target: Target, *, arrays: bool) -> None:
        blocks, transport = streams(kind, target, arrays=arrays), connection.transport
        transport.set_write_buffer_limits(high=2 * AT_A_TIME)
        while not self.over and not connection.lost.is_set() and not transport.is_closing():
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
            self._closes[connection.close_code()] += 1
        connection.abort()

    async def _listen(self, hostile: Hostile) -> None:
        """A client of the second account that acks what the hostile client sends."""
        while not self.over:
            if connection := await self._open(hostile, hostile.sybil_token, "wm.v1", acks=True):
                await connection.lost.wait()

    async def _heads(self, kind: str, hostile: Hostile) -> None:
        """Floods that consist of connections rather than of frames."""
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
                _, connection = await loop.create_connection(
                    _RawConnection, *self._where, local_addr=(hostile.source, 0)
                )
                connection.transport.write(b"GET / HTTP/1.1\r\nX-Slow: ")
                while not self.over and not connection.lost.is_set() and not connection.transport.is_closing():
                    connection.transport.write(b"x")
                    self._sent, self._frames = self._sent + 1, self._frames + 1
                    await asyncio.sleep(DRIP_SECONDS)
                if connection.lost.is_set():
                    self._closes[CUT] += 1
                connection.abort()
                continue
            await asyncio.sleep(PAUSE_SECONDS)

    async def _reconnect(self, hostile: Hostile) -> None:
        """Upgrade, and leave at once."""
        while not self.over:
            if connection := await self._open(hostile, hostile.token, "wm.v1"):
                connection.transport.write(small_frame(8, struct.pack("!H", 1000)))
                connection.transport.close()

    async def _be_replaced(self, hostile: Hostile) -> None:
        """Stay until another connection of the same device replaces this one, then replace that one."""
        while not self.over:
            if connection := await self._open(hostile, hostile.token, "wm.v1", lively=True):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(connection.lost.wait(), max(0.0, self._until - time.monotonic()))
                    self._closes[connection.close_code()] += 1
                connection.abort()


def main() -> None:
    """Read the order, wait for the start, flood, and print the report."""
    order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    sys.stdin.readline()

    async def run() -> FloodReport:
        return await Flooder(order).run()

    sys.stdout.write(msgspec.json.encode(asyncio.run(run())).decode() + "\n")


if __name__ == "__main__":
    main()
