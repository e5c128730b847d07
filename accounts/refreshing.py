"""Refreshes a session: one look at it, and one change that only the first of several callers makes.

PostgreSQL never gets a secret, only hashes of it: statements and their parameters may be in its log. That costs a
second statement, because the successor cannot be made without the key of the session. Both run without a transaction:
the change names the generation that was seen.
"""

from collections.abc import Callable
from typing import Any, Final

from tortoise.connection import get_connection

from accounts import refresh_tokens
from accounts.database import read, transaction
from accounts.linked_devices import USED
from accounts.refresh_tokens import Chain, RefreshToken
from accounts.session_ends import ClosedSession, end_one
from accounts.session_opening import Grant, check_room
from models import User
from protocol.errors import ApiError
from settings import Settings

Allow = Callable[[str], None]
"""Raises an :class:`ApiError` when this session may not be refreshed just now."""

_FIND: Final = f"""
SELECT s.user_id::text AS account_id, u.mobile_no::text AS mobile, u.name::text AS name, s.device_id::text AS device_id,
    s.expires_at, s.refresh_key, s.refresh_generation, s.refresh_hash,
    s.revoked_at IS NULL AS open, s.expires_at > now() AS lasts,
    coalesce(s.refreshed_at > now() - make_interval(secs => $2), FALSE) AS fresh,
    {USED} > now() - make_interval(secs => $3) AS linked
FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1
"""  # noqa: S608 - of constants
_ROTATE: Final = """
UPDATE sessions SET refresh_generation = $2, refresh_hash = $3, refreshed_at = now(), last_used_at = now(),
    expires_at = greatest(expires_at, now() + make_interval(secs => $4))
WHERE id = $1 AND refresh_generation = $2 - 1 AND revoked_at IS NULL RETURNING expires_at
"""


class Reused(Exception):
    """A token was used that had been replaced. Its session has ended.

    :param first: whether this use ended it
    """

    def __init__(self, closed: ClosedSession, *, first: bool) -> None:
        super().__init__(closed.session_id)
        self.closed = closed
        self.first = first


async def refresh_session(token: RefreshToken, settings: Settings, allow: Allow) -> Grant:
    """The session, with the token after this one.

    :raises Reused: the session has ended by this
    :raises ApiError: ``refresh_invalid``, ``session_revoked``, ``token_expired``, ``too_many_devices`` (it was idle for
        so long that its device was unlinked), ``unavailable``, and what ``allow`` raises
    """
    # Twice, in case another request rotates the token in between: then it is the one before the newest.
    for _ in range(2):
        found = await _find(token, settings)
        chain = Chain(found["refresh_key"], found["refresh_generation"], found["refresh_hash"])
        judgement = refresh_tokens.judge(token, chain, fresh=found["fresh"])
        if judgement == "reused":
            closed, first = await end_one(token.session_id)
            raise Reused(closed, first=first)
        if not found["open"]:
            raise ApiError("session_revoked")
        if not found["lasts"]:
            raise ApiError("token_expired")
        allow(token.session_id)
        following = refresh_tokens.successor(token, chain)
        if judgement == "repeated":
            return _grant(found, following, found["expires_at"])
        rotate = _rotate if found["linked"] else _rotate_where_there_is_room
        if (expires_at := await rotate(found, following, settings)) is not None:
            return _grant(found, following, expires_at)
    raise ApiError("unavailable")


async def _find(token: RefreshToken, settings: Settings) -> dict[str, Any]:
    args = [token.session_id, float(refresh_tokens.GRACE_SECONDS), settings.linked_seconds]
    rows = await read(lambda: get_connection("default").execute_query_dict(_FIND, args))
    if not rows:
        raise ApiError("refresh_invalid")
    found: dict[str, Any] = rows[0]
    return found


async def _rotate(_found: dict[str, Any], following: RefreshToken, settings: Settings) -> Any:
    """When the session ends now; None: the token is not the newest any more.

    Done twice after a broken connection, it finds the token rotated, and the caller looks again.
    """
    return await read(lambda: _write(following, settings))


async def _rotate_where_there_is_room(found: dict[str, Any], following: RefreshToken, settings: Settings) -> Any:
    """The same for a device that was idle for so long that it is not linked any more: it is linked anew."""
    async with transaction():
        user = await User.filter(id=found["account_id"]).select_for_update(no_key=True).first()
        if user is None:
            raise ApiError("session_revoked")
        await check_room(user, found["device_id"], settings)
        return await _write(following, settings)


async def _write(following: RefreshToken, settings: Settings) -> Any:
    digest = refresh_tokens.digest(following.secret)
    args = [following.session_id, following.generation, digest, settings.session_seconds]
    rows = await get_connection("default").execute_query_dict(_ROTATE, args)
    return rows[0]["expires_at"] if rows else None


def _grant(found: dict[str, Any], token: RefreshToken, expires_at: Any) -> Grant:
    whose = found["account_id"], found["mobile"], found["name"], found["device_id"]
    return Grant(token.session_id, *whose, expires_at, str(token))
