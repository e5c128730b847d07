"""An account gets another number. The old one is left as at the end of an account (accounts/departures.py).

Tokens carry the number, so all sessions end. The device that asks gets a new one in the same transaction.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from tortoise.exceptions import IntegrityError

from accounts.database import execute, transaction
from accounts.departures import Departures, leave, refuse_if_left
from accounts.events import Event, SessionEvents
from accounts.session_opening import Grant, insert_session
from accounts.shielded import run_shielded
from accounts.tokens import Claims
from models import EventKind, Session, User
from protocol.errors import ApiError
from settings import Settings

# The condition, so that PostgreSQL logs a violated key (with the number) only when two change at once.
_MOVE: Final = """
UPDATE users SET mobile_no = $2, mobile_since = now()
WHERE id = $1 AND NOT EXISTS (SELECT FROM users WHERE mobile_no = $2) RETURNING id
"""
_UNBLOCK: Final = "DELETE FROM blocks WHERE blocked_id = $1"
_END: Final = "UPDATE sessions SET revoked_at = now() WHERE user_id = $1 AND revoked_at IS NULL"
_FAILURES: Final = "DELETE FROM session_events WHERE mobile_no = $1 AND user_id IS NULL"

OnMoved = Callable[[str], Awaitable[None]]
"""``await on_moved(session_id)``: tells the sockets of a session to connect again with the new token. Raises
``ApiError("unavailable")``."""


class NumberChanges:
    """Changes numbers."""

    def __init__(self, departures: Departures, settings: Settings, events: SessionEvents, on_moved: OnMoved) -> None:
        self._departures = departures
        self._settings = settings
        self._events = events
        self._on_moved = on_moved

    async def change(self, claims: Claims, mobile: str) -> Grant:
        """The person has this number from now on. Their own blocks stay; those of others on the old number go.

        :param mobile: canonical, not the one they have
        :returns: a session for the device that asks; all others have ended
        :raises ApiError: ``already_exists``, ``number_resting``, ``session_revoked`` (the number was changed, or the
            account deleted, meanwhile), ``unavailable``
        """
        return await run_shielded(self._change(claims, mobile))

    async def _change(self, claims: Claims, mobile: str) -> Grant:
        account_id, before = claims.account_id, claims.mobile
        await self._departures.clearing.may_have(mobile, account_id)
        async with transaction():
            left, blockers = await leave(account_id, before)
            await _move(account_id, mobile)
            await refuse_if_left(mobile)
            await execute(_UNBLOCK, account_id)
            await execute(_FAILURES, before)
            session = await Session.get(id=claims.session_id)
            await execute(_END, account_id)
            user = await User.get(id=account_id)
            grant = await insert_session(user, session.device_id, session.device_name, self._settings)
        await self._events.write(
            Event(EventKind.NUMBER_CHANGED, mobile, account_id, grant.session_id, device_id=grant.device_id)
        )
        with suppress(ApiError):  # then they are closed as those of all sessions that ended
            await self._on_moved(claims.session_id)
        await self._departures.finish_now(left, blockers)
        return grant


async def _move(account_id: str, mobile: str) -> None:
    """:raises ApiError: ``already_exists``"""
    try:
        moved = await execute(_MOVE, account_id, mobile)
    except IntegrityError:
        moved = []
    if not moved:
        raise ApiError("already_exists")
