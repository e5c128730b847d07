"""Ends sessions: first in PostgreSQL, then in Redis' cache, then on all servers, whose sockets close."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog
from tortoise.connection import get_connection

from accounts.database import transaction
from accounts.session_store import CACHE_SECONDS, SessionCache
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 2.0
MAX_UNTOLD: Final = 10_000
"""Ended sessions of which Redis is yet to be told."""

ENDED: Final = "revoked_at = now(), expires_at = least(expires_at, now())"
"""SQL: what ends a session. The second is for pruning, which goes by it."""

_RETURNED: Final = """
s.id::text AS session_id, s.user_id::text AS account_id, u.mobile_no::text AS mobile, s.device_id::text AS device_id
"""
_END_ONE: Final = f"""
WITH ended AS (
    UPDATE sessions SET {ENDED}
    WHERE id = $1 AND revoked_at IS NULL AND ($2::uuid IS NULL OR user_id = $2) RETURNING id
)
SELECT {_RETURNED}, EXISTS (SELECT FROM ended) AS first FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = $1 AND ($2::uuid IS NULL OR s.user_id = $2)
"""  # noqa: S608 - of constants
_END_MANY: Final = f"""
UPDATE sessions s SET {ENDED} FROM users u
WHERE u.id = s.user_id AND s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > now()
  AND ($2::uuid IS NULL OR s.id <> $2) AND ($3::text IS NULL OR s.device_id = $3)
RETURNING {_RETURNED}
"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True)
class ClosedSession:
    """A session that was closed before it expired."""

    session_id: str
    account_id: str
    mobile: str
    device_id: str


OnClosed = Callable[[Sequence[ClosedSession]], Awaitable[None]]


# ---- in PostgreSQL


async def end_one(session_id: str, account_id: str | None = None) -> tuple[ClosedSession, bool]:
    """End a session. May be repeated: the second value says whether this call ended it.

    :param account_id: whose it must be; None: anybody's
    :raises ApiError: ``session_revoked``: there is none; ``unavailable``
    """
    async with transaction():
        rows = await _rows(_END_ONE, [session_id, account_id])
    if not rows:
        raise ApiError("session_revoked")
    return _closed(rows[0]), rows[0]["first"]


async def end_all(account_id: str, but: str | None = None) -> list[ClosedSession]:
    """End all sessions of a person that live, ``but`` this one. To be called within a transaction."""
    return [_closed(row) for row in await _rows(_END_MANY, [account_id, but, None])]


async def end_device(account_id: str, device_id: str | None) -> list[ClosedSession]:
    """End all sessions of one device that live. To be called within a transaction."""
    return [_closed(row) for row in await _rows(_END_MANY, [account_id, None, device_id])]


async def _rows(statement: str, args: list[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = await get_connection("default").execute_query_dict(statement, args)
    return rows


def _closed(row: dict[str, Any]) -> ClosedSession:
    return ClosedSession(row["session_id"], row["account_id"], row["mobile"], row["device_id"])


# ---- everywhere else


class Announcements:
    """Tells Redis and all servers which sessions were closed; goes on trying when Redis is away.

    Whether that succeeds or not, a socket ends by its server's own look, which asks PostgreSQL. What is told here are
    also sessions that have no socket: while Redis' cache calls one alive, its token would be accepted.

    :param on_closed: notifies all servers, so that the sessions' sockets close within a second
    """

    def __init__(self, cache: SessionCache, on_closed: OnClosed) -> None:
        self._cache = cache
        self._on_closed = on_closed
        self._untold: dict[str, tuple[ClosedSession, float]] = {}  # with the time when its entry has expired anyway
        self._task: asyncio.Task[None] | None = None

    async def tell(self, closed: Sequence[ClosedSession]) -> None:
        """:raises ApiError: ``unavailable``: it is repeated in the background until Redis answers"""
        try:
            await self._tell(closed)
        except ApiError:
            until = time.monotonic() + CACHE_SECONDS
            self._untold |= {each.session_id: (each, until) for each in closed[: MAX_UNTOLD - len(self._untold)]}
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._tell_later())
            raise

    async def stop(self) -> None:
        """Try no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _tell(self, closed: Sequence[ClosedSession]) -> None:
        if closed:
            await self._cache.put_closed([each.session_id for each in closed])
            await self._on_closed(closed)

    async def _tell_later(self) -> None:
        while self._untold:
            await asyncio.sleep(RETRY_SECONDS)
            now = time.monotonic()
            self._untold = {one: (each, until) for one, (each, until) in self._untold.items() if until > now}
            trying = [each for each, _ in self._untold.values()]
            try:
                await self._tell(trying)
            except ApiError:
                continue
            except Exception:
                logger.exception("ended sessions could not be announced")  # and not tried again: it would fail again
            for each in trying:
                self._untold.pop(each.session_id, None)
