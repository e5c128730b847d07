"""Replies that are held back until Redis' replicas have what they rest on (``REPLICAS_ACKED``; docs/decisions/0011).

A failover cuts Redis' history at some point. A reply that was passed on rests on something before the cut; of what the
cut loses, nobody has seen a reply.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import structlog

from delivery import keys
from delivery.redis.client import MAX_PENDING, Arg, OnReply, RedisClient, resolve, run_callback
from delivery.redis.connection import do_nothing
from delivery.scripts import Script
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)


class ScriptRunner(Protocol):
    """What runs scripts: a :class:`RedisClient`, or :class:`ReplicatedScripts`."""

    before_flush: Callable[[], None]

    @property
    def is_healthy(self) -> bool: ...
    def request(self, script: Script, keys: Sequence[str], args: Sequence[Arg], on_reply: OnReply) -> None: ...
    def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> "asyncio.Future[Any]": ...


class _Request(NamedTuple):
    """:param send: writes the command; takes what is called with the reply"""

    send: Callable[[OnReply], None]
    on_reply: OnReply


class _HeldReply(NamedTuple):
    """:param connection: which connection brought it, counted"""

    on_reply: OnReply
    reply: Any
    connection: int


class ReplicatedScripts:
    """Runs scripts in rounds, on a connection of its own: all requests of one tick, then WAIT, then the replies.

    Requests that come while a round waits go into the next one. WAIT counts what its own connection wrote; therefore
    the scripts are on this connection, and nothing else is, which would have to wait as well.

    Every reply becomes ``ApiError("unavailable")`` when fewer than ``replicas_acked`` replicas have it within
    ``replicas_seconds``; the script may well have been executed.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = RedisClient(settings)
        self._wanted: Final = settings.replicas_acked
        self._wait_ms: Final = max(1, round(settings.replicas_seconds * 1000))
        self._next_round: list[_Request] = []
        self._held: list[_HeldReply] = []
        self._round_open = False
        self._round_closed = False
        self._replicas_behind = False
        self.before_flush: Callable[[], None] = do_nothing
        """As :attr:`RedisClient.before_flush`: what it requests goes into the same round."""

    @property
    def is_healthy(self) -> bool:
        """As :attr:`RedisClient.is_healthy`, and enough replicas keep up."""
        return self._client.is_healthy and not self._replicas_behind

    def request(self, script: Script, keys: Sequence[str], args: Sequence[Arg], on_reply: OnReply) -> None:
        """As :meth:`RedisClient.request`."""
        self._add(_Request(partial(self._client.request, script, keys, args), on_reply))

    def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> "asyncio.Future[Any]":
        """As :meth:`RedisClient.call`."""
        future = asyncio.get_running_loop().create_future()
        self.request(script, keys, args, partial(resolve, future))
        return future

    async def close(self) -> None:
        """End the connection. Requests without a reply get ``unavailable``."""
        self._reject_next_round()
        await self._client.close()

    # ---- a round

    def _add(self, request: _Request) -> None:
        if not self._round_closed:
            self._open_round()
            request.send(partial(self._hold, request.on_reply))
        elif len(self._next_round) < MAX_PENDING:
            self._next_round.append(request)
        else:
            asyncio.get_running_loop().call_soon(request.on_reply, ApiError("unavailable"))

    def _open_round(self) -> None:
        if not self._round_open:
            self._round_open = True
            asyncio.get_running_loop().call_soon(self._close_round)

    def _close_round(self) -> None:
        """The PUBLISH, to which nobody subscribes, adds to Redis' replication history, and WAIT waits up to there. A
        script that only repeats the answer of an earlier one has added nothing by itself."""
        try:
            self.before_flush()
        except Exception:
            logger.exception("a callback before a round of scripts failed")  # the round must still be closed
        self._round_closed = True
        self._client.send("PUBLISH", keys.REPLICAS, "")
        self._client.request_command(self._end_round, "WAIT", self._wanted, self._wait_ms)

    def _hold(self, on_reply: OnReply, reply: Any) -> None:
        if isinstance(reply, Exception):
            on_reply(reply)
            return
        self._held.append(_HeldReply(on_reply, reply, self._client.connections))
        self._open_round()  # Redis did not know the script, so it ran after WAIT: it needs a round of its own

    def _end_round(self, reply: Any) -> None:
        self._round_open = self._round_closed = False
        held, self._held = self._held, []
        enough = isinstance(reply, int) and reply >= self._wanted
        self._note(enough=enough, reply=reply)
        if not enough:
            self._reject_next_round()  # otherwise its requests would wait for one timeout after the other
        for each in held:
            # Another connection may have led to another Redis, of which this WAIT says nothing.
            confirmed = enough and each.connection == self._client.connections
            run_callback(each.on_reply, each.reply if confirmed else ApiError("unavailable"))
        queued, self._next_round = self._next_round, []
        for request in queued:
            self._add(request)

    def _reject_next_round(self) -> None:
        queued, self._next_round = self._next_round, []
        for request in queued:
            run_callback(request.on_reply, ApiError("unavailable"))

    def _note(self, *, enough: bool, reply: Any) -> None:
        if enough is self._replicas_behind:
            self._replicas_behind = not enough
            if self._replicas_behind:
                logger.warning("too few replicas keep up: chats are refused", wanted=self._wanted, have=str(reply))
            else:
                logger.info("the replicas keep up again")
