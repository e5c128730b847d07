"""What carries commands to Redis on the road of a message: one connection, replies in order.

A command that timed out or whose connection broke may well have been executed: nothing is repeated here, every
script is made to be repeated by whoever knows what it meant.
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

from delivery.redis.connection import Address, RedisConnection, Word, dial, pack
from delivery.redis.failures import CommandFailed, Failures
from delivery.scripts import WRITE, Script
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)
Arg: TypeAlias = str | bytes | int
CHECK_SECONDS: Final = 0.25
MOST_PENDING: Final = 20_000
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
_AWAY: Final = (
    *("READONLY", "MISCONF", "LOADING", "BUSY"),
    *("MOVED", "ASK", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN"),
)
"""Error codes of a Redis that cannot do its work now, rather than of a command of ours that is wrong."""


Heard: TypeAlias = Callable[[Any], None]
"""Is given a reply, or the exception that stands for it."""


class _Asked(NamedTuple):
    """A command, who hears its reply, and since when (loop time). ``script``: what Redis may not know yet."""

    heard: Heard
    at: float
    packed: bytes
    script: Script | None


class RedisClient:
    """Scripts and single commands. Every reply is bytes, ints and lists, as Redis gives it.

    Every method raises ``ApiError("unavailable")`` while Redis is away, at the latest after
    ``redis_connect_seconds + redis_command_seconds``, ``ApiError("storage_full")`` for a script that Redis denies the
    memory, and :class:`CommandFailed` when Redis cannot do this command. It connects when first used, and again when
    used after a loss.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = Address.of(settings.redis_url)
        self._connect_seconds = settings.redis_connect_seconds
        self._command_seconds = settings.redis_command_seconds
        self._line: RedisConnection | None = None
        self._sent: deque[_Asked] = deque()
        self._unsent: deque[_Asked] = deque()
        self._dialling: asyncio.Task[None] | None = None
        self._checking: asyncio.TimerHandle | None = None
        self._failures = Failures()
        self.connections = 0
        """How many there have been."""

    @property
    def at_ease(self) -> bool:
        """Whether it stands and little waits: time for what is not needed."""
        return self._line is not None and len(self._sent) < MOST_PENDING // 4

    def ask(self, script: Script, keys: Sequence[str], args: Sequence[Arg], heard: Heard) -> None:
        """:meth:`call` for whoever cannot wait for the loop to come round: ``heard`` is called as the reply comes in.

        Never before this returns. It gets the exceptions, too.
        """
        self._send(heard, pack("EVALSHA", script.sha, len(keys), *keys, *args), script)

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> "asyncio.Future[Any]":
        """Run a script by its SHA; a Redis that does not know it is given the source."""
        return self._promise(pack("EVALSHA", script.sha, len(keys), *keys, *args), script)

    def command(self, *words: Word) -> "asyncio.Future[Any]":
        """One plain command."""
        return self._promise(pack(*words))

    def write(self, command: str, key: str, *words: Arg) -> "asyncio.Future[Any]":
        """One plain command that writes to ``key``, also when Redis is at ``maxmemory``.

        For a few bytes, and at most some thousand words. A command that deletes needs no such permission.
        """
        return self.call(WRITE, [key], [command, *words])

    async def together(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Several plain commands in one trip; not a transaction."""
        return await asyncio.gather(*[self._promise(pack(*words)) for words in commands])

    def then(self, heard: Heard, *words: Word) -> None:
        """:meth:`command` for whoever cannot wait for the loop to come round, as :meth:`ask` is to :meth:`call`."""
        self._send(heard, pack(*words))

    def tell(self, *words: Word) -> None:
        """A command whose outcome nothing depends on: a failure is a line in the log."""
        self.then(_note, *words)

    async def close(self) -> None:
        """End the connection. Whoever still waits is refused."""
        if self._dialling is not None:
            self._dialling.cancel()
        if self._checking is not None:
            self._checking.cancel()
        if self._line is not None:
            self._line.abort()
        _refuse(self._unsent)
        self._unsent.clear()
        await asyncio.sleep(0)  # the transport tells its end in the next tick

    # ---- asking

    def _promise(self, packed: bytes, script: Script | None = None) -> asyncio.Future[Any]:
        answer = asyncio.get_running_loop().create_future()
        self._send(partial(fulfil, answer), packed, script)
        return answer

    def _send(self, heard: Heard, packed: bytes, script: Script | None = None) -> None:
        loop = asyncio.get_running_loop()
        asked = _Asked(heard, loop.time(), packed, script)
        if len(self._sent) + len(self._unsent) >= MOST_PENDING:
            loop.call_soon(_refuse, [asked])
            return
        if self._line is not None:
            self._sent.append(asked)
            self._line.write(packed)
        else:
            self._unsent.append(asked)
            if self._dialling is None:
                self._dialling = loop.create_task(self._dial())
        if self._checking is None:
            self._checking = loop.call_later(CHECK_SECONDS, self._check)

    def _heard(self, reply: Any) -> None:
        asked = self._sent.popleft()
        if not isinstance(reply, hiredis.ReplyError):
            tell_safely(asked.heard, reply)
        elif asked.script is not None and str(reply).startswith("NOSCRIPT"):
            self.tell("SCRIPT", "LOAD", asked.script.text)
            self._send(asked.heard, asked.packed)
        else:
            tell_safely(asked.heard, self._error(asked.script, str(reply)))

    def _error(self, script: Script | None, words: str) -> Exception:
        code = words.partition(" ")[0]
        if code == "OOM":
            return ApiError("storage_full")  # only the script that stores chats may be denied memory
        if code in _AWAY:
            return ApiError("unavailable")
        self._failures.note(script.name if script is not None else "", words)
        return CommandFailed(words)

    def _check(self) -> None:
        """A reply that does not come, or a connection that does not: nobody waits for longer than he was told."""
        loop = asyncio.get_running_loop()
        now, self._checking = loop.time(), None
        if self._line is not None and self._sent and now - self._sent[0].at > self._command_seconds:
            logger.warning("Redis is silent", waiting=len(self._sent))
            self._line.abort()
        while self._unsent and now - self._unsent[0].at > self._connect_seconds:
            _refuse([self._unsent.popleft()])
        if self._sent or self._unsent:
            self._checking = loop.call_later(CHECK_SECONDS, self._check)

    # ---- the line

    async def _dial(self) -> None:
        """Until it stands, or nobody waits for it any more."""
        pause = FIRST_PAUSE
        try:
            while self._line is None and self._unsent:
                try:
                    self._begin(await dial(self._address, self._heard, self._lost, self._connect_seconds))
                except (OSError, RedisError) as error:
                    logger.warning("Redis is away", error=type(error).__name__)
                    await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - a spread, not a secret
                    # Whoever asks now shall see an attempt before his patience ends.
                    pause = min(2 * pause, LONGEST_PAUSE, self._connect_seconds / 2)
        finally:
            self._dialling = None

    def _begin(self, line: RedisConnection) -> None:
        self._line = line
        self.connections += 1
        while self._unsent:
            asked = self._unsent.popleft()
            self._sent.append(asked)
            line.write(asked.packed)

    def _lost(self) -> None:
        self._line = None
        lost, self._sent = self._sent, deque()
        _refuse(lost)


def tell_safely(heard: Heard, reply: Any) -> None:
    """Whoever fails as he hears is logged: those behind him must hear theirs."""
    try:
        heard(reply)
    except Exception:
        logger.exception("whoever heard a reply failed")


def _refuse(asked: Iterable[_Asked]) -> None:
    for each in asked:
        tell_safely(each.heard, ApiError("unavailable"))


def fulfil(answer: asyncio.Future[Any], reply: Any) -> None:
    """The reply is the answer's result, or its exception."""
    if answer.done():
        return  # whoever asked was cancelled
    if isinstance(reply, Exception):
        answer.set_exception(reply)
    else:
        answer.set_result(reply)


def _note(reply: Any) -> None:
    if isinstance(reply, Exception):
        logger.warning("a command was lost", error=str(reply))
