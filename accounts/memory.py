"""What Redis remembers of sessions, so that PostgreSQL is not asked at every request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final, TypeAlias

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from accounts import keys
from protocol.refusals import Refusal

logger = structlog.get_logger(__name__)

BELIEVED_SECONDS: Final = 3600
"""How long what is written is believed. Bounds two things: how long a session goes on whose closing was cut off
between PostgreSQL and Redis, and how long the connected go on while PostgreSQL is away."""

RENEW_SECONDS: Final = 300
"""How often the keys of open sockets are given their full time again."""

RECALL_SECONDS: Final = 1.0
"""How long Redis may take to remember. PostgreSQL can tell as well, and more may be asked of Redis in one request:
together they must stay within the six seconds in which everybody gets an answer."""

Values: TypeAlias = Callable[[list[str]], Awaitable[list[bytes | None]]]
Write: TypeAlias = Callable[..., Awaitable[Any]]

_ALIVE: Final = b"1"
_CLOSED: Final = b"0"


@asynccontextmanager
async def redis_answering() -> AsyncIterator[None]:
    """Within this, Redis being away becomes a refusal.

    :raises Refusal: ``unavailable``
    """
    try:
        yield
    except (RedisError, OSError) as error:
        logger.warning("Redis is away", error=type(error).__name__, detail=str(error))
        raise Refusal("unavailable") from error


class SessionMemory:
    """Session ids and whether they live.

    :param values: asks Redis for the values of keys, and raises ``Refusal("unavailable")`` or what ``redis`` raises; by
        default it is ``redis`` itself. When thousands connect at once a pool of clients is too narrow a door.
    :param write: runs a command that somebody is told the outcome of, raising the same; by default ``redis``, too
    """

    def __init__(self, redis: "Redis", values: Values | None = None, write: Write | None = None) -> None:
        self._redis = redis
        self._values: Values = values or redis.mget
        self._write: Write = write or redis.execute_command
        self._renewed = monotonic()

    async def recall(self, session_ids: list[str]) -> dict[str, bool] | None:
        """What is known; None when Redis is away: then PostgreSQL is to be asked, and nothing written down."""
        try:
            async with redis_answering(), asyncio.timeout(RECALL_SECONDS):
                values = await self._values([keys.session(session_id) for session_id in session_ids])
        except Refusal:
            return None
        known = zip(session_ids, values, strict=True)
        return {session_id: value == _ALIVE for session_id, value in known if value is not None}

    async def remember(self, lives: dict[str, bool]) -> None:
        """Write down what PostgreSQL said. Redis being away is no failure here."""
        try:
            async with redis_answering(), self._redis.pipeline(transaction=False) as pipe:
                for session_id, alive in lives.items():
                    key = keys.session(session_id)
                    # "It lives" only where nothing is written: a closing may have come since PostgreSQL was asked.
                    pipe.set(key, _ALIVE if alive else _CLOSED, ex=BELIEVED_SECONDS, nx=alive)
                    pipe.expire(key, BELIEVED_SECONDS)
                await pipe.execute()
        except Refusal:
            return

    async def update(self, known: dict[str, bool], truth: dict[str, bool]) -> None:
        """Write down what is news; now and then all of it, so that no key of an open socket runs out."""
        everything = monotonic() - self._renewed > RENEW_SECONDS
        if everything:
            self._renewed = monotonic()
        news = {one: lives for one, lives in truth.items() if everything or known.get(one) is not lives}
        if news:
            await self.remember(news)

    async def forget(self, session_id: str) -> None:
        """The session was closed. When this key has run out PostgreSQL says so again.

        :raises Refusal: ``unavailable``
        """
        async with redis_answering():
            await self._write("SET", keys.session(session_id), _CLOSED, "EX", BELIEVED_SECONDS)
