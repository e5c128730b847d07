"""Whether Redis has room for chats, and whether it is one that can do this product's work (docs/decisions/0017)."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog

from delivery import keys
from delivery.redis.client import RedisClient
from delivery.results import CommandFailed
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)
LOOK_SECONDS: Final = 1.0
"""Between two checks."""

CLUSTER: Final = (
    "Redis runs in cluster mode, which this product does not support: set REDIS_URL (and ARQ_REDIS_URL) to a single "
    "Redis or Valkey without cluster-enabled."
)
READ_ONLY: Final = "Redis is a read-only replica: set REDIS_URL to the primary, or promote this one (REPLICAOF NO ONE)."
NO_WRITES: Final = "Redis takes no writes: its own log says why."
FORBIDDEN: Final = "Redis does not let this user do INFO, which the product needs."
AWAY: Final = "Redis does not answer."
FULL: Final = (
    "Redis is nearly full: new chats are refused (storage_full) until waiting chats have been read or maxmemory is "
    "raised."
)


class UnfitRedis(Exception):
    """This Redis can never do the work; the message says why, in one sentence."""


class Storage:
    """Checks Redis now and then. There is one in each process that stores chats."""

    def __init__(self, redis: RedisClient, settings: Settings) -> None:
        self._redis = redis
        self._percent = settings.storage_refuse_percent
        self._logged = ""
        self.full = False
        """Whether chats are refused, so that room is left for what lets people read them: as of the last check."""

    async def fault(self) -> str:
        """Check; one sentence that says why this Redis cannot do the work, or "" when it can. Never raises."""
        info, written = await self._ask()
        if isinstance(info, Exception):
            return AWAY if isinstance(info, ApiError) else FORBIDDEN
        facts = _facts(info)
        self._note_memory(facts)
        if facts.get("cluster_enabled") == "1":
            return CLUSTER
        if isinstance(written, Exception):
            return READ_ONLY if facts.get("role") == "slave" else NO_WRITES
        return ""

    async def _ask(self) -> tuple[Any, Any]:
        """The reply to INFO, and to a write; or the exceptions in their place."""
        info = self._redis.command("INFO", "memory", "replication", "cluster")
        # What is deleted does not exist: Redis checks that it may write, and has nothing to copy or to keep.
        written = self._redis.write("DEL", keys.NOTHING)
        return await asyncio.gather(info, written, return_exceptions=True)

    async def look(self) -> None:
        """Check once, and log what has changed."""
        fault = await self.fault()
        if fault == AWAY:
            return  # the Redis client has logged that
        if fault == self._logged:
            return
        self._logged = fault
        if fault:
            logger.warning("Redis cannot do its work", reason=fault)
        else:
            logger.info("Redis can do its work again")

    def _note_memory(self, facts: Mapping[str, str]) -> None:
        most = int(facts.get("maxmemory", "0"))
        # Redis itself counts like this when it compares with maxmemory.
        used = int(facts.get("used_memory", "0")) - int(facts.get("mem_not_counted_for_evict", "0"))
        full = most > 0 and used * 100 >= most * self._percent
        if full is not self.full:
            self.full = full
            if full:
                logger.warning("chats are refused: Redis is nearly full", used=used, maxmemory=most)
            else:
                logger.info("chats are taken again: Redis has room", used=used, maxmemory=most)


async def refuse_cluster(redis: RedisClient) -> None:
    """At the start: refuse a Redis in cluster mode. One that does not answer may come later, and is no reason to stop.

    :raises UnfitRedis: it runs in cluster mode, or does not let this user do INFO
    """
    try:
        facts = _facts(await redis.command("INFO", "cluster"))
    except ApiError:
        return
    except CommandFailed as error:
        raise UnfitRedis(FORBIDDEN) from error
    if facts.get("cluster_enabled") == "1":
        raise UnfitRedis(CLUSTER)


def _facts(info: Any) -> dict[str, str]:
    lines = info.decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
