"""Sessions: what a token is bound to, how one is taken back, and the tickets that stand for one for a moment.

PostgreSQL holds the sessions. Redis remembers, under one key each, that a session lives or was closed. When Redis
has forgotten, or is away, PostgreSQL is asked: a flush must not revive a session. When nobody can tell, the answer
is ``unavailable``, never yes.
"""

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tortoise.connection import get_connection

from accounts.batch_loader import BatchLoader
from accounts.database import read, transaction
from accounts.session_cache import SessionCache
from accounts.shielded import run_shielded
from accounts.store import Store
from accounts.tickets import Tickets
from accounts.tokens import Claims
from models import Session, User
from protocol.errors import ApiError
from settings import Settings


@dataclass(frozen=True, slots=True)
class ClosedSession:
    """What every server is told when a session ends before its time."""

    session_id: str
    account_id: str
    mobile: str
    device_id: str


OnClosed = Callable[[ClosedSession], Awaitable[None]]
Told = Callable[[bool], None]
Allow = Callable[[Claims], Awaitable[None]]
"""Raises a refusal when somebody may not come in just now."""


class Sessions:
    """Opens, checks and closes sessions; issues and redeems tickets.

    :param store: Redis, where sessions are remembered and tickets wait
    :param on_closed: tells all servers, so that the session's sockets close within a second; what it raises, the
        caller of ``close`` gets
    """

    def __init__(self, store: Store, settings: Settings, on_closed: OnClosed) -> None:
        self._memory = SessionCache(store)
        self._tickets = Tickets(store, settings.ticket_seconds)
        self._lifetime = timedelta(hours=settings.token_hours)
        self._max_devices = settings.max_devices
        self._on_closed = on_closed
        self._together = BatchLoader(self._living)

    async def open(self, user: User, device_id: str, device_name: str = "") -> Session:
        """A new session. One device may have several: two tabs must not log each other out.

        :raises ApiError: ``too_many_devices``, ``unavailable``
        """
        return await run_shielded(self._open(user, device_id, device_name))

    def recall(self, session_id: str, told: Told) -> None:
        """Tell whether the session is known to live; when it is not, :meth:`check` says why.

        For whoever has no task to wait in. ``told`` is called once, later.
        """

        def answered(lives: asyncio.Future[bool | None]) -> None:
            told(not lives.cancelled() and lives.exception() is None and lives.result() is True)

        self._together.get(session_id).add_done_callback(answered)

    async def check(self, session_id: str) -> None:
        """Return if the session lives.

        :raises ApiError: ``session_revoked``, ``unavailable``
        """
        if not await self._together.get(session_id):
            raise ApiError("session_revoked")

    async def revoked_among(self, session_ids: list[str]) -> set[str]:
        """Those of these that were closed.

        Asks PostgreSQL about all that Redis does not know to be closed: so the open sockets of a session end as well
        whose closing was cut off between PostgreSQL and Redis.

        :raises ApiError: ``unavailable``: PostgreSQL is away and Redis does not know them all either
        """
        memory = await self._memory.recall(session_ids)
        known = memory or {}
        in_doubt = [session_id for session_id in session_ids if known.get(session_id) is not False]
        try:
            truth = await _ask_postgresql(in_doubt)
        except ApiError:
            # Who is connected, and known to Redis, goes on.
            if any(session_id not in known for session_id in in_doubt):
                raise
        else:
            if memory is not None:
                await self._memory.update(memory, truth)
            known = known | truth
        return {session_id for session_id, lives in known.items() if not lives}

    async def close(self, session_id: str) -> None:
        """Log out. Again is as good as once: whoever got ``unavailable`` may repeat it.

        :raises ApiError: ``session_revoked`` (there is none), ``unavailable``
        """
        await run_shielded(self._close(session_id))

    async def issue_ticket(self, claims: Claims) -> str:
        """A secret good for opening one socket, once, soon.

        :raises ApiError: ``unavailable``
        """
        ticket = secrets.token_urlsafe(32)
        await run_shielded(self._tickets.put(ticket, claims))
        return ticket

    async def redeem_ticket(self, ticket: str, allow: Allow | None = None) -> Claims:
        """The claims of whoever got the ticket; it is used up then, and its session is known to live.

        :param allow: asked before whether they may come in; what it raises refuses them, and uses up no ticket
        :raises ApiError: ``ticket_invalid``, ``token_expired``, ``session_revoked``, ``unavailable``
        """
        claims = await self._tickets.look(ticket)
        if claims.expires_at <= datetime.now(UTC).timestamp():
            raise ApiError("token_expired")
        await self.check(claims.session_id)
        if allow is not None:
            await allow(claims)
        return await self._tickets.take(ticket)

    async def _living(self, session_ids: list[str]) -> dict[str, bool]:
        """Whether each lives.

        :raises ApiError: ``unavailable``
        """
        known = await self._memory.recall(session_ids)
        in_doubt = [session_id for session_id in session_ids if session_id not in (known or {})]
        if not in_doubt:
            return known or {}
        truth = await _ask_postgresql(in_doubt)
        if known is not None:  # a Redis that is frozen takes seconds to say nothing: once is enough
            await self._memory.remember(truth)
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
        await self._memory.forget(session_id)
        user = session.user
        await self._on_closed(ClosedSession(session_id, str(user.id), user.mobile_no, session.device_id))


_CLOSED_AMONG = """
SELECT asked.id::text AS id FROM unnest($1::uuid[]) AS asked(id) LEFT JOIN sessions s ON s.id = asked.id
WHERE s.id IS NULL OR s.revoked_at IS NOT NULL
"""


async def _ask_postgresql(session_ids: list[str]) -> dict[str, bool]:
    """Whether each lives; one that does not exist does not. Only the closed ones travel: there are few.

    :raises ApiError: ``unavailable``
    """
    rows = await read(lambda: get_connection("default").execute_query_dict(_CLOSED_AMONG, [session_ids]))
    return dict.fromkeys(session_ids, True) | {row["id"]: False for row in rows}
