"""Sessions: opened, checked, closed; what Redis forgets, PostgreSQL knows."""

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

import accounts.sessions
from accounts import keys
from accounts.sessions import Sessions
from delivery.redis.client import RedisClient
from delivery.redis.key_values import KeyValues
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
    return str((await sessions.open(user, device, "A phone")).id)


async def test_an_open_session_lives_for_its_hours(sessions: Sessions, asha: User) -> None:
    session = await sessions.open(asha, "phone", "Asha's phone")
    kept = await Session.get(id=session.id)
    assert (kept.device_id, kept.device_name, kept.revoked_at) == ("phone", "Asha's phone", None)
    assert timedelta(hours=23.9) < kept.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    await sessions.check(str(session.id))


async def test_a_closed_session_is_refused_and_everybody_is_told(
    sessions: Sessions, asha: User, notes: Notes, redis: "Redis"
) -> None:
    one, other = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.check(one)
    assert await redis.get(keys.session(one)) == b"1"
    await sessions.close(one)
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(one)
    await sessions.check(other)
    assert [(c.session_id, c.account_id, c.mobile, c.device_id) for c in notes.closed] == [
        (one, str(asha.id), A, "primary")
    ]
    assert (await Session.get(id=one)).revoked_at is not None


async def _told(sessions: Sessions, *session_ids: str) -> list[bool]:
    loop = asyncio.get_running_loop()
    answers: list[asyncio.Future[bool]] = [loop.create_future() for _ in session_ids]
    for session_id, answer in zip(session_ids, answers, strict=True):
        sessions.recall(session_id, answer.set_result)
    assert not any(answer.done() for answer in answers)
    return await asyncio.wait_for(asyncio.gather(*answers), 10)


async def test_who_asks_without_waiting_is_told_the_same(
    sessions: Sessions, asha: User, redis: "Redis", orm: str, notes: Notes
) -> None:
    known, forgotten, closed = [await _open(sessions, asha, "phone") for _ in range(3)]
    await sessions.close(closed)
    await sessions.check(known)
    assert await redis.exists(keys.session(forgotten)) == 0
    assert await _told(sessions, known, forgotten, closed, str(uuid.uuid4())) == [True, True, False, False]
    assert await redis.get(keys.session(forgotten)) == b"1"
    await redis.delete(keys.session(closed))
    assert await _told(sessions, closed, closed) == [False, False]


async def test_all_who_ask_in_one_tick_are_one_question(redis: "Redis", orm: str, notes: Notes, asha: User) -> None:
    asked: list[int] = []

    class Counting(KeyValues):
        async def values(self, names: list[str]) -> list[bytes | None]:
            asked.append(len(names))
            return await super().values(names)

    sessions = Sessions(Counting(link_to(redis)), make_settings("redis://unused", orm), notes.closing)
    ids = [await _open(sessions, asha) for _ in range(20)]
    assert await _told(sessions, *ids) == [True] * 20
    assert asked == [20]


async def test_who_asks_while_nobody_can_tell_hears_no(
    unused_tcp_port: int, orm: str, notes: Notes, asha: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(f"redis://127.0.0.1:{unused_tcp_port}", orm, redis_connect_seconds=0.3)
    link = RedisClient(settings)
    sessions = Sessions(KeyValues(link), settings, notes.closing)
    living = await _open(sessions, asha)
    assert await _told(sessions, living) == [True], "Redis is away, and PostgreSQL tells"

    async def away(_session_ids: list[str]) -> dict[str, bool]:
        raise ApiError("unavailable")

    monkeypatch.setattr(accounts.sessions, "_ask_postgresql", away)
    assert await _told(sessions, living, living) == [False, False]
    await link.close()


async def test_closing_again_is_fine_and_tells_again(sessions: Sessions, asha: User, notes: Notes) -> None:
    one = await _open(sessions, asha)
    await sessions.close(one)
    at = (await Session.get(id=one)).revoked_at
    await sessions.close(one)
    assert (await Session.get(id=one)).revoked_at == at
    assert len(notes.closed) == 2


async def test_a_session_that_never_was_does_not_live(sessions: Sessions, asha: User) -> None:
    for attempt in (sessions.check, sessions.close):
        with pytest.raises(ApiError, match="session_revoked"):
            await attempt(str(uuid.uuid4()))


async def test_a_flush_revives_nobody(sessions: Sessions, asha: User, redis: "Redis") -> None:
    closed, alive = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.close(closed)
    await redis.flushall()
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(closed)
    await sessions.check(alive)
    await redis.flushall()
    assert await sessions.revoked_among([closed, alive]) == {closed}


async def test_an_answer_of_before_does_not_overwrite_the_closing(
    sessions: Sessions, asha: User, redis: "Redis"
) -> None:
    one = await _open(sessions, asha)
    await sessions.close(one)
    # As if PostgreSQL had been asked just before.
    await sessions._memory.remember({one: True})
    assert await redis.get(keys.session(one)) == b"0"


async def test_every_key_has_an_end(sessions: Sessions, asha: User, redis: "Redis") -> None:
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
    await redis.expire(keys.session(one), 100)
    await sessions.revoked_among([one])
    assert await redis.ttl(keys.session(one)) <= 100
    monkeypatch.setattr("accounts.session_cache.RENEW_SECONDS", -1)
    await sessions.revoked_among([one])
    assert await redis.ttl(keys.session(one)) > 3000


async def test_a_closing_cut_off_before_redis_ends_open_sockets_all_the_same(
    sessions: Sessions, asha: User, redis: "Redis"
) -> None:
    one, other = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.check(one)
    await Session.filter(id=one).update(revoked_at=datetime.now(UTC))
    assert await sessions.revoked_among([one, other]) == {one}
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(one)
    assert await sessions.revoked_among([]) == set()


async def test_devices_are_counted_not_sessions(sessions: Sessions, asha: User) -> None:
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


async def test_expired_sessions_hold_no_place(sessions: Sessions, asha: User) -> None:
    for device in ("phone", "laptop"):
        await _open(sessions, asha, device)
    await Session.filter(device_id="phone").update(expires_at=datetime.now(UTC))
    await _open(sessions, asha, "tablet")


async def test_the_last_place_is_given_once(sessions: Sessions, asha: User) -> None:
    answers = await asyncio.gather(*(sessions.open(asha, f"device-{n}", "") for n in range(6)), return_exceptions=True)
    assert sum(isinstance(answer, Session) for answer in answers) == 2
    assert {answer.code for answer in answers if isinstance(answer, ApiError)} == {"too_many_devices"}


async def test_without_redis_postgresql_answers_and_closing_is_not_confirmed(
    own_valkey: Valkey, orm: str, asha: User, notes: Notes
) -> None:
    settings = make_settings(own_valkey.url, orm, redis_connect_seconds=0.5, redis_command_seconds=1)
    link = RedisClient(settings)
    sessions = Sessions(KeyValues(link), settings, notes.closing)
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
