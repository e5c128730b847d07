"""Refreshing a session: who gets which token, who is found out, and what becomes of the session."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from accounts.events import SessionEvents
from accounts.login import refresh
from accounts.refresh_tokens import RefreshToken, parse
from accounts.refreshing import _rotate
from accounts.session_opening import Grant
from accounts.sessions import Sessions
from models import EventKind, Session, SessionEvent, User
from protocol.errors import ApiError
from tests.support.api import Notes, make_settings
from tests.support.links import store_of

A = "919800000001"
LONG_AGO = timedelta(seconds=11)


@pytest.fixture
async def asha(enrol: Callable[[str], Awaitable[User]]) -> User:
    return await enrol(A)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def sessions(redis: "Redis", orm: str, notes: Notes) -> Sessions:
    return Sessions(store_of(redis), make_settings("redis://unused", orm, max_devices=1), notes.closing)


@pytest.fixture
async def first(sessions: Sessions, asha: User) -> Grant:
    return (await sessions.open(asha, "phone")).grant


EVENTS = SessionEvents(10, "server-1")


async def _use(sessions: Sessions, token: str) -> Grant:
    return await refresh(sessions, EVENTS, token, lambda _session_id: None)


async def _refused(sessions: Sessions, token: str) -> str:
    with pytest.raises(ApiError) as caught:
        await _use(sessions, token)
    return caught.value.code


async def _wait(session_id: str, seconds: timedelta = LONG_AGO) -> None:
    """The last refresh was so long ago."""
    row = await Session.get(id=session_id)
    assert row.refreshed_at is not None
    await Session.filter(id=session_id).update(refreshed_at=row.refreshed_at - seconds)


async def test_a_refresh_gives_another_token_and_more_time(sessions: Sessions, first: Grant) -> None:
    soon = datetime.now(UTC) + timedelta(days=1)
    used = datetime.now(UTC) - timedelta(days=2)
    await Session.filter(id=first.session_id).update(expires_at=soon, last_used_at=used)
    second = await _use(sessions, first.refresh_token)
    assert second.refresh_token != first.refresh_token
    assert (second.session_id, second.account_id, second.mobile, second.device_id) == (
        first.session_id, first.account_id, A, "phone"
    )  # fmt: skip
    assert second.expires_at > soon + timedelta(days=50)
    row = await Session.get(id=first.session_id)
    assert row.expires_at == second.expires_at
    assert row.last_used_at == row.refreshed_at
    assert row.last_used_at is not None
    assert row.last_used_at > used + timedelta(days=1)
    third = await _use(sessions, second.refresh_token)
    assert third.refresh_token not in {first.refresh_token, second.refresh_token}


async def test_neither_tokens_nor_their_secrets_are_stored(sessions: Sessions, first: Grant) -> None:
    row = await Session.get(id=first.session_id)
    stored = f"{row.refresh_key} {row.refresh_hash}"
    assert bytes.fromhex(row.refresh_hash) not in first.refresh_token.encode()
    assert first.refresh_token.removeprefix("wmr_") not in stored


async def test_a_lost_answer_may_be_asked_for_again(sessions: Sessions, first: Grant) -> None:
    answers = [await _use(sessions, first.refresh_token) for _ in range(3)]
    assert len({answer.refresh_token for answer in answers}) == 1
    assert (await Session.get(id=first.session_id)).refresh_generation == 1
    await _use(sessions, answers[0].refresh_token)


async def test_of_requests_at_once_each_gets_the_same_token(sessions: Sessions, first: Grant) -> None:
    answers = await asyncio.gather(*(_use(sessions, first.refresh_token) for _ in range(8)))
    assert len({answer.refresh_token for answer in answers}) == 1
    assert (await Session.get(id=first.session_id)).refresh_generation == 1


async def test_a_change_that_comes_late_turns_nothing_back(sessions: Sessions, first: Grant, orm: str) -> None:
    """Of two requests that saw the same token, one was held up until the other's successor was used."""
    second = await _use(sessions, first.refresh_token)
    third = await _use(sessions, second.refresh_token)
    settings = make_settings("redis://unused", orm)
    assert await _rotate({}, parse(second.refresh_token), settings) is None
    await _use(sessions, third.refresh_token)


async def test_a_token_that_was_replaced_a_while_ago_ends_the_session_and_is_an_event(
    sessions: Sessions, first: Grant, notes: Notes
) -> None:
    second = await _use(sessions, first.refresh_token)
    await _wait(first.session_id)
    assert await _refused(sessions, first.refresh_token) == "refresh_reused"
    assert [closed.session_id for closed in notes.closed] == [first.session_id]
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(first.session_id)
    assert await _refused(sessions, second.refresh_token) == "session_revoked"
    assert await _refused(sessions, first.refresh_token) == "session_revoked"
    (event,) = await SessionEvent.all()
    assert (event.kind, event.mobile_no, str(event.session_id)) == (EventKind.REFRESH_REUSED, A, first.session_id)
    assert event.user_id is not None  # type: ignore[attr-defined]


async def test_an_older_token_ends_it_at_any_time(sessions: Sessions, first: Grant) -> None:
    second = await _use(sessions, first.refresh_token)
    await _use(sessions, second.refresh_token)
    assert await _refused(sessions, first.refresh_token) == "refresh_reused"


async def test_reuse_is_effective_also_when_it_cannot_be_announced(
    sessions: Sessions, first: Grant, notes: Notes
) -> None:
    await _use(sessions, first.refresh_token)
    await _wait(first.session_id)
    notes.fail = ApiError("unavailable")
    assert await _refused(sessions, first.refresh_token) == "unavailable"
    assert await sessions.revoked_among([first.session_id]) == {first.session_id}
    assert [event.kind for event in await SessionEvent.all()] == [EventKind.REFRESH_REUSED]
    await sessions.stop()


async def test_somebody_who_knows_a_session_cannot_end_it(sessions: Sessions, first: Grant, notes: Notes) -> None:
    second = await _use(sessions, first.refresh_token)
    await _wait(first.session_id)
    for letters in (slice(30, 40), slice(60, 70)):
        token = list(first.refresh_token)
        token[letters] = "A" * len(token[letters])
        assert await _refused(sessions, "".join(token)) == "refresh_invalid"
    assert notes.closed == []
    await _use(sessions, second.refresh_token)


async def test_a_session_of_the_version_before_goes_on_and_is_not_refreshed(
    sessions: Sessions, asha: User, first: Grant
) -> None:
    old = str(uuid.uuid4())
    ends = datetime.now(UTC) + timedelta(hours=24)
    await Session.create(id=old, user_id=asha.id, device_id="phone", expires_at=ends)
    await sessions.check(old)
    assert {session.session_id for session in await sessions.of(str(asha.id))} == {old, first.session_id}
    for generation in (0, 1):
        assert await _refused(sessions, str(RefreshToken(old, generation, bytes(32)))) == "refresh_invalid"
    await sessions.check(old)
    await sessions.close(old)
    assert await sessions.revoked_among([old, first.session_id]) == {old}


async def test_what_has_ended_is_not_refreshed(sessions: Sessions, asha: User, first: Grant) -> None:
    await Session.filter(id=first.session_id).update(expires_at=datetime.now(UTC))
    assert await _refused(sessions, first.refresh_token) == "token_expired"
    other = (await sessions.open(asha, "phone")).grant
    await sessions.close(other.session_id)
    assert await _refused(sessions, other.refresh_token) == "session_revoked"
    gone = (await sessions.open(asha, "phone")).grant
    await Session.filter(id=gone.session_id).delete()
    assert await _refused(sessions, gone.refresh_token) == "refresh_invalid"


async def test_a_refusal_of_the_limit_rotates_nothing(sessions: Sessions, first: Grant) -> None:
    asked: list[str] = []

    def refuse(session_id: str) -> None:
        asked.append(session_id)
        raise ApiError("rate_limited")

    with pytest.raises(ApiError, match="rate_limited"):
        await refresh(sessions, EVENTS, first.refresh_token, refuse)
    forged = first.refresh_token[:-10] + "A" * 10
    with pytest.raises(ApiError, match="refresh_invalid"):
        await refresh(sessions, EVENTS, forged, refuse)
    assert asked == [first.session_id], "a forged token takes nothing of the session's limit"
    await _use(sessions, first.refresh_token)


async def test_a_device_that_was_idle_for_long_comes_back_where_there_is_room(
    sessions: Sessions, asha: User, first: Grant
) -> None:
    idle = datetime.now(UTC) - timedelta(days=40)
    await Session.filter(id=first.session_id).update(last_used_at=idle)
    tablet = (await sessions.open(asha, "tablet")).grant
    assert await _refused(sessions, first.refresh_token) == "too_many_devices"
    await sessions.close(tablet.session_id)
    await _use(sessions, first.refresh_token)
    with pytest.raises(ApiError, match="too_many_devices"):
        await sessions.open(asha, "tablet")
