"""What carries commands to Redis. The only place of the post that knows the client library, so that another can come.

A command that timed out or whose connection broke may well have been executed: nothing is retried here, every
script is made to be repeated by whoever knows what it meant.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from delivery.scripts import Script
from protocol.refusals import Refusal
from settings import Settings

Arg: TypeAlias = str | bytes | int
_AWAY = ("MISCONF", "LOADING", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN")


def connect(settings: Settings, pool: int | None = None) -> "Redis":
    """A client with a bounded pool and a limit on every wait; it connects when first used."""
    connections = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=pool or settings.redis_pool,
        timeout=settings.redis_connect_seconds,
        socket_connect_timeout=settings.redis_connect_seconds,
        socket_timeout=settings.redis_command_seconds,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=connections)


def is_away(error: Exception) -> bool:
    """Is it Redis that is away, rather than our command that is wrong?"""
    if isinstance(error, OutOfMemoryError | ReadOnlyError):
        return True  # the library takes the code off the words of those it has a class for
    if isinstance(error, ResponseError):
        return str(error).startswith(_AWAY)
    return isinstance(error, RedisError | OSError | TimeoutError)


@asynccontextmanager
async def reachable() -> AsyncIterator[None]:
    """:raises Refusal: ``unavailable`` instead of whatever says that Redis is away"""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        if not is_away(error):
            raise
        raise Refusal("unavailable") from error


class Link:
    """Scripts and single commands, one awaited reply each.

    Every method raises ``Refusal("unavailable")`` while Redis is away, at the latest after
    ``redis_connect_seconds + redis_command_seconds``.
    """

    def __init__(self, redis: "Redis") -> None:
        # Same connections, but replies as Redis gives them: redis-py would make dicts of some, tuples of others.
        self._redis = Redis(connection_pool=redis.connection_pool)
        self._redis.response_callbacks.clear()

    async def call(self, script: Script, keys: Sequence[str], args: Sequence[Arg] = ()) -> Any:
        """Run a script by its SHA; Redis that restarted is given the source again.

        :returns: the reply as bytes, ints and lists
        """
        try:
            return await self.command("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self.command("EVAL", script.text, len(keys), *keys, *args)

    async def command(self, *words: Arg | float) -> Any:
        """One plain command."""
        async with reachable():
            return await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]

    async def together(self, commands: Sequence[Sequence[Arg | float]]) -> list[Any]:
        """Several plain commands in one trip; not a transaction."""
        async with reachable(), self._redis.pipeline(transaction=False) as pipe:
            for words in commands:
                pipe.execute_command(*words)
            return await pipe.execute()

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.connection_pool.disconnect()


__all__ = ["Link", "Redis", "RedisConnectionError", "connect", "is_away", "reachable"]
