"""One person's keys in an empty Redis, and links to a Redis that is one's own or not there at all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from delivery.redis.client import RedisClient
from tests.delivery.person_scripts import Scripts
from tests.support.messaging import make_settings
from tools.devstack.valkey import Valkey


@pytest.fixture
async def person(redis: "Redis") -> Scripts:
    """A loaded person without blocks, never seen."""
    made = Scripts(redis)
    assert await made.load() == ["created", "epoch-1"]
    return made


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[RedisClient]:
    """A link to where nobody listens; it gives up soon."""
    link = RedisClient(make_settings(redis_url=f"unix://{tmp_path / 'none.sock'}", redis_connect_seconds=0.2))
    yield link
    await link.close()


@pytest.fixture
async def own_link(own_valkey: Valkey) -> AsyncIterator[RedisClient]:
    """A link to the Valkey that this test may kill; it gives up soon."""
    link = RedisClient(make_settings(redis_url=own_valkey.url, redis_connect_seconds=0.2, redis_command_seconds=0.5))
    yield link
    await link.close()
