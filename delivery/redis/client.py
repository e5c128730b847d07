"""The product's own Redis client: one connection, one write per tick of the event loop, replies in order.

Nothing is repeated here. A command that timed out, or whose connection broke, may well have been executed: every script
is written so that its caller can safely run it again.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import hiredis
import structlog
from redis.exceptions import RedisError

from delivery.redis.connection import Address, RedisConnection, Word, do_nothing, open_connection, pack_command
from delivery.redis.failures import Failures
from delivery.results import CommandFailed
from delivery.scripts import WRITE, Script
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)
CALLBACK_FAILED: Final = "the callback of a Redis reply failed"
CHECK_SECONDS: Final = 0.25
MAX_PENDING: Final = 20_000
"""Commands without a reply; more are refused."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to connect."""
_UNAVAILABLE_CODES: Final = (
    *("READONLY", "MISCONF", "LOADING", "BUSY"),
    *("MOVED", "ASK", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN"),
)
"""Error codes of a Redis that cannot work now. Every other code means that this command is wrong."""

Arg: TypeAlias = Word
"""One argument of a script or command."""

OnReply: TypeAlias = Callable[[Any], None]
"""Is called with the reply, or with the exception that stands for it."""


class _Pending(NamedTuple):
    """A command without a reply.

    :param since: loop time in seconds
    :param script: what Redis may not know yet; None for a plain command
    """

    on_reply: OnReply
    since: float
    packed: bytes
    script: Script | None


class RedisClient:
    """Runs scripts and single commands. Replies are bytes, ints and lists, as Redis sends them.

    Every method reports ``ApiError("unavailable")`` while Redis is away, at the latest after
    ``redis_connect_seconds + redis_command_seconds``; ``ApiError("storage_full")`` for a script to which Redis denies
    memory; and :class:`CommandFailed` when Redis rejects this command. It connects when first used, and again when used
    after a loss.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = Address.of(settings.redis_url)
        self._connect_seconds = settings.redis_connect_seconds
        self._command_seconds = settings.redis_command_seconds
        self._connection: RedisConnection | None = None
        self._sent: deque[_Pending] = deque()
        self._unsent: deque[_Pending] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._check_timer: asyncio.TimerHandle | None = None
        self._failures = Failures()
        self.connections = 0
        """How many connections were opened so far."""
        self.before_flush: Callable[[], None] = do_nothing
        """Is called right before the commands of a tick leave: what it requests leaves in the same write."""

    @property
    def is_healthy(self) -> bool:
        """Whether it is connected and has little pending: there is time for what is not strictly needed."""
        return self._connection is not None and len(self._sent) < MAX_PENDING // 4

    def hand_over(self) -> None:
        """To be called often within a tick that works off much: what waits to be sent leaves before the end of the
        tick, if it is worth a write. From within ``before_flush`` it does nothing."""
        if self._connection is not None:
            self._connection.hand_over()

    def request(self, script: Script, keys: Sequence[str], args: Sequence[Arg], on_reply: OnReply) -> None:
        """Run a script by its SHA, like :meth:`call`, without a future.

        ``on_reply`` is called with the reply or the exception as soon as it is read, and never before this returns.
        """
        packed: bytes = hiredis.pack_command(("EVALSHA", script.sha, len(keys), *keys, *args))  # type: ignore[arg-type]
        connection = self._connection
        # Nearly always: what follows costs every chat several times.
        if connection is not None and self._check_timer is not None and len(self._sent) < MAX_PENDING:
            self._sent.append(_Pending(on_reply, connection.time(), packed, script))
            connection.write(packed)
        else:
            self._send(on_reply, packed, script)

    def request_command(self, on_reply: OnReply, *words: Arg) -> None:
        """Send one plain command, like :meth:`command`, without a future."""
        self._send(on_reply, pack_command(*words))

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> "asyncio.Future[Any]":
        """Run a script by its SHA. Its source is sent when Redis does not know it."""
        return self._send_awaitable(pack_command("EVALSHA", script.sha, len(keys), *keys, *args), script)

    def command(self, *words: Arg) -> "asyncio.Future[Any]":
        """Send one plain command."""
        return self._send_awaitable(pack_command(*words))

    def write(self, command: str, key: str, *words: Arg) -> "asyncio.Future[Any]":
        """Send one plain command that writes to ``key``, also when Redis is at ``maxmemory``.

        For a few bytes, and at most some thousand words. A command that deletes needs no such permission.
        """
        return self.call(WRITE, [key], [command, *words])

    async def pipeline(self, commands: Sequence[Sequence[Arg]]) -> list[Any]:
        """Send several plain commands in one trip; not a transaction."""
        return await asyncio.gather(*[self.command(*words) for words in commands])

    def send(self, *words: Arg) -> None:
        """Send a command whose outcome nothing depends on: a failure is only logged."""
        self.request_command(_log_failure, *words)

    async def close(self) -> None:
        """End the connection. Commands without a reply get ``unavailable``."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._check_timer is not None:
            self._check_timer.cancel()
        if self._connection is not None:
            self._connection.abort()
        _reject(self._unsent)
        self._unsent.clear()
        await asyncio.sleep(0)  # the transport reports its end in the next tick

    # ---- sending and replies

    def _send_awaitable(self, packed: bytes, script: Script | None = None) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self._send(partial(resolve, future), packed, script)
        return future

    def _send(self, on_reply: OnReply, packed: bytes, script: Script | None = None) -> None:
        loop = asyncio.get_running_loop()
        pending = _Pending(on_reply, loop.time(), packed, script)
        if len(self._sent) + len(self._unsent) >= MAX_PENDING:
            loop.call_soon(_reject, [pending])
            return
        if self._connection is not None:
            self._sent.append(pending)
            self._connection.write(packed)
        else:
            self._unsent.append(pending)
            if self._connecting is None:
                self._connecting = loop.create_task(self._connect())
        if self._check_timer is None:
            self._check_timer = loop.call_later(CHECK_SECONDS, self._check_timeouts)

    def _handle_reply(self, reply: Any) -> None:
        pending = self._sent.popleft()
        if not isinstance(reply, hiredis.ReplyError):
            try:
                pending.on_reply(reply)
            except Exception:
                logger.exception(CALLBACK_FAILED)  # callbacks of later replies still run
        elif pending.script is not None and str(reply).startswith("NOSCRIPT"):
            self.send("SCRIPT", "LOAD", pending.script.text)
            self._send(pending.on_reply, pending.packed)
        else:
            run_callback(pending.on_reply, self._error(pending.script, str(reply)))

    def _error(self, script: Script | None, text: str) -> Exception:
        code = text.partition(" ")[0]
        if code == "OOM":
            return ApiError("storage_full")  # only the script that stores chats may be denied memory
        if code in _UNAVAILABLE_CODES:
            return ApiError("unavailable")
        self._failures.note(script.name if script is not None else "", text)
        return CommandFailed(text)

    def _check_timeouts(self) -> None:
        """Give up on a connection that does not reply, and on commands that found no connection in time.

        A late reply ends the connection: nobody could tell which command the next reply belongs to.
        """
        loop = asyncio.get_running_loop()
        now, self._check_timer = loop.time(), None
        if self._connection is not None and self._sent and now - self._sent[0].since > self._command_seconds:
            logger.warning("Redis does not answer", pending=len(self._sent))
            self._connection.abort()
        while self._unsent and now - self._unsent[0].since > self._connect_seconds:
            _reject([self._unsent.popleft()])
        if self._sent or self._unsent:
            self._check_timer = loop.call_later(CHECK_SECONDS, self._check_timeouts)

    # ---- the connection

    async def _connect(self) -> None:
        """Try until there is a connection, or nothing is waiting for one."""
        address, seconds, pause = self._address, self._connect_seconds, FIRST_PAUSE
        try:
            while self._connection is None and self._unsent:
                try:
                    self._use(await open_connection(address, self._handle_reply, self._lost, seconds))
                except (OSError, RedisError) as error:
                    logger.warning("cannot connect to Redis", error=type(error).__name__)
                    await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - a spread, not a secret
                    # Half the connect time at most: a command that comes now must see an attempt before it times out.
                    pause = min(2 * pause, LONGEST_PAUSE, seconds / 2)
        finally:
            self._connecting = None

    def _use(self, connection: RedisConnection) -> None:
        self._connection = connection
        self.connections += 1
        connection.before_flush = self._before_flush
        while self._unsent:
            pending = self._unsent.popleft()
            self._sent.append(pending)
            connection.write(pending.packed)

    def _before_flush(self) -> None:
        try:
            self.before_flush()
        except Exception:
            logger.exception("a callback before a write to Redis failed")  # the commands of this tick must still leave

    def _lost(self) -> None:
        self._connection = None
        lost, self._sent = self._sent, deque()
        _reject(lost)


def run_callback(on_reply: OnReply, reply: Any) -> None:
    """Call it. Its exception is logged, so that callbacks of later replies still run."""
    try:
        on_reply(reply)
    except Exception:
        logger.exception(CALLBACK_FAILED)


def _reject(commands: Iterable[_Pending]) -> None:
    for each in commands:
        run_callback(each.on_reply, ApiError("unavailable"))


def resolve(future: asyncio.Future[Any], reply: Any) -> None:
    """Make the reply the future's result, or its exception."""
    if future.done():
        return  # the caller was cancelled
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _log_failure(reply: Any) -> None:
    if isinstance(reply, Exception):
        logger.warning("a Redis command failed that nothing depends on", error=str(reply))
