"""Sessions: opened, checked, closed; what Redis forgets, PostgreSQL knows."""

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from accounts import keys
from accounts.sessions import Sessions
from devstack.valkey import Valkey
from models import Session, User
from protocol.refusals import Refusal
from tests.support.api import Notes, make_settings

A = "919800000001"


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def asha(enrol: Callable[[str], Awaitable[User]]) -> User:
    return await enrol(A)


@pytest.fixture
def sessions(redis: "Redis", orm: str, notes: Notes) -> Sessions:
    return Sessions(redis, make_settings("redis://unused", orm, max_devices=2), notes.closing)


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
    with pytest.raises(Refusal, match="session_revoked"):
        await sessions.check(one)
    await sessions.check(other)
    assert [(c.session_id, c.account_id, c.mobile, c.device_id) for c in notes.closed] == [
        (one, str(asha.id), A, "primary")
    ]
    assert (await Session.get(id=one)).revoked_at is not None


async def test_the_last_session_of_a_device_is_told_to_be_the_last(
    sessions: Sessions, asha: User, notes: Notes
) -> None:
    one, other, laptop = [await _open(sessions, asha, device) for device in ("phone", "phone", "laptop")]
    for session in (one, other, other, laptop):
        await sessions.close(session)
    assert [(c.device_id, c.last) for c in notes.closed] == [
        ("phone", False),
        ("phone", True),
        ("phone", True),
        ("laptop", True),
    ]
    one, over = await _open(sessions, asha, "phone"), await _open(sessions, asha, "phone")
    await Session.filter(id=over).update(expires_at=datetime.now(UTC))
    await sessions.close(one)
    assert notes.closed[-1].last, "the other one has expired"


async def test_closing_again_is_fine_and_tells_again(sessions: Sessions, asha: User, notes: Notes) -> None:
    one = await _open(sessions, asha)
    await sessions.close(one)
    at = (await Session.get(id=one)).revoked_at
    await sessions.close(one)
    assert (await Session.get(id=one)).revoked_at == at
    assert len(notes.closed) == 2


async def test_a_session_that_never_was_does_not_live(sessions: Sessions, asha: User) -> None:
    for attempt in (sessions.check, sessions.close):
        with pytest.raises(Refusal, match="session_revoked"):
            await attempt(str(uuid.uuid4()))


async def test_a_flush_revives_nobody(sessions: Sessions, asha: User, redis: "Redis") -> None:
    closed, alive = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.close(closed)
    await redis.flushall()
    with pytest.raises(Refusal, match="session_revoked"):
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
    monkeypatch.setattr("accounts.memory.RENEW_SECONDS", -1)
    await sessions.revoked_among([one])
    assert await redis.ttl(keys.session(one)) > 3000


async def test_a_closing_cut_off_before_redis_ends_open_sockets_all_the_same(
    sessions: Sessions, asha: User, redis: "Redis"
) -> None:
    one, other = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.check(one)
    await Session.filter(id=one).update(revoked_at=datetime.now(UTC))
    assert await sessions.revoked_among([one, other]) == {one}
    with pytest.raises(Refusal, match="session_revoked"):
        await sessions.check(one)
    assert await sessions.revoked_among([]) == set()


async def test_devices_are_counted_not_sessions(sessions: Sessions, asha: User) -> None:
    first = await _open(sessions, asha, "phone")
    again = await _open(sessions, asha, "phone")
    await _open(sessions, asha, "laptop")
    with pytest.raises(Refusal, match="too_many_devices"):
        await _open(sessions, asha, "tablet")
    await sessions.close(first)
    with pytest.raises(Refusal, match="too_many_devices"):
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
    assert {answer.code for answer in answers if isinstance(answer, Refusal)} == {"too_many_devices"}


async def test_without_redis_postgresql_answers_and_closing_is_not_confirmed(
    own_valkey: Valkey, orm: str, asha: User, notes: Notes
) -> None:
    redis = Redis.from_url(own_valkey.url, socket_timeout=1)
    sessions = Sessions(redis, make_settings("redis://unused", orm), notes.closing)
    one, closed = await _open(sessions, asha), await _open(sessions, asha)
    await sessions.close(closed)
    await asyncio.to_thread(own_valkey.stop)
    await sessions.check(one)
    with pytest.raises(Refusal, match="session_revoked"):
        await sessions.check(closed)
    assert await sessions.revoked_among([one, closed]) == {closed}
    with pytest.raises(Refusal, match="unavailable"):
        await sessions.close(one)
    with pytest.raises(Refusal, match="unavailable"):
        await sessions.redeem_ticket(secrets.token_urlsafe(32))
    await asyncio.to_thread(own_valkey.start)
    await sessions.close(one)
    assert [session.session_id for session in notes.closed] == [closed, one]
    await redis.aclose()
