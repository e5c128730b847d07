"""What a person may read of the session events: their own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tortoise.connection import get_connection

from accounts.database import read
from models import EventKind

MAX_EVENTS: Final = 100
"""In one answer."""
NEWEST: Final = 2**63 - 1

# Failed log-ins name no account: they are the person's since the number is. MATERIALIZED, so that each part uses the
# index of the person or the number: walking back through all events by their ids, PostgreSQL would pass everybody's.
_EVENTS: Final = """
WITH me AS (SELECT id, mobile_no, coalesce(mobile_since, created_at) AS since FROM users WHERE id = $1),
own AS MATERIALIZED (SELECT e.* FROM session_events e WHERE e.user_id = $1 AND e.id < $2),
failed AS MATERIALIZED (
    SELECT e.* FROM session_events e, me
    WHERE e.mobile_no = me.mobile_no AND e.at >= me.since AND e.user_id IS NULL AND e.kind = ANY($3) AND e.id < $2
)
SELECT id, kind::text AS kind, at, session_id::text AS session_id, device_id::text AS device_id,
    reason::text AS reason, times
FROM (SELECT * FROM own UNION ALL SELECT * FROM failed) AS mine ORDER BY id DESC LIMIT $4
"""
_OF_A_NUMBER: Final = [EventKind.LOGIN_FAILED.value, EventKind.LIMITED.value]


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One line.

    :param id: larger for what was written later
    :param times: how many events it stands for
    """

    id: int
    kind: str
    at: datetime
    session_id: str | None
    device_id: str
    reason: str
    times: int


async def past_events(account_id: str, before: int = NEWEST, limit: int = MAX_EVENTS) -> list[PastEvent]:
    """A person's events with smaller ids than ``before``, the latest first.

    :param limit: at most :data:`MAX_EVENTS`
    :raises ApiError: ``unavailable``
    """
    args: list[Any] = [account_id, before, _OF_A_NUMBER, min(limit, MAX_EVENTS)]
    rows = await read(lambda: get_connection("default").execute_query_dict(_EVENTS, args))
    return [PastEvent(**row) for row in rows]
