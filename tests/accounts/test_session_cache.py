"""What Redis is told of sessions, and how long it is believed. (The rest is in test_sessions.)"""

import time
from typing import Any

import pytest
from redis.asyncio import Redis

from accounts import keys
from accounts.session_cache import BELIEVED_SECONDS, SessionCache
from delivery.redis.client import RedisClient
from delivery.redis.key_values import KeyValues
from protocol.errors import ApiError
from tests.support.api import make_settings
from tests.support.links import link_to, store_of
from tools.devstack.valkey import Valkey


async def test_only_what_was_told_is_recalled(redis: "Redis") -> None:
    memory = SessionCache(store_of(redis))
    await memory.remember({"alive": True, "closed": False})
    assert await memory.recall(["alive", "closed", "never"]) == {"alive": True, "closed": False}
    assert BELIEVED_SECONDS - 5 < await redis.ttl(keys.session("alive")) <= BELIEVED_SECONDS


async def test_a_closing_always_wins(redis: "Redis") -> None:
    memory = SessionCache(store_of(redis))
    await memory.remember({"one": True})
    await memory.forget("one")
    await memory.remember({"one": True})
    assert await memory.recall(["one"]) == {"one": False}


async def test_a_closing_is_written_by_whoever_is_given_for_it(redis: "Redis") -> None:
    """He may wait for replicas, and what he refuses is not told as done."""
    written: list[tuple[object, ...]] = []

    class Behind(KeyValues):
        async def write_surely(self, *words: Any) -> None:
            await self.write(*words)
            written.append(words)
            raise ApiError("unavailable")

    memory = SessionCache(Behind(link_to(redis)))
    await memory.remember({"one": True})
    with pytest.raises(ApiError, match="unavailable"):
        await memory.forget("one")
    assert len(written) == 1
    assert await memory.recall(["one"]) == {"one": False}
    assert BELIEVED_SECONDS - 5 < await redis.ttl(keys.session("one")) <= BELIEVED_SECONDS


async def test_only_news_is_written(redis: "Redis") -> None:
    memory = SessionCache(store_of(redis))
    await memory.update({"old": True}, {"old": True, "new": True, "ended": False})
    assert await redis.get(keys.session("old")) is None
    assert await memory.recall(["new", "ended"]) == {"new": True, "ended": False}


async def test_a_frozen_redis_recalls_nothing_and_does_not_hold_anybody_up(own_valkey: Valkey) -> None:
    link = RedisClient(make_settings(own_valkey.url, "postgres://nobody@127.0.0.1/none", redis_command_seconds=1.5))
    memory = SessionCache(KeyValues(link))
    await memory.remember({"one": True})
    own_valkey.pause()
    started = time.monotonic()
    assert await memory.recall(["one"]) is None
    assert time.monotonic() - started < 1.4
    with pytest.raises(ApiError, match="unavailable"):
        await memory.forget("one")
    own_valkey.resume()
    # Whoever reads next gets his own answer, not the one that came too late.
    assert await memory.recall(["one", "never"]) in ({"one": True}, {"one": False})
    await link.close()
