"""Opens a session at a log-in, in one transaction: room for the device, what the device had before, the new session."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tortoise.connection import get_connection

from accounts import refresh_tokens
from accounts.database import transaction
from accounts.linked_devices import LIVES, USED, LinkedDevice, linked_devices
from accounts.session_ends import ENDED, ClosedSession, end_device
from models import User
from protocol.errors import ApiError
from settings import Settings

MAX_SESSIONS: Final = 10
"""Sessions of one device that live: tabs, or a client that logs in again and again."""

# A session that was never refreshed is over with its token: clients of the original log in again instead.
_TIDY: Final = f"""
WITH mine AS (
    SELECT s.id, {USED} AS used, s.refreshed_at IS NULL AND {USED} < now() - make_interval(secs => $3) AS spent
    FROM sessions s WHERE s.user_id = $1 AND s.device_id = $2 AND {LIVES}
), ranked AS (SELECT id, spent, count(*) FILTER (WHERE NOT spent) OVER (ORDER BY used DESC, id) AS place FROM mine)
UPDATE sessions s SET {ENDED} FROM ranked WHERE s.id = ranked.id AND (spent OR place >= $4)
RETURNING s.id::text AS id, spent
"""  # noqa: S608 - of constants
_INSERT: Final = """
INSERT INTO sessions (id, user_id, device_id, device_name, created_at, last_used_at, expires_at,
    refresh_generation, refresh_key, refresh_hash)
VALUES ($1, $2, $3, $4, now(), now(), now() + make_interval(secs => $5), 0, $6, $7) RETURNING expires_at
"""


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """A session that a client has just opened or refreshed.

    :param expires_at: of the session and of its refresh token
    """

    session_id: str
    account_id: str
    mobile: str
    name: str
    device_id: str
    expires_at: datetime
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What a log-in changed.

    :param replaced: sessions of the device that was unlinked for this one
    :param surplus: sessions of this device that ended because there were too many
    """

    grant: Grant
    replaced: Sequence[ClosedSession]
    surplus: Sequence[ClosedSession]


async def open_session(
    user: User, device_id: str, device_name: str, settings: Settings, replaced_device: str | None = None
) -> Opened:
    """:raises TooManyDevices: which is an ApiError
    :raises ApiError: ``credentials_wrong``: the account has changed since the password was checked; ``unavailable``
    """
    async with transaction():
        # Two log-ins at once must not both find the last free place.
        row = await User.filter(id=user.id).select_for_update(no_key=True).first()
        if row is None or (row.password_hash, row.mobile_no) != (user.password_hash, user.mobile_no):
            raise ApiError("credentials_wrong")
        account_id = str(row.id)
        gone = await end_device(account_id, replaced_device) if replaced_device not in {None, device_id} else []
        await check_room(row, device_id, settings)
        surplus = await _tidy(row, device_id, settings)
        grant = await insert_session(row, device_id, device_name, settings)
    return Opened(grant, gone, surplus)


async def check_room(user: User, device_id: str, settings: Settings) -> None:
    """Return if this device is linked, or may be. Within a transaction that holds the person's row, ``user``.

    :raises ApiError: ``too_many_devices``
    """
    linked = await linked_devices(str(user.id), settings.linked_seconds)
    if len(linked) >= settings.max_devices and device_id not in {device.device_id for device in linked}:
        raise TooManyDevices(user.mobile_no, linked)


class TooManyDevices(ApiError):
    """``too_many_devices``, for somebody who has shown that the account is theirs.

    :param linked: the devices one of which may be replaced
    """

    def __init__(self, mobile: str, linked: Sequence[LinkedDevice]) -> None:
        super().__init__("too_many_devices")
        self.mobile = mobile
        self.linked = linked


async def _tidy(user: User, device_id: str, settings: Settings) -> list[ClosedSession]:
    args = [str(user.id), device_id, settings.token_hours * 3600, MAX_SESSIONS]
    rows: list[dict[str, Any]] = await get_connection("default").execute_query_dict(_TIDY, args)
    # Of those whose tokens are over no socket is open.
    return [ClosedSession(row["id"], str(user.id), user.mobile_no, device_id) for row in rows if not row["spent"]]


async def insert_session(user: User, device_id: str, device_name: str, settings: Settings) -> Grant:
    """A new session. Within a transaction that holds the person's row, and with room for the device."""
    session_id = str(uuid.uuid4())
    token, chain = refresh_tokens.begin(session_id)
    args = [session_id, str(user.id), device_id, device_name, settings.session_seconds, chain.key, chain.newest]
    (row,) = await get_connection("default").execute_query_dict(_INSERT, args)
    return Grant(session_id, str(user.id), user.mobile_no, user.name, device_id, row["expires_at"], str(token))
