"""The session cache, and tickets. (The rest of the cache is in test_sessions.)"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from accounts.session_store import CACHE_SECONDS, SessionCache, session_key, ticket_key
from accounts.sessions import Sessions
from accounts.tokens import Claims
from delivery.redis.access import KeyValues
from delivery.redis.client import RedisClient
from models import User
from protocol.errors import ApiError
from tests.support.api import Notes, make_settings
from tests.support.links import link_to, store_of
from tools.devstack.valkey import Valkey

A = "919800000001"


def test_keys_never_change_and_hold_no_secret() -> None:
    assert session_key("abc") == "session:abc"
    assert ticket_key("s3cret").startswith("ticket:")
    assert "s3cret" not in ticket_key("s3cret")
    assert ticket_key("a") != ticket_key("b")


async def test_the_cache_returns_what_was_put(redis: "Redis") -> None:
    cache = SessionCache(store_of(redis))
    await cache.put({"alive": True, "closed": False})
    assert await cache.get(["alive", "closed", "never"]) == {"alive": True, "closed": False}
    assert CACHE_SECONDS - 5 < await redis.ttl(session_key("alive")) <= CACHE_SECONDS


async def test_a_late_answer_of_postgresql_does_not_overwrite_a_closing(redis: "Redis") -> None:
    cache = SessionCache(store_of(redis))
    await cache.put({"one": True})
    await cache.put_closed(["one"])
    await cache.put({"one": True})
    assert await cache.get(["one"]) == {"one": False}


async def test_a_closing_waits_for_replicas_and_fails_with_them(redis: "Redis") -> None:
    written: list[tuple[object, ...]] = []

    class Behind(KeyValues):
        async def write_replicated(self, *words: Any) -> None:
            await self.write(*words)
            written.append(words)
            raise ApiError("unavailable")

    cache = SessionCache(Behind(link_to(redis), link_to(redis)))
    await cache.put({"one": True})
    with pytest.raises(ApiError, match="unavailable"):
        await cache.put_closed(["one"])
    assert len(written) == 1
    assert await cache.get(["one"]) == {"one": False}
    assert CACHE_SECONDS - 5 < await redis.ttl(session_key("one")) <= CACHE_SECONDS


async def test_an_update_writes_only_what_changed(redis: "Redis") -> None:
    cache = SessionCache(store_of(redis))
    await cache.update({"old": True}, {"old": True, "new": True, "ended": False})
    assert await redis.get(session_key("old")) is None
    assert await cache.get(["new", "ended"]) == {"new": True, "ended": False}


async def test_a_frozen_redis_is_given_up_in_time(own_valkey: Valkey) -> None:
    client = RedisClient(make_settings(own_valkey.url, "postgres://nobody@127.0.0.1/none", redis_command_seconds=1.5))
    cache = SessionCache(KeyValues(client, client))
    await cache.put({"one": True})
    own_valkey.pause()
    started = time.monotonic()
    assert await cache.get(["one"]) is None
    assert time.monotonic() - started < 1.4
    with pytest.raises(ApiError, match="unavailable"):
        await cache.put_closed(["one"])
    own_valkey.resume()
    # The next reader gets its own reply, not the one that came too late.
    assert await cache.get(["one", "never"]) in ({"one": True}, {"one": False})
    await client.close()


# ---- tickets


@pytest.fixture
def sessions(redis: "Redis", orm: str) -> Sessions:
    return Sessions(store_of(redis), make_settings("redis://unused", orm, ticket_seconds=1), Notes().closing)


@pytest.fixture
async def claims(sessions: Sessions, enrol: Callable[[str], Awaitable[User]]) -> Claims:
    user = await enrol(A)
    session_id = (await sessions.open(user, "phone", "")).grant.session_id
    return Claims(str(user.id), A, user.name, "phone", session_id, int(time.time()) + 60)


async def test_a_ticket_gives_its_claims_once(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    assert len(ticket) >= 43
    assert await sessions.redeem_ticket(ticket) == claims
    with pytest.raises(ApiError, match="ticket_invalid"):
        await sessions.redeem_ticket(ticket)


async def test_of_concurrent_uses_one_succeeds(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    answers = await asyncio.gather(*(sessions.redeem_ticket(ticket) for _ in range(10)), return_exceptions=True)
    assert sum(answer == claims for answer in answers) == 1


async def test_a_ticket_expires(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    await asyncio.sleep(1.1)
    with pytest.raises(ApiError, match="ticket_invalid"):
        await sessions.redeem_ticket(ticket)


async def test_a_ticket_ends_with_its_session_and_with_its_token(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    await sessions.close(claims.session_id)
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.redeem_ticket(ticket)
    old = Claims(claims.account_id, A, "Asha", "phone", claims.session_id, int(time.time()) - 1)
    with pytest.raises(ApiError, match="token_expired"):
        await sessions.redeem_ticket(await sessions.issue_ticket(old))


async def test_redis_does_not_hold_the_ticket_itself(sessions: Sessions, claims: Claims, redis: "Redis") -> None:
    ticket = await sessions.issue_ticket(claims)
    (name,) = await redis.keys("ticket:*")
    assert ticket.encode() not in name + await redis.get(name)


@pytest.mark.parametrize("ticket", ["", "x", "é" * 43, "a" * 44, "*" * 43, "a" * 43, "0" * 36, "a" * 43 + "\n"])
async def test_anything_else_is_an_invalid_ticket(sessions: Sessions, ticket: str) -> None:
    with pytest.raises(ApiError, match="ticket_invalid"):
        await sessions.redeem_ticket(ticket)
