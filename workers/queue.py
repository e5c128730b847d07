"""arq's client of Redis, for its queue: its writes are accepted also at ``maxmemory``, because its jobs free memory.

The only use of redis-py in the product (docs/redis.md).
"""

import os
import sys
from collections.abc import Callable
from typing import Any, Final

from arq.connections import ArqRedis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ResponseError

from delivery.redis.client import RedisClient
from delivery.scripts import WRITE
from delivery.storage import CLUSTER, FORBIDDEN, UnfitRedis, refuse_cluster
from settings import Settings

RETRIES: Final = 5
"""Attempts to connect after the first one, a second apart. Then the worker ends, and its supervisor starts another."""

_DENIED_WHEN_FULL: Final = frozenset({"SET", "SETEX", "PSETEX", "INCR", "INCRBY", "ZADD", "ZINCRBY"})
"""Of the commands arq uses, those that Redis denies at ``maxmemory``. The key is the first word of each."""


def _as_script(words: tuple[Any, ...]) -> tuple[Any, ...]:
    """The command; one that would be denied becomes a call of the script that is not. With its source instead of its
    SHA: within MULTI nobody learns in time that Redis does not know the script."""
    if words[0] not in _DENIED_WHEN_FULL:
        return words
    command, key, *rest = words
    return ("EVAL", WRITE.text, 1, key, command, *rest)


class QueuePipeline(Pipeline):
    """A pipeline of :class:`QueueRedis`."""

    def execute_command(self, *words: Any, **options: Any) -> Any:
        return super().execute_command(*_as_script(words), **options)


class QueueRedis(ArqRedis):
    """arq's client, whose writes are accepted also at ``maxmemory``."""

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        return await super().execute_command(*_as_script(words), **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return QueuePipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def queue_client(
    settings: Settings, serialize: Callable[[Any], bytes], deserialize: Callable[[bytes], Any]
) -> QueueRedis:
    """arq's client. Connects when first used.

    arq itself sets no time limit on a reply: over a half-open connection its worker would wait for ever, unnoticed.
    With a limit the worker ends with an error, and its supervisor starts another.
    """
    client: QueueRedis = QueueRedis.from_url(
        settings.jobs_redis_url,
        socket_connect_timeout=settings.redis_connect_seconds,
        socket_timeout=settings.redis_command_seconds,
        # OSError is what connecting raises. Commands raise redis-py's own exceptions, and are not repeated.
        retry=Retry(ConstantBackoff(1), RETRIES, (OSError,)),  # type: ignore[arg-type]
    )
    client.job_serializer, client.job_deserializer = serialize, deserialize
    return client


async def check_redis(redis: RedisClient, queue: ArqRedis) -> None:
    """Check the product's Redis and that of the queue.

    :raises UnfitRedis: one of them runs in cluster mode, or does not allow its user INFO
    """
    await refuse_cluster(redis)
    try:
        facts = await queue.info("cluster")
    except ResponseError as error:
        raise UnfitRedis(FORBIDDEN) from error
    if facts.get("cluster_enabled"):
        raise UnfitRedis(CLUSTER)


async def exit_unless_fit(redis: RedisClient, queue: ArqRedis) -> None:
    """:func:`check_redis`; when it fails the process ends with its message, at once. arq, when told to end, first
    writes to its queue, and a cluster's answer would print a traceback after the message."""
    try:
        await check_redis(redis, queue)
    except UnfitRedis as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)
