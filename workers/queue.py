"""arq's own queue in Redis: its writes are taken also when memory is short, for its jobs are what frees memory."""

import os
import sys
from typing import Any, Final

from arq.connections import ArqRedis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from delivery.redis.client import RedisClient
from delivery.scripts import WRITE
from delivery.storage import CLUSTER, FORBIDDEN, UnfitRedis, refuse_cluster

_REFUSED_WHEN_FULL: Final = frozenset({"SET", "SETEX", "PSETEX", "INCR", "INCRBY", "ZADD", "ZINCRBY"})
"""Of the commands arq uses, those that Redis refuses at ``maxmemory``. The key is the first word of each."""


def _as_script(words: tuple[Any, ...]) -> tuple[Any, ...]:
    """The command; one that would be refused goes through the script that is not. As text and not by its SHA: within
    MULTI nobody hears in time that Redis does not know the script."""
    if words[0] not in _REFUSED_WHEN_FULL:
        return words
    command, key, *rest = words
    return ("EVAL", WRITE.text, 1, key, command, *rest)


class QueuePipeline(Pipeline):
    """A pipeline of :class:`QueueRedis`."""

    def execute_command(self, *words: Any, **options: Any) -> Any:
        return super().execute_command(*_as_script(words), **options)


class QueueRedis(ArqRedis):
    """arq's client, whose writes are taken also at ``maxmemory``."""

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        return await super().execute_command(*_as_script(words), **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return QueuePipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def write_also_when_full(redis: ArqRedis) -> None:
    """Make arq's client one whose writes are taken. arq has made it already, and takes none of our own that would also
    wait for Redis at the start as its own does."""
    redis.__class__ = QueueRedis


async def look_for_cluster(link: RedisClient, queue: ArqRedis) -> None:
    """See what the product's Redis and that of the queue are.

    :raises UnfitRedis: one of them runs in cluster mode, or does not let its user ask
    """
    await refuse_cluster(link)
    try:
        facts = await queue.info("cluster")
    except ResponseError as error:
        raise UnfitRedis(FORBIDDEN) from error
    if facts.get("cluster_enabled"):
        raise UnfitRedis(CLUSTER)


async def end_on_cluster(link: RedisClient, queue: ArqRedis) -> None:
    """The same, and when one of them will not do the process ends with the sentence that says so. At once: arq, told to
    end, first writes to its queue, and what a cluster answers is a traceback over the sentence."""
    try:
        await look_for_cluster(link, queue)
    except UnfitRedis as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(1)
