"""Logging in and out writes session events, without passwords."""

import pytest
from redis.asyncio import Redis

from accounts.directory import Directory
from accounts.events import SessionEvents
from accounts.login import Credentials, log_in, log_out
from accounts.passwords import Passwords
from accounts.sessions import Sessions
from accounts.tokens import Tokens
from models import EventKind, SessionEvent
from protocol.errors import ApiError
from tests.support.api import Notes, make_settings
from tests.support.links import store_of

A = "919800000001"


@pytest.fixture
def rooms(redis: "Redis", orm: str, passwords: Passwords) -> tuple[Directory, Sessions, SessionEvents]:
    settings = make_settings("redis://unused", orm, max_devices=1)
    return (
        Directory(passwords, settings.linked_seconds),
        Sessions(store_of(redis), settings, Notes().closing),
        SessionEvents(10, "server-1"),
    )


async def _kinds() -> list[tuple[EventKind, str, bool]]:
    rows = await SessionEvent.all().order_by("id")
    return [(row.kind, row.reason, row.session_id is not None) for row in rows]


async def test_logging_in_and_out_writes_events(rooms: tuple[Directory, Sessions, SessionEvents]) -> None:
    directory, sessions, events = rooms
    await directory.enrol("Asha", A, "correct horse")
    tokens = Tokens("k" * 40)
    opened = await log_in(directory, sessions, events, Credentials(A, "correct horse", "phone", "Her phone"))
    await log_out(sessions, events, tokens.verify(tokens.issue(opened.grant)[0]))
    assert await _kinds() == [(EventKind.LOGIN, "", True), (EventKind.LOGOUT, "", True)]
    with pytest.raises(ApiError, match="session_revoked"):
        await sessions.check(opened.grant.session_id)


async def test_failures_are_written_with_their_reason_and_without_an_account(
    rooms: tuple[Directory, Sessions, SessionEvents],
) -> None:
    directory, sessions, events = rooms
    await directory.enrol("Asha", A, "correct horse")
    await log_in(directory, sessions, events, Credentials(A, "correct horse", "phone"))
    for given in (Credentials(A, "wrong horse", "phone"), Credentials(A, "correct horse", "tablet")):
        with pytest.raises(ApiError):
            await log_in(directory, sessions, events, given)
    assert (await _kinds())[1:] == [
        (EventKind.LOGIN_FAILED, "credentials_wrong", False),
        (EventKind.LOGIN_FAILED, "too_many_devices", False),
    ]
    assert await SessionEvent.filter(kind=EventKind.LOGIN_FAILED, user=None).count() == 2


def test_credentials_do_not_show_in_a_repr() -> None:
    assert "horse" not in repr(Credentials(A, "correct horse", "phone"))
