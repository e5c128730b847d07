"""One connection to Redis: what is written in one tick leaves in one write, and replies come back as a callback.

Made of asyncio's protocol and hiredis' parser, because awaiting one command after another costs ten times the
processor time (docs/decisions/0009).
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import hiredis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.exceptions import AuthenticationError

Word: TypeAlias = str | bytes | int | float
Hear: TypeAlias = Callable[[Any], None]
UNSENT_BYTES: Final = 16 * 1024 * 1024
"""More than this in our hands is a Redis that does not read."""


def _nobody(_: Any = None) -> None:
    return


def pack(*words: Word) -> bytes:
    """A command as it travels."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # its stub knows tuples of one word only
    return packed


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and how one introduces oneself there.

    :param path: of a Unix socket; None: ``host`` and ``port``
    :param greeting: commands that each must be answered without an error before anything else is said
    """

    host: str
    port: int
    path: str | None
    tls: ssl.SSLContext | None
    greeting: list[bytes]

    @classmethod
    def of(cls, url: str) -> "Address":
        """From ``redis://``, ``rediss://`` or ``unix://``, with the options redis-py knows.

        :raises ValueError: when it is no such URL
        """
        options: dict[str, Any] = dict(parse_url(url))
        kind: type[Connection | UnixDomainSocketConnection] = options.pop("connection_class", Connection)
        known = kind(**options)  # never connected: it knows what the options mean
        greeting = []
        if known.password is not None:
            greeting.append(pack("AUTH", *([known.username] if known.username else []), known.password))
        if known.db:
            greeting.append(pack("SELECT", known.db))
        path = known.path if isinstance(known, UnixDomainSocketConnection) else None
        host, port = (known.host, int(known.port)) if isinstance(known, Connection) else ("", 0)
        tls = known.ssl_context.get() if isinstance(known, SSLConnection) else None
        return cls(host, port, path, tls, greeting)


class RedisConnection(asyncio.Protocol):
    """:func:`dial` makes one. ``lost`` is called once, when it is over; after it nothing is heard."""

    def __init__(self) -> None:
        self.hear: Hear = _nobody
        self.lost: Callable[[], None] = _nobody
        self._reader = hiredis.Reader()
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def write(self, packed: bytes) -> None:
        """Send with whatever else is written in this tick."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(packed)

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio's."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES)

    def data_received(self, data: bytes) -> None:
        """As asyncio's."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self.hear(reply)
        except hiredis.ProtocolError:
            self.abort()

    def pause_writing(self) -> None:
        """More than UNSENT_BYTES are unsent: whoever does not read them now will not later."""
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio's."""
        self._transport = None
        self.lost()

    # ----

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))


async def dial(address: Address, hear: Hear, lost: Callable[[], None], seconds: float) -> RedisConnection:
    """A line that is ready for commands.

    :raises OSError: nobody there, or not within ``seconds`` (TimeoutError)
    :raises AuthenticationError: Redis does not take our greeting
    """
    async with asyncio.timeout(seconds):
        line = await _open(address)
        try:
            for command in address.greeting:
                await _greet(line, command)
        except BaseException:
            line.abort()
            raise
    line.hear, line.lost = hear, lost
    return line


async def _open(address: Address) -> RedisConnection:
    loop = asyncio.get_running_loop()
    if address.path is not None:
        return (await loop.create_unix_connection(RedisConnection, address.path))[1]
    return (await loop.create_connection(RedisConnection, address.host, address.port, ssl=address.tls))[1]


async def _greet(line: RedisConnection, command: bytes) -> None:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(reply: Any) -> None:
        if not answer.done():
            answer.set_result(reply)

    line.hear = settle
    line.lost = lambda: settle(hiredis.ReplyError("the connection was closed"))
    line.write(command)
    if isinstance(reply := await answer, hiredis.ReplyError):
        raise AuthenticationError(str(reply))
