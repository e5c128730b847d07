"""Old session events and sessions go, in pages, from where the last run stopped; last seen stays."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tortoise.connection import get_connection

from accounts.directory import Directory
from accounts.passwords import Passwords
from delivery import keys
from models import EventKind, Session, SessionEvent, User
from tests.delivery.person_scripts import ASHA, MOBILE, Scripts
from tests.workers.support import Modules, enrol, with_settings

NOW = datetime.now(UTC)
OLD, OLDER, YOUNG = (NOW - timedelta(days=days) for days in (91, 200, 89))


async def prune(ctx: dict[str, Any], modules: Modules, **knobs: Any) -> int:
    return int(await modules.prune_history.prune_history(with_settings(ctx, **knobs)))


async def event(at: datetime, user: User, kind: EventKind = EventKind.DISCONNECT) -> None:
    await SessionEvent.create(kind=kind, mobile_no=user.mobile_no, user_id=user.id, at=at)


async def last_seen(mobile: str) -> int | None:
    """As Redis is told of it when it knows nothing."""
    found = await Directory(Passwords(4, 1, 0), 30 * 86_400).person(mobile)
    assert found is not None
    return found.last_seen_ms


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


@pytest.fixture
async def user(person: Scripts) -> User:
    return await User.get(mobile_no=MOBILE)


async def test_what_is_old_goes_and_what_is_young_stays(ctx: dict[str, Any], user: User, modules: Modules) -> None:
    for at in (OLDER, OLD, YOUNG, NOW):
        await event(at, user, EventKind.LOGIN)
    assert await prune(ctx, modules) == 2
    assert await SessionEvent.all().order_by("id").values_list("at", flat=True) == [YOUNG, NOW]
    assert await prune(ctx, modules) == 0
    assert await prune(ctx, modules, session_event_days=80) == 1


async def test_whoever_was_long_away_keeps_their_last_seen(ctx: dict[str, Any], user: User, modules: Modules) -> None:
    for at in (OLDER, OLD):
        await event(at, user)
    await event(NOW, user, EventKind.LOGIN_FAILED)
    assert await last_seen(MOBILE) == ms(OLD)
    assert await prune(ctx, modules) == 2
    assert await last_seen(MOBILE) == ms(OLD)
    await event(YOUNG, user)
    assert await last_seen(MOBILE) == ms(YOUNG)


async def test_last_seen_is_written_for_those_only_who_lose_their_newest(
    ctx: dict[str, Any], user: User, modules: Modules
) -> None:
    asha = await enrol(ASHA)
    for person, at in ((user, OLD), (asha, OLD), (asha, NOW)):
        await event(at, person)
    assert await prune(ctx, modules) == 2
    await user.refresh_from_db()
    await asha.refresh_from_db()
    assert (user.last_seen_at, asha.last_seen_at) == (OLD, None)
    assert await last_seen(ASHA) == ms(NOW)


async def test_it_never_goes_back(ctx: dict[str, Any], user: User, modules: Modules) -> None:
    """Events that were written late, and pages that come one by one."""
    for at in (OLD, OLDER):
        await event(at, user)
        assert await prune(ctx, modules) == 1
    assert await last_seen(MOBILE) == ms(OLD)


async def test_events_of_nobody_go_too(ctx: dict[str, Any], user: User, modules: Modules) -> None:
    await SessionEvent.create(kind=EventKind.LOGIN_FAILED, mobile_no="919999999999", at=OLD)
    await SessionEvent.create(kind=EventKind.DISCONNECT, mobile_no=MOBILE, at=OLD)
    assert await prune(ctx, modules) == 2
    assert await last_seen(MOBILE) is None


async def test_a_run_stops_in_time_and_the_next_goes_on(
    ctx: dict[str, Any], user: User, person: Scripts, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules.prune_history, "PAGE", 10)
    monkeypatch.setattr(modules.prune_history, "Budget", Over)
    rows = [(OLD, 35), (NOW, 20)]
    await SessionEvent.bulk_create(
        [
            SessionEvent(kind=EventKind.CONNECT, mobile_no=MOBILE, user_id=user.id, at=at)
            for at, count in rows
            for _ in range(count)
        ]
    )
    assert [await prune(ctx, modules) for _ in range(5)] == [10, 10, 10, 5, 0]
    assert await person.redis.get(keys.job_cursor("session events")) is None
    # A young one among the first, as after a clock that was set back, is found when its time has come.
    assert [await prune(ctx, modules, session_event_days=0.000001) for _ in range(4)] == [10, 10, 0, 0]


async def test_sessions_go_some_time_after_their_end(ctx: dict[str, Any], user: User, modules: Modules) -> None:
    ends = [NOW - timedelta(days=31), NOW - timedelta(days=29), NOW + timedelta(days=1)]
    for end in ends:
        await Session.create(id=uuid.uuid4(), user=user, device_id="phone", expires_at=end)
    await Session.all().update(revoked_at=NOW)
    assert await prune(ctx, modules) == 1
    assert await Session.all().order_by("expires_at").values_list("expires_at", flat=True) == ends[1:]
    assert await prune(ctx, modules, session_days=0) == 1
    assert await Session.all().count() == 1


async def test_many_pages_go_in_one_run(ctx: dict[str, Any], user: User, modules: Modules) -> None:
    await get_connection("default").execute_query(
        "INSERT INTO session_events (kind, mobile_no, user_id, at)"
        " SELECT 'disconnect', $1, $2, now() - interval '100 days' FROM generate_series(1, 20000)",
        [MOBILE, user.id],
    )
    started = time.monotonic()
    assert await prune(ctx, modules) == 20_000
    print(f"{time.monotonic() - started:.2f} s")
    assert await SessionEvent.all().count() == 0


class Over:
    """The time is over after each page."""

    over = True

    def __init__(self, _interval: float) -> None:
        return
