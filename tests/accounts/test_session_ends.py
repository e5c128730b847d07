"""Ending sessions: which of them, and what is done when nobody can be told."""

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from accounts import session_ends
from accounts.database import transaction
from accounts.session_ends import end_all, end_device, end_one
from accounts.session_store import session_key
from accounts.sessions import Sessions
from models import User
from protocol.errors import ApiError
from tests.support.api import Notes, make_settings
from tests.support.links import store_of
from tests.support.waiting import until

A, B = "919800000001", "919800000002"


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def sessions(redis: "Redis", orm: str, notes: Notes) -> Sessions:
    return Sessions(store_of(redis), make_settings("redis://unused", orm), notes.closing)


@pytest.fixture
async def asha(enrol: Callable[[str], Awaitable[User]]) -> User:
    return await enrol(A)


async def _open(sessions: Sessions, user: User, *devices: str) -> list[str]:
    return [(await sessions.open(user, device)).grant.session_id for device in devices]


async def test_ends_are_of_the_sessions_meant_and_of_no_others(
    sessions: Sessions, asha: User, enrol: Callable[[str], Awaitable[User]]
) -> None:
    phone, phone_too, tablet, laptop = await _open(sessions, asha, "phone", "phone", "tablet", "laptop")
    (ravis,) = await _open(sessions, await enrol(B), "phone")
    async with transaction():
        ended = await end_device(str(asha.id), "phone")
    assert {closed.session_id for closed in ended} == {phone, phone_too}
    assert {(closed.mobile, closed.device_id, closed.account_id) for closed in ended} == {(A, "phone", str(asha.id))}
    async with transaction():
        assert [closed.session_id for closed in await end_all(str(asha.id), tablet)] == [laptop]
    async with transaction():
        assert [closed.session_id for closed in await end_all(str(asha.id))] == [tablet]
    assert await sessions.revoked_among([ravis]) == set()


async def test_one_is_ended_once_and_only_by_its_person(
    sessions: Sessions, asha: User, enrol: Callable[[str], Awaitable[User]]
) -> None:
    ravi = await enrol(B)
    (mine,) = await _open(sessions, asha, "phone")
    assert (await end_one(mine, str(asha.id)))[1]
    assert not (await end_one(mine))[1]
    with pytest.raises(ApiError, match="session_revoked"):
        await end_one(mine, str(ravi.id))


async def test_nobody_elses_session_is_ended(
    sessions: Sessions, asha: User, enrol: Callable[[str], Awaitable[User]]
) -> None:
    (ravis,) = await _open(sessions, await enrol(B), "phone")
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.close(ravis, str(asha.id))
    assert await sessions.revoked_among([ravis]) == set()


async def test_what_nobody_could_be_told_is_told_later(
    sessions: Sessions, asha: User, notes: Notes, redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_ends, "RETRY_SECONDS", 0.02)
    one, two = await _open(sessions, asha, "phone", "tablet")
    await sessions.check(one)
    notes.fail = ApiError("unavailable")
    for session_id in (one, two):
        with pytest.raises(ApiError, match="unavailable"):
            await sessions.close(session_id)
    await redis.set(session_key(one), "1")  # as if Redis had been away, and had come back with what it knew
    notes.fail = None
    await until(lambda: {closed.session_id for closed in notes.closed} == {one, two})

    async def is_noted() -> bool:
        return bool(await redis.get(session_key(one)) == b"0")

    await until(is_noted)
    await sessions.stop()
