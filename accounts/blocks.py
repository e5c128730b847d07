"""Who blocks whom. PostgreSQL is the truth; every change is written to Redis before it is confirmed to the client."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tortoise.connection import get_connection

from accounts.database import read, transaction
from accounts.shielded import run_shielded
from models import Block, User
from protocol.errors import ApiError

_CHANGED = "UPDATE users SET blocks_version = $2, blocks_changed_at = clock_timestamp() WHERE id = $1"
OnChange = Callable[[str, str, int, list[str]], Awaitable[None]]
"""``await on_change(mobile, account_id, version, blocked)``, with the whole set of blocked mobiles at that version."""


@dataclass(frozen=True, slots=True)
class BlockedPerson:
    """One line of a block list."""

    mobile: str
    name: str


class Blocks:
    """Every change raises the blocker's version in the same transaction: a late write of an older set is then ignored.

    :param on_change: called after each commit, also when nothing changed: a client that got ``unavailable`` because
        Redis was away repeats its request, and then PostgreSQL has the change already
    """

    def __init__(self, on_change: OnChange, max_blocks: int) -> None:
        self._on_change = on_change
        self._max_blocks = max_blocks

    async def block(self, blocker: str, blocked: str) -> None:
        """Block somebody. May be repeated.

        :raises ApiError: ``self_block``, ``no_such_person``, ``block_list_full``, ``unavailable``
        """
        if blocker == blocked:
            raise ApiError("self_block")
        await run_shielded(self._change(blocker, blocked, wanted=True))

    async def unblock(self, blocker: str, blocked: str) -> None:
        """Unblock somebody, who need not be blocked.

        :raises ApiError: ``self_block``, ``no_such_person``, ``unavailable``
        """
        if blocker == blocked:
            raise ApiError("self_block")
        await run_shielded(self._change(blocker, blocked, wanted=False))

    async def list(self, mobile: str) -> list[BlockedPerson]:
        """The people whom this person blocks, in the order of blocking.

        :raises ApiError: ``unavailable``
        """
        query = Block.filter(blocker__mobile_no=mobile).order_by("id")
        rows = await read(lambda: query.values_list("blocked__mobile_no", "blocked__name"))
        return [BlockedPerson(str(number), str(name)) for number, name in rows]

    async def _change(self, blocker: str, blocked: str, *, wanted: bool) -> None:
        async with transaction():
            user = await _locked(blocker)
            other = await User.get_or_none(mobile_no=blocked)
            if other is None:
                raise ApiError("no_such_person")
            if await self._set(user, other, wanted=wanted):
                user.blocks_version += 1
                # By PostgreSQL's clock, because servers' clocks differ: the background job compares by these times.
                await get_connection("default").execute_query(_CHANGED, [user.id, user.blocks_version])
            everyone = await _blocked_by(user)
        await self._on_change(blocker, str(user.id), user.blocks_version, everyone)

    async def _set(self, user: User, other: User, *, wanted: bool) -> bool:
        """Write the change; whether there was any."""
        if not wanted:
            return await Block.filter(blocker=user, blocked=other).delete() > 0
        if await Block.exists(blocker=user, blocked=other):
            return False
        if await Block.filter(blocker=user).count() >= self._max_blocks:
            raise ApiError("block_list_full")
        await Block.create(blocker=user, blocked=other)
        return True


async def _locked(mobile: str) -> User:
    # NO KEY: a block refers to two people, and two who block each other at once would deadlock.
    user = await User.filter(mobile_no=mobile).select_for_update(no_key=True).first()
    if user is None:
        raise ApiError("no_such_person")
    return user


async def _blocked_by(user: User) -> list[str]:
    rows = await Block.filter(blocker=user).values_list("blocked__mobile_no", flat=True)
    return sorted(str(number) for number in rows)
