"""The redis-py client for all that is not the road of a message."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from settings.knobs import Settings


def redis_client(settings: Settings) -> "Redis":
    """A client with a bounded pool and a limit on every wait; it connects when first used, and answers in bytes."""
    connections = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=settings.redis_pool,
        timeout=settings.redis_connect_seconds,
        socket_connect_timeout=settings.redis_connect_seconds,
        socket_timeout=settings.redis_command_seconds,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=connections)
