"""A running HTTP side."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.support.api import Api, make_settings, serve


@pytest.fixture
async def api(redis: "Redis", valkey_url: str, database_url: str) -> AsyncIterator[Api]:
    """The HTTP side on an empty Redis and an empty PostgreSQL."""
    async with serve(make_settings(valkey_url, database_url)) as running:
        yield running
