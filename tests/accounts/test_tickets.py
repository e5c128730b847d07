"""Tickets: one use, one owner, a short life."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from accounts.sessions import Sessions
from accounts.tokens import Claims
from models import User
from protocol.errors import ApiError
from tests.support.api import Notes, make_settings
from tests.support.links import store_of

A = "919800000001"


@pytest.fixture
def sessions(redis: "Redis", orm: str) -> Sessions:
    return Sessions(store_of(redis), make_settings("redis://unused", orm, ticket_seconds=1), Notes().closing)


@pytest.fixture
async def claims(sessions: Sessions, enrol: Callable[[str], Awaitable[User]]) -> Claims:
    user = await enrol(A)
    session = await sessions.open(user, "phone", "")
    return Claims(str(user.id), A, user.name, "phone", str(session.id), int(time.time()) + 60)


async def test_a_ticket_gives_its_owners_claims_once(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    assert len(ticket) >= 43
    assert await sessions.redeem_ticket(ticket) == claims
    with pytest.raises(ApiError, match="ticket_invalid"):
        await sessions.redeem_ticket(ticket)


async def test_of_many_who_show_it_at_once_one_is_let_in(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    answers = await asyncio.gather(*(sessions.redeem_ticket(ticket) for _ in range(10)), return_exceptions=True)
    assert sum(answer == claims for answer in answers) == 1


async def test_it_expires(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    await asyncio.sleep(1.1)
    with pytest.raises(ApiError, match="ticket_invalid"):
        await sessions.redeem_ticket(ticket)


async def test_it_ends_with_its_session_and_with_its_token(sessions: Sessions, claims: Claims) -> None:
    ticket = await sessions.issue_ticket(claims)
    await sessions.close(claims.session_id)
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.redeem_ticket(ticket)
    old = Claims(claims.account_id, A, "Asha", "phone", claims.session_id, int(time.time()) - 1)
    with pytest.raises(ApiError, match="token_expired"):
        await sessions.redeem_ticket(await sessions.issue_ticket(old))


async def test_redis_never_holds_the_ticket_itself(sessions: Sessions, claims: Claims, redis: "Redis") -> None:
    ticket = await sessions.issue_ticket(claims)
    (name,) = await redis.keys("ticket:*")
    assert ticket.encode() not in name + await redis.get(name)


@pytest.mark.parametrize("ticket", ["", "x", "é" * 43, "a" * 44, "*" * 43, "a" * 43, "0" * 36, "a" * 43 + "\n"])
async def test_junk_is_no_ticket(sessions: Sessions, ticket: str) -> None:
    with pytest.raises(ApiError, match="ticket_invalid"):
        await sessions.redeem_ticket(ticket)
