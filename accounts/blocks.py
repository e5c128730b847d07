"""Who blocks whom."""

from dataclasses import dataclass

from tortoise.exceptions import IntegrityError

from accounts.database import read
from accounts.rules import OnChange, change_rules
from accounts.shielded import run_shielded
from models import Block, User
from protocol.errors import ApiError


@dataclass(frozen=True, slots=True)
class BlockedPerson:
    """One line of a block list."""

    mobile: str
    name: str


class Blocks:
    """:param on_change: called after each commit, see :func:`accounts.rules.change_rules`"""

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
        async def change(user: User) -> bool:
            other = await User.get_or_none(mobile_no=blocked)
            if other is None:
                raise ApiError("no_such_person")
            return await self._set(user, other, wanted=wanted)

        await change_rules(blocker, change, self._on_change)

    async def _set(self, user: User, other: User, *, wanted: bool) -> bool:
        """Write the change; whether there was any."""
        if not wanted:
            return await Block.filter(blocker=user, blocked=other).delete() > 0
        if await Block.exists(blocker=user, blocked=other):
            return False
        if await Block.filter(blocker=user).count() >= self._max_blocks:
            raise ApiError("block_list_full")
        try:
            await Block.create(blocker=user, blocked=other)
        except IntegrityError:
            raise ApiError("no_such_person") from None  # their account was deleted just now
        return True
