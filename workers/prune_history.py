"""Deletes old session events and ended sessions, in pages, so that PostgreSQL does not grow for ever.

"Last seen" is rebuilt from session events when Redis has lost it. When a person's newest disconnect is deleted, its
time is kept in ``users.last_seen_at``.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from tortoise.connection import get_connection

from accounts.database import transaction
from workers.jobs import Budget, JobServices

logger = structlog.get_logger(__name__)

PAGE: Final = 2_000
"""Rows of one statement: it takes some tens of milliseconds, for which a log-in that needs the same rows waits."""

# Ids rise as events are written, and are nearly in the order of their times: no index by time is needed.
_EVENTS: Final = """
WITH page AS (SELECT id, at FROM session_events WHERE id > $1 ORDER BY id LIMIT $3),
gone AS (
    DELETE FROM session_events e USING page WHERE e.id = page.id AND page.at < $2
    RETURNING e.user_id, e.mobile_no, e.kind, e.at
),
seen AS (
    SELECT user_id, mobile_no, max(at) AS at FROM gone
    WHERE kind = 'disconnect' AND user_id IS NOT NULL GROUP BY user_id, mobile_no
),
kept AS (
    UPDATE users u SET last_seen_at = seen.at FROM seen
    WHERE u.id = seen.user_id AND u.mobile_no = seen.mobile_no AND (u.last_seen_at IS NULL OR u.last_seen_at < seen.at)
      AND NOT EXISTS (SELECT FROM session_events n WHERE n.mobile_no = u.mobile_no AND n.user_id = u.id
                      AND n.kind = 'disconnect' AND n.at > seen.at)
    RETURNING 1
)
SELECT (SELECT max(id) FROM page) AS last, (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM kept) AS kept
"""
_SESSIONS: Final = """
WITH page AS (SELECT id FROM sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
DELETE FROM sessions s USING page WHERE s.id = page.id RETURNING s.id
"""


async def prune_history(ctx: dict[str, Any]) -> int:
    """Delete what is older than ``SESSION_EVENT_DAYS`` and ``SESSION_DAYS``; return how many rows."""
    services: JobServices = ctx["services"]
    budget, now = Budget(services.settings.prune_minutes * 60), datetime.now(UTC)
    sessions = await _prune_sessions(now - timedelta(days=services.settings.session_days), budget)
    events = await _prune_events(services, now - timedelta(days=services.settings.session_event_days), budget)
    if sessions or events:
        logger.info("history pruned", sessions=sessions, session_events=events)
    return sessions + events


async def _prune_sessions(before: datetime, budget: Budget) -> int:
    deleted = 0
    while True:
        # A session that does not exist counts as closed, and its token has expired long ago.
        rows = await _page(_SESSIONS, before, PAGE)
        deleted += len(rows)
        if len(rows) < PAGE or budget.over:
            return deleted


async def _prune_events(services: JobServices, before: datetime, budget: Budget) -> int:
    deleted = 0
    place = int(await services.place("session events") or 0)
    while True:
        (page,) = await _page(_EVENTS, place, before, PAGE)
        deleted += int(page["gone"])
        if not page["gone"]:
            # All of this page is young, and so is what was written after it. The next run begins with the first again.
            await services.save_place("session events", "")
            return deleted
        place = page["last"]
        await services.save_place("session events", str(place))
        if budget.over:
            return deleted


async def _page(statement: str, *values: object) -> list[dict[str, Any]]:
    async with transaction():
        rows: list[dict[str, Any]] = await get_connection("default").execute_query_dict(statement, list(values))
        return rows
