"""Numbers that are left: an account is deleted, or gets another number. Both go through one procedure.

1. One transaction removes the account, or moves it, and adds a row to ``departures``. While it is there nobody can have
   the number.
2. Redis forgets the person, so that nothing more is stored for them (``leave``).
3. The sessions end everywhere: their tokens name the number.
4. When the last connection has ended, the senders of what waits are told and everything in Redis goes (``clear``).
5. The row goes, and the number is free.

Each step may be done again. The request does them at once. What was cut off is done by a background job, which finds
the rows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from accounts.database import execute, read, transaction
from accounts.shielded import run_shielded
from models import Departure
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)

FINISH_SECONDS: Final = 3.0
"""How long a request goes on with the steps behind its transaction; then the background job has them."""
CLOSE_SECONDS: Final = 2.0
"""How long sockets may take to close meanwhile."""
PAGE: Final = 2_000
"""Session events deleted in one statement."""

_LOCK: Final = "SELECT id FROM users WHERE id = $1 AND mobile_no = $2 FOR UPDATE"
_EVENTS: Final = """
DELETE FROM session_events WHERE id IN (SELECT id FROM session_events WHERE user_id = $1 LIMIT $2) RETURNING id
"""
# Sessions that ended within the last hour are named, too: it may not have been told to Redis.
_LEAVE: Final = """
INSERT INTO departures (mobile_no, account_id, sessions, at)
SELECT $2, $1, ARRAY(SELECT id FROM sessions WHERE user_id = $1
       AND (revoked_at > now() - interval '1 hour' OR revoked_at IS NULL AND expires_at > now())), now()
RETURNING sessions
"""
_UNBLOCK: Final = """
UPDATE users SET blocks_version = blocks_version + 1, blocks_changed_at = clock_timestamp()
WHERE id IN (SELECT blocker_id FROM blocks WHERE blocked_id = $1) RETURNING mobile_no::text AS mobile
"""
_DELETE_EVENTS: Final = "DELETE FROM session_events WHERE user_id = $1 OR mobile_no = $2"
_DELETE: Final = "DELETE FROM users WHERE id = $1"


@dataclass(frozen=True, slots=True)
class LeftNumber:
    """A number whose owner has left it, and who still has to be forgotten.

    :param sessions: of the former owner
    """

    mobile: str
    account_id: str
    sessions: list[str]


class Clearing(Protocol):
    """What Redis holds of a number. Every method raises ``ApiError("unavailable")`` while it is away."""

    async def leave(self, mobile: str, account_id: str) -> int:
        """From now on nothing is stored for the former owner."""
        ...

    async def clear(self, mobile: str, account_id: str, wait_seconds: float) -> bool:
        """Tell the senders of what waits, and delete everything: whether no connection was in the way."""
        ...

    async def may_have(self, mobile: str, account_id: str) -> None:
        """This account, which may have left the number earlier, is about to have it again."""
        ...

    async def reload(self, mobiles: Sequence[str]) -> None:
        """The blocks of these people were changed."""
        ...


EndSessions = Callable[[LeftNumber], Awaitable[None]]
"""Ends the sessions of a former owner everywhere. Raises ``ApiError("unavailable")``."""


class Departures:
    """Lets people leave their numbers."""

    def __init__(self, clearing: Clearing, end_sessions: EndSessions) -> None:
        self.clearing = clearing
        self._end_sessions = end_sessions

    async def delete(self, account_id: str, mobile: str) -> None:
        """Delete an account and everything that is held about the person. When it returns the account is gone. May be
        repeated, for example after ``unavailable``.

        :raises ApiError: ``session_revoked`` (there is no such account), ``unavailable``
        """
        await run_shielded(self._delete(account_id, mobile))

    async def finish(self, left: LeftNumber, close_seconds: float = 0) -> bool:
        """Do the steps behind the transaction, as far as they can be done now.

        :param close_seconds: how long sockets of the former owner may take to close
        :returns: whether the number is free now
        :raises ApiError: ``unavailable``
        """
        await self.clearing.leave(left.mobile, left.account_id)
        await self._end_sessions(left)
        if not await self.clearing.clear(left.mobile, left.account_id, close_seconds):
            return False
        async with transaction():
            await Departure.filter(mobile_no=left.mobile, account_id=left.account_id).delete()
        return True

    async def unfinished(self) -> list[LeftNumber]:
        """The numbers that are not free yet, those left first in front.

        :raises ApiError: ``unavailable``
        """
        rows = Departure.all().order_by("at")
        found = await read(lambda: rows.values_list("mobile_no", "account_id", "sessions"))
        return [LeftNumber(mobile, str(account), [str(one) for one in sessions]) for mobile, account, sessions in found]

    async def _delete(self, account_id: str, mobile: str) -> None:
        await _delete_events(account_id)
        async with transaction():
            left, blockers = await leave(account_id, mobile)
            await execute(_DELETE_EVENTS, account_id, mobile)
            await execute(_DELETE, account_id)
        await self.finish_now(left, blockers)

    async def finish_now(self, left: LeftNumber, blockers: Sequence[str]) -> None:
        """Do the steps behind the transaction within a request. Never raises: the background job has what is left.

        :param blockers: those whose blocks were changed by the transaction
        """
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                # Before the number is free: its next owner must not be in the block set of anybody.
                await self.clearing.reload(blockers)
                if await self.finish(left, CLOSE_SECONDS):
                    return
        except (ApiError, TimeoutError) as error:
            logger.warning("a number that was left is not free yet", error=str(error) or type(error).__name__)


async def leave(account_id: str, mobile: str) -> tuple[LeftNumber, list[str]]:
    """The part of the transaction that deletion and a change of number have in common. The person's row stays locked.

    :returns: also the people who blocked this person: they block the number no more
    :raises ApiError: ``session_revoked``: this account does not have this number (any more)
    """
    if not await execute(_LOCK, account_id, mobile):
        raise ApiError("session_revoked")
    # A statement of its own: what was committed while the lock was waited for is not in the snapshot of the first.
    blockers = [row["mobile"] for row in await execute(_UNBLOCK, account_id)]
    (row,) = await execute(_LEAVE, account_id, mobile)
    return LeftNumber(mobile, account_id, [str(one) for one in row["sessions"]]), blockers


async def refuse_if_left(mobile: str) -> None:
    """To be called in the transaction that gives somebody this number, after it has the number: then it sees what
    another transaction has committed that it waited for.

    :raises ApiError: ``number_resting``
    """
    if await Departure.exists(mobile_no=mobile):
        raise ApiError("number_resting")


async def _delete_events(account_id: str) -> None:
    """In pages, before the rest: a device that connected all day long for months has more than one transaction can
    delete in time. A request that is not through with it is repeated, and goes on from there."""
    while True:
        async with transaction():
            gone = await execute(_EVENTS, account_id, PAGE)
        if len(gone) < PAGE:
            return
