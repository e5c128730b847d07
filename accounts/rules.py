"""What a person decided about others: whom they block, and what they hide. Both carry one version.

PostgreSQL is the truth; every change is written to Redis before it is confirmed to the client.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tortoise.connection import get_connection

from accounts.database import transaction
from models import Block, User
from protocol.errors import ApiError
from protocol.privacy import Privacy

# By PostgreSQL's clock, because servers' clocks differ: the background job compares by these times.
_CHANGED = "UPDATE users SET blocks_version = $2, blocks_changed_at = clock_timestamp() WHERE id = $1"

PRIVACY_COLUMNS: Final = ("last_seen_to", "online_to", "read_receipts", "stranger_receipts")
"""Of the table of users, in the order of :class:`protocol.privacy.Privacy`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All of it, at one version.

    :param blocked: mobile number -> since when, in unix ms
    :param privacy: :meth:`protocol.privacy.Privacy.encode`
    :param since_ms: when the account got the number, in unix ms
    """

    account_id: str
    blocks_version: int
    blocked: dict[str, int]
    privacy: str
    since_ms: int


OnChange = Callable[[str, Rules], Awaitable[None]]
"""``await on_change(mobile, rules)``."""


async def change_rules(mobile: str, work: Callable[[User], Awaitable[bool]], on_change: OnChange) -> None:
    """Do ``work``, which says whether it changed anything. A change raises the version in the same transaction: a late
    write of older rules is then ignored.

    :param on_change: called after the commit, also when nothing changed: a client that got ``unavailable`` because
        Redis was away repeats its request, and then PostgreSQL has the change already
    :raises ApiError: ``no_such_person``, ``unavailable``, and what ``work`` raises
    """
    async with transaction():
        # NO KEY: a block refers to two people, and two who block each other at once would deadlock.
        user = await User.filter(mobile_no=mobile).select_for_update(no_key=True).first()
        if user is None:
            raise ApiError("no_such_person")
        if await work(user):
            user.blocks_version += 1
            await get_connection("default").execute_query(_CHANGED, [user.id, user.blocks_version])
        since = round((user.mobile_since or user.created_at).timestamp() * 1000)
        blocked, privacy = await _blocked_by(user), privacy_of(user).encode()
        rules = Rules(str(user.id), user.blocks_version, blocked, privacy, since)
    await on_change(mobile, rules)


def privacy_of(user: User) -> Privacy:
    """What this person hides."""
    return Privacy(*(getattr(user, column) for column in PRIVACY_COLUMNS))


async def _blocked_by(user: User) -> dict[str, int]:
    rows = await Block.filter(blocker=user).values_list("blocked__mobile_no", "created_at")
    return {str(number): round(since.timestamp() * 1000) for number, since in sorted(rows)}
