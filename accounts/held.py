"""What PostgreSQL holds of a person, for the person who asks for everything that is held about them.

Secrets are left out: the hash of the password, and what refresh tokens are made of.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tortoise.connection import get_connection

from accounts.database import read
from protocol.errors import ApiError
from protocol.privacy import Audience

_USER: Final = """
SELECT id::text, name::text, about::text, mobile_no::text, created_at, mobile_since, last_seen_at,
    last_seen_to::text, online_to::text, read_receipts, stranger_receipts
FROM users WHERE id = $1
"""
_SESSIONS: Final = """
SELECT id::text, device_id::text, device_name::text, created_at, expires_at, last_used_at, refreshed_at, revoked_at
FROM sessions WHERE user_id = $1 ORDER BY created_at, id
"""
_BLOCKS: Final = """
SELECT u.mobile_no::text, u.name::text, b.created_at FROM blocks b JOIN users u ON u.id = b.blocked_id
WHERE b.blocker_id = $1 ORDER BY b.id
"""


@dataclass(frozen=True, slots=True)
class HeldUser:
    """The person's row.

    :param mobile_since: None: since the account was made
    :param last_seen_at: of connections whose events were deleted; None: none was
    """

    id: str
    name: str
    about: str
    mobile_no: str
    created_at: datetime
    mobile_since: datetime | None
    last_seen_at: datetime | None
    last_seen_to: Audience
    online_to: Audience
    read_receipts: bool
    stranger_receipts: bool


@dataclass(frozen=True, slots=True)
class HeldSession:
    """One session, also one that has ended. :param revoked_at: None: it was not ended before its time"""

    id: str
    device_id: str
    device_name: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    refreshed_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class HeldBlock:
    """Somebody whom the person blocks."""

    mobile_no: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class HeldOfAccount:
    """All of it, but the session events, which :func:`accounts.event_log.past_events` reads in pages."""

    user: HeldUser
    sessions: list[HeldSession]
    blocks: list[HeldBlock]


async def held_of(account_id: str) -> HeldOfAccount:
    """What is held of this account.

    :raises ApiError: ``session_revoked``: there is no such account (any more); ``unavailable``
    """
    users = await _rows(_USER, account_id)
    if not users:
        raise ApiError("session_revoked")
    sessions, blocks = await _rows(_SESSIONS, account_id), await _rows(_BLOCKS, account_id)
    return HeldOfAccount(
        HeldUser(**users[0]), [HeldSession(**row) for row in sessions], [HeldBlock(**row) for row in blocks]
    )


async def _rows(statement: str, account_id: str) -> list[dict[str, Any]]:
    return await read(lambda: get_connection("default").execute_query_dict(statement, [account_id]))
