"""One connection to Redis: commands of one tick leave in one write, and replies come back through a callback.

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

from protocol.direct_write import NO_FD, plain_fd, write_now

Word: TypeAlias = str | bytes | int | float
"""One word of a command."""
WORTH_A_WRITE: Final = 4
"""Commands. A lone chat makes one or two."""
MAX_UNSENT_BYTES: Final = 16 * 1024 * 1024
"""When more than this waits to be written, Redis does not read any more."""


def do_nothing(_: Any = None) -> None:
    """The callback of a connection that nobody uses yet."""


def pack_command(*words: Word) -> bytes:
    """A command as it travels."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type] # its stub knows tuples of one word only
    return packed


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and how to log in there.

    :param path: of a Unix socket; None: ``host`` and ``port``
    :param login: packed commands; each must be answered without an error before any other command is sent
    """

    host: str
    port: int
    path: str | None
    tls: ssl.SSLContext | None
    login: list[bytes]

    @classmethod
    def of(cls, url: str) -> "Address":
        """From ``redis://``, ``rediss://`` or ``unix://``, with the options redis-py knows.

        :raises ValueError: when it is no such URL
        """
        options: dict[str, Any] = dict(parse_url(url))
        kind: type[Connection | UnixDomainSocketConnection] = options.pop("connection_class", Connection)
        known = kind(**options)  # never connected: it knows what the options mean
        login = []
        if known.password is not None:
            login.append(pack_command("AUTH", *([known.username] if known.username else []), known.password))
        if known.db:
            login.append(pack_command("SELECT", known.db))
        path = known.path if isinstance(known, UnixDomainSocketConnection) else None
        host, port = (known.host, int(known.port)) if isinstance(known, Connection) else ("", 0)
        tls = known.ssl_context.get() if isinstance(known, SSLConnection) else None
        return cls(host, port, path, tls, login)


class RedisConnection(asyncio.Protocol):
    """Made by :func:`open_connection`.

    ``on_reply`` is called for each reply. ``on_lost`` is called once, at the end; no reply follows it.
    ``before_flush`` is called right before a tick's write leaves; commands written in it leave with it.
    """

    def __init__(self) -> None:
        self.on_reply: Callable[[Any], None] = do_nothing
        self.on_lost: Callable[[], None] = do_nothing
        self.before_flush: Callable[[], None] = do_nothing
        self._reader = hiredis.Reader()
        self._loop = asyncio.get_running_loop()
        self.time = self._loop.time
        self._unwritten: list[bytes] = []
        self._flush_scheduled = self._is_writing = False
        self._transport: asyncio.Transport | None = None
        self._fd = NO_FD

    def write(self, packed: bytes) -> None:
        """Send it together with everything else that is written in this tick."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
        self._unwritten.append(packed)

    def hand_over(self) -> None:
        """Under load Redis begins with what is there, while the rest of the tick is worked off: send it, if it is worth
        a write. What is written later in the tick leaves at its end."""
        if len(self._unwritten) >= WORTH_A_WRITE and not self._is_writing:
            self._write_out()

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio's."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=MAX_UNSENT_BYTES)
        self._fd = plain_fd(transport)

    def data_received(self, data: bytes) -> None:
        """As asyncio's."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self.on_reply(reply)
        except hiredis.ProtocolError:
            self.abort()

    def pause_writing(self) -> None:
        """Give up: a Redis that leaves MAX_UNSENT_BYTES unread will not catch up."""
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio's."""
        self._transport = None
        self.on_lost()

    # ----

    def _flush(self) -> None:
        self._flush_scheduled = False
        self._write_out()

    def _write_out(self) -> None:
        if self._transport is not None:
            self._is_writing = True
            self.before_flush()
            self._is_writing = False
        packed, self._unwritten = self._unwritten, []
        if self._transport is not None and packed:
            write_now(self._transport, self._fd, packed[0] if len(packed) == 1 else b"".join(packed))


async def open_connection(
    address: Address, on_reply: Callable[[Any], None], on_lost: Callable[[], None], seconds: float
) -> RedisConnection:
    """A connection that is ready for commands.

    :raises OSError: nothing listens there, or not within ``seconds`` (TimeoutError)
    :raises AuthenticationError: Redis does not accept the login
    """
    async with asyncio.timeout(seconds):
        connection = await _connect(address)
        try:
            for command in address.login:
                await _log_in(connection, command)
        except BaseException:
            connection.abort()
            raise
    connection.on_reply, connection.on_lost = on_reply, on_lost
    return connection


async def _connect(address: Address) -> RedisConnection:
    loop = asyncio.get_running_loop()
    if address.path is not None:
        return (await loop.create_unix_connection(RedisConnection, address.path))[1]
    return (await loop.create_connection(RedisConnection, address.host, address.port, ssl=address.tls))[1]


async def _log_in(connection: RedisConnection, command: bytes) -> None:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(reply: Any) -> None:
        if not answer.done():
            answer.set_result(reply)

    connection.on_reply = settle
    connection.on_lost = lambda: settle(hiredis.ReplyError("the connection was closed"))
    connection.write(command)
    if isinstance(reply := await answer, hiredis.ReplyError):
        raise AuthenticationError(str(reply))
