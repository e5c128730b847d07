"""Login sessions: what a token is bound to, how one is closed, and the tickets that stand for one for a moment.

PostgreSQL holds the sessions. Redis caches, under one key each, that a session lives or was closed. When Redis has no
entry, or is away, PostgreSQL is asked: a flush of Redis must not revive a closed session. When neither answers, the
result is ``unavailable``, never yes.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tortoise.connection import get_connection

from accounts import refresh_tokens
from accounts.batch_loader import BatchLoader
from accounts.database import read
from accounts.linked_devices import LIVES, USED, LinkedDevice, linked_devices
from accounts.refreshing import Allow as AllowRefresh
from accounts.refreshing import refresh_session
from accounts.session_ends import Announcements, ClosedSession, OnClosed, end_one
from accounts.session_opening import Grant, Opened, open_session
from accounts.session_store import KeyValueStore, SessionCache, Tickets
from accounts.shielded import run_shielded
from accounts.tokens import Claims
from models import User
from protocol.errors import ApiError
from settings import Settings

Allow = Callable[[Claims], Awaitable[None]]
"""Raises an :class:`ApiError` when this person may not connect just now."""

Note = Callable[[ClosedSession], Awaitable[None]]

_LIST: Final = f"""
SELECT s.id::text AS session_id, s.device_id::text AS device_id, s.device_name::text AS device_name, s.created_at,
    {USED} AS last_used_at
FROM sessions s WHERE s.user_id = $1 AND {LIVES} ORDER BY last_used_at DESC, s.id
"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session as its person sees it."""

    session_id: str
    device_id: str
    device_name: str
    created_at: datetime
    last_used_at: datetime


class Sessions:
    """Opens, refreshes, checks and closes sessions; issues and redeems tickets.

    :param store: Redis, which caches sessions and holds tickets
    :param on_closed: notifies all servers, so that the sessions' sockets close within a second
    """

    def __init__(self, store: KeyValueStore, settings: Settings, on_closed: OnClosed) -> None:
        self._cache = SessionCache(store)
        self._tickets = Tickets(store, settings.ticket_seconds)
        self._settings = settings
        self._announcements = Announcements(self._cache, on_closed)
        self._loader = BatchLoader(self._find_alive)

    async def open(
        self, user: User, device_id: str, device_name: str = "", replaced_device: str | None = None
    ) -> Opened:
        """Open a session. One device may have several: two tabs must not log each other out.

        :param replaced_device: is unlinked in the same transaction; the caller announces its sessions
        :raises ApiError: ``too_many_devices``, ``credentials_wrong`` (the account has changed meanwhile),
            ``unavailable``
        """
        return await run_shielded(open_session(user, device_id, device_name, self._settings, replaced_device))

    async def refresh(self, token: str, allow: AllowRefresh) -> Grant:
        """The session with a new refresh token, of which the given one is the newest, or was until just now.

        :raises Reused: the session has ended by this; the caller announces it
        :raises ApiError: see :func:`accounts.refreshing.refresh_session`
        """
        return await run_shielded(refresh_session(refresh_tokens.parse(token), self._settings, allow))

    async def of(self, account_id: str) -> list[LiveSession]:
        """The sessions of a person that live, the last used first.

        :raises ApiError: ``unavailable``
        """
        rows = await read(lambda: get_connection("default").execute_query_dict(_LIST, [account_id]))
        return [LiveSession(**row) for row in rows]

    async def linked_devices(self, account_id: str) -> Sequence[LinkedDevice]:
        """The devices that count, the last used first.

        :raises ApiError: ``unavailable``
        """
        return await read(lambda: linked_devices(account_id, self._settings.linked_seconds))

    async def announce(self, closed: Sequence[ClosedSession]) -> None:
        """Sessions that PostgreSQL knows to be closed end everywhere else.

        :raises ApiError: ``unavailable``: that goes on in the background
        """
        await self._announcements.tell(closed)

    async def stop(self) -> None:
        """End what runs in the background."""
        await self._announcements.stop()

    async def check(self, session_id: str) -> None:
        """Return if the session lives.

        :raises ApiError: ``session_revoked``, ``unavailable``
        """
        if not await self._loader.get(session_id):
            raise ApiError("session_revoked")

    async def revoked_among(self, session_ids: list[str]) -> set[str]:
        """Those of these that were closed.

        Asks PostgreSQL about all that the cache does not call closed. So the sockets of a session end, too, whose
        closing was interrupted between PostgreSQL and Redis.

        :raises ApiError: ``unavailable``: PostgreSQL is away and the cache does not know them all either
        """
        cached = await self._cache.get(session_ids)
        known = cached or {}
        unsure = [session_id for session_id in session_ids if known.get(session_id) is not False]
        try:
            truth = await _query(unsure)
        except ApiError:
            # While PostgreSQL is away, sessions that the cache knows go on.
            if any(session_id not in known for session_id in unsure):
                raise
        else:
            if cached is not None:
                await self._cache.update(cached, truth)
            known = known | truth
        return {session_id for session_id, lives in known.items() if not lives}

    async def close(self, session_id: str, account_id: str | None = None, note: Note | None = None) -> None:
        """End a session everywhere. May be repeated, for example after ``unavailable``.

        :param account_id: whose it must be; None: anybody's
        :param note: awaited when this call ended it, before it is announced
        :raises ApiError: ``session_revoked`` (there is none), ``unavailable``
        """
        await run_shielded(self._close(session_id, account_id, note))

    async def issue_ticket(self, claims: Claims) -> str:
        """A secret that opens one socket, once, soon.

        :raises ApiError: ``unavailable``
        """
        ticket = secrets.token_urlsafe(32)
        await run_shielded(self._tickets.put(ticket, claims))
        return ticket

    async def redeem_ticket(self, ticket: str, allow: Allow | None = None) -> Claims:
        """The claims the ticket stands for. It is used up then, and its session is known to live.

        :param allow: is called before; when it raises, the ticket is not used up
        :raises ApiError: ``ticket_invalid``, ``token_expired``, ``session_revoked``, ``unavailable``
        """
        claims = await self._tickets.get(ticket)
        if claims.expires_at <= datetime.now(UTC).timestamp():
            raise ApiError("token_expired")
        await self.check(claims.session_id)
        if allow is not None:
            await allow(claims)
        return await self._tickets.pop(ticket)

    async def _close(self, session_id: str, account_id: str | None, note: Note | None) -> None:
        closed, first = await end_one(session_id, account_id)
        if first and note is not None:
            await note(closed)
        await self.announce([closed])

    async def _find_alive(self, session_ids: list[str]) -> dict[str, bool]:
        """Whether each lives.

        :raises ApiError: ``unavailable``
        """
        known = await self._cache.get(session_ids)
        unknown = [session_id for session_id in session_ids if session_id not in (known or {})]
        if not unknown:
            return known or {}
        truth = await _query(unknown)
        if known is not None:  # waiting for a frozen Redis takes seconds: once is enough
            await self._cache.put(truth)
        return (known or {}) | truth


_CLOSED_AMONG: Final = """
SELECT asked.id::text AS id FROM unnest($1::uuid[]) AS asked(id) LEFT JOIN sessions s ON s.id = asked.id
WHERE s.id IS NULL OR s.revoked_at IS NOT NULL
"""


async def _query(session_ids: list[str]) -> dict[str, bool]:
    """Whether each lives; one that does not exist does not. PostgreSQL returns the closed ones only: they are few.

    :raises ApiError: ``unavailable``
    """
    rows = await read(lambda: get_connection("default").execute_query_dict(_CLOSED_AMONG, [session_ids]))
    return dict.fromkeys(session_ids, True) | {row["id"]: False for row in rows}
