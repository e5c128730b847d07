"""Login sessions: what a token is bound to, how one is closed, and the tickets that stand for one for a moment.

PostgreSQL holds the sessions. Redis caches, under one key each, that a session lives or was closed. When Redis has no
entry, or is away, PostgreSQL is asked: a flush of Redis must not revive a closed session. When neither answers, the
result is ``unavailable``, never yes.
"""

import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tortoise.connection import get_connection

from accounts.batch_loader import BatchLoader
from accounts.database import read, transaction
from accounts.session_store import KeyValueStore, SessionCache, Tickets
from accounts.shielded import run_shielded
from accounts.tokens import Claims
from models import Session, User
from protocol.errors import ApiError
from settings import Settings


@dataclass(frozen=True, slots=True)
class ClosedSession:
    """A session that was closed before it expired."""

    session_id: str
    account_id: str
    mobile: str
    device_id: str


OnClosed = Callable[[ClosedSession], Awaitable[None]]
Allow = Callable[[Claims], Awaitable[None]]
"""Raises an :class:`ApiError` when this person may not connect just now."""


class Sessions:
    """Opens, checks and closes sessions; issues and redeems tickets.

    :param store: Redis, which caches sessions and holds tickets
    :param on_closed: notifies all servers, so that the session's sockets close within a second; :meth:`close` raises
        what it raises
    """

    def __init__(self, store: KeyValueStore, settings: Settings, on_closed: OnClosed) -> None:
        self._cache = SessionCache(store)
        self._tickets = Tickets(store, settings.ticket_seconds)
        self._lifetime = timedelta(hours=settings.token_hours)
        self._max_devices = settings.max_devices
        self._on_closed = on_closed
        self._loader = BatchLoader(self._find_alive)

    async def open(self, user: User, device_id: str, device_name: str = "") -> Session:
        """Open a session. One device may have several: two tabs must not log each other out.

        :raises ApiError: ``too_many_devices``, ``unavailable``
        """
        return await run_shielded(self._open(user, device_id, device_name))

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

    async def close(self, session_id: str) -> None:
        """Log out. May be repeated, for example after ``unavailable``.

        :raises ApiError: ``session_revoked`` (there is none), ``unavailable``
        """
        await run_shielded(self._close(session_id))

    async def announce(self, closed: Sequence[ClosedSession]) -> None:
        """Sessions that PostgreSQL knows to be closed end everywhere else.

        :raises ApiError: ``unavailable``
        """
        for each in closed:
            await self._cache.put_closed(each.session_id)
            await self._on_closed(each)

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

    async def _open(self, user: User, device_id: str, device_name: str) -> Session:
        now = datetime.now(UTC)
        async with transaction():
            # Two logins at once must not both find the last free place.
            await User.filter(id=user.id).select_for_update(no_key=True).first()
            live = Session.filter(user_id=user.id, revoked_at=None, expires_at__gt=now)
            devices = set(await live.distinct().values_list("device_id", flat=True))
            if len(devices | {device_id}) > max(self._max_devices, len(devices)):
                raise ApiError("too_many_devices")
            return await Session.create(
                id=uuid.uuid4(),
                user_id=user.id,
                device_id=device_id,
                device_name=device_name,
                expires_at=now + self._lifetime,
            )

    async def _close(self, session_id: str) -> None:
        async with transaction():
            session = await Session.filter(id=session_id).select_related("user").first()
            if session is None:
                raise ApiError("session_revoked")
            if session.revoked_at is None:
                session.revoked_at = datetime.now(UTC)
                await session.save(update_fields=["revoked_at"])
        await self._cache.put_closed(session_id)
        user = session.user
        await self._on_closed(ClosedSession(session_id, str(user.id), user.mobile_no, session.device_id))


_CLOSED_AMONG = """
SELECT asked.id::text AS id FROM unnest($1::uuid[]) AS asked(id) LEFT JOIN sessions s ON s.id = asked.id
WHERE s.id IS NULL OR s.revoked_at IS NOT NULL
"""


async def _query(session_ids: list[str]) -> dict[str, bool]:
    """Whether each lives; one that does not exist does not. PostgreSQL returns the closed ones only: they are few.

    :raises ApiError: ``unavailable``
    """
    rows = await read(lambda: get_connection("default").execute_query_dict(_CLOSED_AMONG, [session_ids]))
    return dict.fromkeys(session_ids, True) | {row["id"]: False for row in rows}
