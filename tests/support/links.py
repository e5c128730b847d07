"""The product's own Redis client, for the Redis of a test."""

import secrets

from redis.asyncio import Redis

from delivery.redis.access import KeyValues
from delivery.redis.client import RedisClient
from settings import Settings

_open: list[RedisClient] = []


def link_to(redis: "Redis") -> RedisClient:
    """A link to where this client leads; closed with the ``redis`` fixture, or by :func:`close_links`."""
    where = redis.connection_pool.connection_kwargs
    settings = Settings(
        redis_url=f"unix://{where['path']}?db={where.get('db', 0)}",
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
    )
    _open.append(RedisClient(settings))
    return _open[-1]


def store_of(redis: "Redis") -> KeyValues:
    """What the accounts keep there."""
    link = link_to(redis)
    return KeyValues(link, link)


async def close_links() -> None:
    """End all links made in this test."""
    while _open:
        await _open.pop().close()
