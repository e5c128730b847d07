"""One person's slot in an empty Redis."""

import pytest
from redis.asyncio import Redis

from tests.delivery.post import Post


@pytest.fixture
async def post(redis: "Redis") -> Post:
    """A loaded person without blocks, never seen."""
    made = Post(redis)
    assert await made.load() == ["created", "epoch-1"]
    return made
