"""Linked devices: those with a session that lives and was used lately, by a log-in or a refresh.

Their number is limited, and Redis keeps a copy of what waits for each of them. A device that was not used for
``DEVICE_DAYS`` loses both; its session lives on, and when it returns it is a device that connects for the first time
(docs/decisions/0031).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tortoise.connection import get_connection

USED: Final = "coalesce(s.last_used_at, s.created_at)"
"""SQL: when a session was last used."""

LIVES: Final = "s.revoked_at IS NULL AND s.expires_at > now()"
"""SQL: a session that has not ended."""

_LINKED: Final = f"""
SELECT s.device_id::text AS device_id, max({USED}) AS last_used,
       (array_agg(s.device_name::text ORDER BY {USED} DESC))[1] AS device_name
FROM sessions s WHERE s.user_id = $1 AND {LIVES}
GROUP BY s.device_id HAVING max({USED}) > now() - make_interval(secs => $2) ORDER BY last_used DESC
"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True)
class LinkedDevice:
    """A device as PostgreSQL knows it.

    :param name: the one given at the latest log-in; may be ""
    :param last_used: its last log-in or refresh
    """

    device_id: str
    name: str
    last_used: datetime


async def linked_devices(account_id: str, seconds: float) -> list[LinkedDevice]:
    """The linked devices, the last used first. To be called within a read or a transaction.

    :param seconds: a session that was not used for longer links no device
    """
    rows: list[dict[str, Any]] = await get_connection("default").execute_query_dict(_LINKED, [account_id, seconds])
    return [LinkedDevice(row["device_id"], row["device_name"], row["last_used"]) for row in rows]
