"""Answers that are told only when Redis' replicas have what they rest on (``REPLICAS_ACKED``; docs/decisions/0011).

A failover cuts Redis' history at some point. What was told rests on something before the cut; what is lost, nobody
was told of.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import structlog

from delivery import keys
from delivery.redis.client import MOST_PENDING, Arg, Heard, RedisClient, fulfil, tell_safely
from delivery.scripts import Script
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)


class Scripts(Protocol):
    """How scripts are run: by a :class:`RedisClient`, or in rounds."""

    @property
    def at_ease(self) -> bool: ...
    def ask(self, script: Script, keys: Sequence[str], args: Sequence[Arg], heard: Heard) -> None: ...
    def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> "asyncio.Future[Any]": ...


Send: TypeAlias = Callable[[Heard], None]
"""Writes a command to the link."""


class _Asked(NamedTuple):
    send: Send
    heard: Heard


class _Held(NamedTuple):
    """A reply, and which connection brought it, counted."""

    heard: Heard
    reply: Any
    connection: int


class Replicated:
    """Scripts in rounds on a connection of their own: all that is asked in one tick, then WAIT, then the answers.

    What is asked while a round waits goes into the next. WAIT knows what its own connection wrote; that is why the
    scripts are on it, and why nothing else is, which would have to wait as well.

    Every answer is a ``ApiError("unavailable")`` when fewer than ``replicas_acked`` replicas have it within
    ``replicas_seconds``; the script may well have been executed.
    """

    def __init__(self, settings: Settings) -> None:
        self._link = RedisClient(settings)
        self._wanted: Final = settings.replicas_acked
        self._wait_ms: Final = max(1, round(settings.replicas_seconds * 1000))
        self._next: list[_Asked] = []
        self._held: list[_Held] = []
        self._waiting = False
        self._sealed = False
        self._short = False

    @property
    def at_ease(self) -> bool:
        """As :attr:`RedisClient.at_ease`, and no replicas are behind."""
        return self._link.at_ease and not self._short

    def ask(self, script: Script, keys: Sequence[str], args: Sequence[Arg], heard: Heard) -> None:
        """As :meth:`RedisClient.ask`."""
        self._put(_Asked(partial(self._link.ask, script, keys, args), heard))

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> "asyncio.Future[Any]":
        """As :meth:`RedisClient.call`."""
        return self._promise(partial(self._link.ask, script, keys, args))

    async def close(self) -> None:
        """End the connection. Whoever still waits is refused."""
        self._refuse_next()
        await self._link.close()

    # ---- a round

    def _promise(self, send: Send) -> "asyncio.Future[Any]":
        answer = asyncio.get_running_loop().create_future()
        self._put(_Asked(send, partial(fulfil, answer)))
        return answer

    def _put(self, asked: _Asked) -> None:
        if not self._sealed:
            self._begin()
            asked.send(partial(self._heard, asked.heard))
        elif len(self._next) < MOST_PENDING:
            self._next.append(asked)
        else:
            asyncio.get_running_loop().call_soon(asked.heard, ApiError("unavailable"))

    def _begin(self) -> None:
        if not self._waiting:
            self._waiting = True
            asyncio.get_running_loop().call_soon(self._seal)

    def _seal(self) -> None:
        """No more goes into this round. The PUBLISH, which nobody hears, moves the place in Redis' history up to
        which this connection waits: a script that only repeats what another one stored has moved nothing."""
        self._sealed = True
        self._link.tell("PUBLISH", keys.REPLICAS, "")
        self._link.then(self._replicated, "WAIT", self._wanted, self._wait_ms)

    def _heard(self, heard: Heard, reply: Any) -> None:
        if isinstance(reply, Exception):
            heard(reply)
            return
        self._held.append(_Held(heard, reply, self._link.connections))
        self._begin()  # the script was not known and came after WAIT: a round for it

    def _replicated(self, reply: Any) -> None:
        self._waiting = self._sealed = False
        held, self._held = self._held, []
        enough = isinstance(reply, int) and reply >= self._wanted
        self._note(enough=enough, reply=reply)
        if not enough:
            self._refuse_next()  # nobody waits for one timeout after the other
        for each in held:
            # What another connection brought, another Redis may have said.
            sure = enough and each.connection == self._link.connections
            tell_safely(each.heard, each.reply if sure else ApiError("unavailable"))
        queued, self._next = self._next, []
        for asked in queued:
            self._put(asked)

    def _refuse_next(self) -> None:
        queued, self._next = self._next, []
        for asked in queued:
            tell_safely(asked.heard, ApiError("unavailable"))

    def _note(self, *, enough: bool, reply: Any) -> None:
        if enough is self._short:
            self._short = not enough
            if self._short:
                logger.warning("replicas are behind: chats are refused", wanted=self._wanted, have=str(reply))
            else:
                logger.info("replicas have caught up")
