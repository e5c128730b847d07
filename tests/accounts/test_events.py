"""Session events: written at once or in bulk, kept while PostgreSQL is away, bounded."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import pytest
from tortoise.context import TortoiseContext

from accounts import merging
from accounts.events import Event, SessionEvents
from models import EventKind, SessionEvent, User
from protocol.errors import ApiError
from settings.database import tortoise_orm
from tools.devstack.postgres import Postgres

A = "919800000001"


def _event(number: int = 0, kind: EventKind = EventKind.CONNECT, account: str | None = None) -> Event:
    return Event(kind, A, account, str(uuid.uuid4()), f"phone-{number}", f"reason {number}")


async def _reasons() -> list[str]:
    return [row.reason for row in await SessionEvent.all().order_by("id")]


@pytest.fixture
async def mortal(own_postgres: Postgres) -> AsyncIterator[Postgres]:
    """A PostgreSQL to stop, behind the models."""
    async with TortoiseContext() as context:
        await context.init(config=tortoise_orm(own_postgres.dsn()))
        yield own_postgres


async def test_an_event_is_written_whole(orm: str, enrol: Callable[[str], Awaitable[User]]) -> None:
    user = await enrol(A)
    at = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    session = str(uuid.uuid4())
    await SessionEvents(10, "server-1").write(Event(EventKind.LOGIN, A, str(user.id), session, "phone", "why", at=at))
    (row,) = await SessionEvent.all().prefetch_related("user")
    assert (row.kind, row.mobile_no, row.device_id, row.reason, row.at) == (EventKind.LOGIN, A, "phone", "why", at)
    assert (row.user.id, str(row.session_id), row.server_id) == (user.id, session, "server-1")  # type: ignore[union-attr]


async def test_a_reason_with_a_nul_is_written_without_it(orm: str) -> None:
    events = SessionEvents(10)
    for device, reason in (("phone", "1000 by\0e"), ("tablet", "a literal \\u0000 stays")):
        events.add(Event(EventKind.DISCONNECT, A, device_id=device, reason=reason))
    await events.flush()
    assert await _reasons() == ["1000 bye", "a literal \\u0000 stays"]


async def test_an_event_that_is_not_text_does_not_keep_back_others(orm: str) -> None:
    events = SessionEvents(10)
    events.add(_event(1))
    events.add(Event(EventKind.DISCONNECT, A, reason="\ud800"))
    events.add(_event(2))
    await events.flush()
    assert await _reasons() == ["reason 1", "reason 2"]


async def test_another_servers_event_keeps_its_server(orm: str) -> None:
    await SessionEvents(10, "sweeper").write(Event(EventKind.DISCONNECT, A, server_id="dead-server"))
    assert (await SessionEvent.first()).server_id == "dead-server"  # type: ignore[union-attr]


async def test_added_events_are_written_within_a_moment_in_their_order(orm: str) -> None:
    events = SessionEvents(5000)
    events.start()
    for number in range(2500):
        events.add(_event(number))
    assert len(events) == 2500
    deadline = time.monotonic() + 10
    # As soon as the buffer is empty: its last batch is on its way then, and a stop must not have it written twice.
    while len(events) and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
    await events.stop()
    assert await _reasons() == [f"reason {number}" for number in range(2500)]


async def test_stopping_writes_what_is_left(orm: str) -> None:
    events = SessionEvents(10)
    events.start()
    events.add(_event(1))
    await events.stop()
    assert await _reasons() == ["reason 1"]


async def test_the_oldest_are_dropped_and_counted(orm: str) -> None:
    events = SessionEvents(3)
    for number in range(5):
        events.add(_event(number))
    assert (len(events), events.dropped) == (3, 2)
    await events.flush()
    assert await _reasons() == ["reason 2", "reason 3", "reason 4"]


async def test_an_event_that_cannot_be_written_does_not_keep_back_others(orm: str) -> None:
    events = SessionEvents(10)
    gone = str(uuid.uuid4())
    for event in (_event(1), _event(2, account=gone), _event(3, account="no uuid"), _event(4)):
        events.add(event)
    await events.flush()
    assert await _reasons() == ["reason 1", "reason 4"]
    assert len(events) == 0


async def test_a_long_reason_is_cut(orm: str) -> None:
    events = SessionEvents(10)
    events.add(Event(EventKind.DISCONNECT, A, reason="x" * 200))
    await events.flush()
    assert await _reasons() == ["x" * 64]


async def test_while_postgresql_is_away_events_are_kept(mortal: Postgres) -> None:
    events = SessionEvents(4)
    await asyncio.to_thread(mortal.stop)
    started = time.monotonic()
    await events.write(_event(0, EventKind.LOGIN))
    assert time.monotonic() - started < 6
    for number in range(1, 6):
        events.add(_event(number))
    with pytest.raises(ApiError, match="unavailable"):
        await events.flush()
    assert (len(events), events.dropped) == (4, 2)
    await asyncio.to_thread(mortal.start)
    await events.flush()
    assert await _reasons() == [f"reason {number}" for number in range(2, 6)]


async def test_stopping_does_not_wait_for_a_slow_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crawl(_events: SessionEvents, batch: list[Event]) -> None:
        await asyncio.sleep(0.9)

    monkeypatch.setattr(SessionEvents, "_write", crawl)
    events = SessionEvents(10_000)
    for number in range(5_000):
        events.add(_event(number))
    started = time.monotonic()
    await events.stop()
    assert time.monotonic() - started < 3
    assert len(events) == 4_000


async def test_stopping_does_not_wait_for_a_frozen_postgresql(mortal: Postgres) -> None:
    events = SessionEvents(4)
    await events.write(_event(0))
    events.start()
    events.add(_event(1))
    await asyncio.to_thread(mortal.pause)
    try:
        async with asyncio.timeout(30):
            await events.stop()
    finally:
        await asyncio.to_thread(mortal.resume)


async def test_a_read_only_postgresql_loses_no_event(mortal: Postgres) -> None:
    events = SessionEvents(10)
    await events.write(_event(0))
    change = "ALTER SYSTEM SET default_transaction_read_only = on", "ALTER SYSTEM RESET default_transaction_read_only"
    for number, statement in enumerate(change, 1):
        await asyncio.to_thread(mortal.fetch, statement)
        await asyncio.to_thread(mortal.fetch, "SELECT pg_reload_conf()")
        await asyncio.sleep(0.3)
        events.add(_event(number))
        if number == 1:
            with pytest.raises(ApiError, match="unavailable"):
                await events.flush()
    await events.flush()
    assert await _reasons() == ["reason 0", "reason 1", "reason 2"]


async def _rows() -> list[tuple[str, str, int]]:
    return [(row.kind.value, row.reason, row.times) for row in await SessionEvent.all().order_by("id")]


async def test_a_device_that_reconnects_in_a_loop_is_four_rows_a_minute(orm: str) -> None:
    events = SessionEvents(10_000)
    for number in range(1_000):
        for kind in (EventKind.CONNECT, EventKind.DISCONNECT):
            events.add(Event(kind, A, device_id="phone", reason=f"{number}"))
    await events.stop()
    assert await _rows() == [
        ("connect", "0", 1),
        ("disconnect", "0", 1),
        ("connect", "1", 999),
        ("disconnect", "999", 999),
    ]


async def test_held_events_are_written_in_time_and_not_before(orm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr("accounts.events.FLUSH_SECONDS", 0.05)
    events = SessionEvents(10)
    events.start()
    for number in range(3):
        events.add(Event(EventKind.DISCONNECT, A, device_id="phone", reason=f"{number}"))
    async with asyncio.timeout(5):
        while len(await _rows()) < 2:
            await asyncio.sleep(0.01)
    await events.stop()
    assert await _rows() == [("disconnect", "0", 1), ("disconnect", "2", 2)]


async def test_failed_logins_of_one_number_are_two_rows_a_minute(orm: str) -> None:
    events = SessionEvents(10)
    for number in range(50):
        await events.write(Event(EventKind.LOGIN_FAILED, A, device_id=f"{number}", reason="credentials_wrong"))
    await events.flush()
    assert await _rows() == [("login_failed", "credentials_wrong", 1), ("login_failed", "credentials_wrong", 49)]
