"""Login sessions: opened, checked, closed. PostgreSQL knows what Redis has lost."""

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

import accounts.sessions
from accounts.session_opening import Opened
from accounts.session_store import session_key
from accounts.sessions import Sessions
from delivery.redis.access import KeyValues
from delivery.redis.client import RedisClient
from models import Session, User
from protocol.errors import ApiError
from tests.support.api import Notes, make_settings
from tests.support.links import link_to, store_of
from tools.devstack.valkey import Valkey

A = "919800000001"


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def asha(enrol: Callable[[str], Awaitable[User]]) -> User:
    return await enrol(A)


@pytest.fixture
def sessions(redis: "Redis", orm: str, notes: Notes) -> Sessions:
    return Sessions(store_of(redis), make_settings("redis://unused", orm, max_devices=2), notes.closing)


async def _open(sessions: Sessions, user: User, device: str = "primary") -> str:
    return (await sessions.open(user, device, "A phone")).grant.session_id


async def test_an_open_session_lives_for_its_idle_days(sessions: Sessions, asha: User) -> None:
    grant = (await sessions.open(asha, "phone", "Asha's phone")).grant
    kept = await Session.get(id=grant.session_id)
    assert (kept.device_id, kept.device_name, kept.revoked_at) == ("phone", "Asha's phone", None)
    assert timedelta(days=59.9) < kept.expires_at - datetime.now(UTC) <= timedelta(days=60, minutes=1)
    assert grant.expires_at == kept.expires_at
    await sessions.check(grant.session_id)


async def test_a_closed_session_fails_its_check_and_is_announced(
    sessions: Sessions, asha: User, notes: Notes, redis: "Redis"
) -> None:
    one, other = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.check(one)
    assert await redis.get(session_key(one)) == b"1"
    await sessions.close(one)
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(one)
    await sessions.check(other)
    assert [(c.session_id, c.account_id, c.mobile, c.device_id) for c in notes.closed] == [
        (one, str(asha.id), A, "primary")
    ]
    assert (await Session.get(id=one)).revoked_at is not None


async def _check(sessions: Sessions, *session_ids: str) -> list[str]:
    """What each check raises when all begin in one tick; empty where the session lives."""
    results = await asyncio.gather(*(sessions.check(each) for each in session_ids), return_exceptions=True)
    return ["" if result is None else str(result) for result in results]


async def test_checks_of_one_tick_each_get_their_own_result(
    sessions: Sessions, asha: User, redis: "Redis", orm: str, notes: Notes
) -> None:
    known, forgotten, closed = [await _open(sessions, asha, "phone") for _ in range(3)]
    await sessions.close(closed)
    await sessions.check(known)
    assert await redis.exists(session_key(forgotten)) == 0
    assert await _check(sessions, known, forgotten, closed, str(uuid.uuid4())) == ["", "", *["session_revoked"] * 2]
    assert await redis.get(session_key(forgotten)) == b"1"
    await redis.delete(session_key(closed))
    assert await _check(sessions, closed, closed) == ["session_revoked"] * 2


async def test_checks_of_one_tick_are_one_command(redis: "Redis", orm: str, notes: Notes, asha: User) -> None:
    asked: list[int] = []

    class Counting(KeyValues):
        async def get(self, names: list[str]) -> list[bytes | None]:
            asked.append(len(names))
            return await super().get(names)

    sessions = Sessions(Counting(link_to(redis), link_to(redis)), make_settings("redis://unused", orm), notes.closing)
    ids = [await _open(sessions, asha) for _ in range(10)]
    assert await _check(sessions, *ids) == [""] * 10
    assert asked == [10]


async def test_checks_that_share_a_failing_query_all_fail(
    unused_tcp_port: int, orm: str, notes: Notes, asha: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(f"redis://127.0.0.1:{unused_tcp_port}", orm, redis_connect_seconds=0.3)
    link = RedisClient(settings)
    sessions = Sessions(KeyValues(link, link), settings, notes.closing)
    living = await _open(sessions, asha)
    assert await _check(sessions, living) == [""], "Redis is away, and PostgreSQL answers"

    async def away(_session_ids: list[str]) -> dict[str, bool]:
        raise ApiError("unavailable")

    monkeypatch.setattr(accounts.sessions, "_query", away)
    assert await _check(sessions, living, living) == ["unavailable"] * 2
    await link.close()


async def test_closing_again_announces_it_again(sessions: Sessions, asha: User, notes: Notes) -> None:
    one = await _open(sessions, asha)
    await sessions.close(one)
    at = (await Session.get(id=one)).revoked_at
    await sessions.close(one)
    assert (await Session.get(id=one)).revoked_at == at
    assert len(notes.closed) == 2


async def test_an_unknown_session_counts_as_closed(sessions: Sessions, asha: User) -> None:
    for attempt in (sessions.check, sessions.close):
        with pytest.raises(ApiError, match="session_revoked"):
            await attempt(str(uuid.uuid4()))


async def test_a_flush_of_redis_revives_no_session(sessions: Sessions, asha: User, redis: "Redis") -> None:
    closed, alive = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.close(closed)
    await redis.flushall()
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(closed)
    await sessions.check(alive)
    await redis.flushall()
    assert await sessions.revoked_among([closed, alive]) == {closed}


async def test_a_late_answer_does_not_overwrite_the_closing(sessions: Sessions, asha: User, redis: "Redis") -> None:
    one = await _open(sessions, asha)
    await sessions.close(one)
    # As if PostgreSQL had been asked just before.
    await sessions._cache.put({one: True})
    assert await redis.get(session_key(one)) == b"0"


async def test_every_key_expires(sessions: Sessions, asha: User, redis: "Redis") -> None:
    one, other = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.check(one)
    await sessions.close(other)
    assert await sessions.revoked_among([one, other]) == {other}
    names = await redis.keys("*")
    assert len(names) == 2
    assert all(0 < seconds <= 3600 for seconds in [await redis.ttl(name) for name in names])


async def test_the_keys_of_open_sockets_are_renewed(
    sessions: Sessions, asha: User, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await _open(sessions, asha)
    await sessions.check(one)
    await redis.expire(session_key(one), 100)
    await sessions.revoked_among([one])
    assert await redis.ttl(session_key(one)) <= 100
    monkeypatch.setattr("accounts.session_store.RENEW_SECONDS", -1)
    await sessions.revoked_among([one])
    assert await redis.ttl(session_key(one)) > 3000


async def test_a_closing_interrupted_before_redis_is_still_found(
    sessions: Sessions, asha: User, redis: "Redis"
) -> None:
    one, other = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.check(one)
    await Session.filter(id=one).update(revoked_at=datetime.now(UTC))
    assert await sessions.revoked_among([one, other]) == {one}
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(one)
    assert await sessions.revoked_among([]) == set()


async def test_the_limit_counts_devices_not_sessions(sessions: Sessions, asha: User) -> None:
    first = await _open(sessions, asha, "phone")
    again = await _open(sessions, asha, "phone")
    await _open(sessions, asha, "laptop")
    with pytest.raises(ApiError, match="too_many_devices"):
        await _open(sessions, asha, "tablet")
    await sessions.close(first)
    with pytest.raises(ApiError, match="too_many_devices"):
        await _open(sessions, asha, "tablet")
    await sessions.close(again)
    await _open(sessions, asha, "tablet")


async def test_expired_sessions_do_not_count(sessions: Sessions, asha: User) -> None:
    for device in ("phone", "laptop"):
        await _open(sessions, asha, device)
    await Session.filter(device_id="phone").update(expires_at=datetime.now(UTC))
    await _open(sessions, asha, "tablet")


async def test_concurrent_logins_do_not_exceed_the_limit(sessions: Sessions, asha: User) -> None:
    answers = await asyncio.gather(*(sessions.open(asha, f"device-{n}", "") for n in range(6)), return_exceptions=True)
    assert sum(isinstance(answer, Opened) for answer in answers) == 2
    assert {answer.code for answer in answers if isinstance(answer, ApiError)} == {"too_many_devices"}


async def test_without_redis_postgresql_answers_and_closing_is_not_confirmed(
    own_valkey: Valkey, orm: str, asha: User, notes: Notes
) -> None:
    settings = make_settings(own_valkey.url, orm, redis_connect_seconds=0.5, redis_command_seconds=1)
    link = RedisClient(settings)
    sessions = Sessions(KeyValues(link, link), settings, notes.closing)
    one, closed = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.close(closed)
    await asyncio.to_thread(own_valkey.stop)
    await sessions.check(one)
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(closed)
    assert await sessions.revoked_among([one, closed]) == {closed}
    with pytest.raises(ApiError, match="unavailable"):
        await sessions.close(one)
    with pytest.raises(ApiError, match="unavailable"):
        await sessions.redeem_ticket(secrets.token_urlsafe(32))
    await asyncio.to_thread(own_valkey.start)
    await sessions.close(one)
    assert [session.session_id for session in notes.closed] == [closed, one]
    await link.close()
