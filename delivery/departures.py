"""What Redis holds of a number whose owner has left it: nothing more is stored, senders are told, all of it goes.

Each step may be cut off and done again, also by two servers at once, and does nothing when the number has another owner
by then. Which numbers are left is known to PostgreSQL.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from delivery.expiry import Expiry
from delivery.redis.client import Arg, RedisClient
from delivery.results import FIRST_ENTRY
from delivery.scripts import DELETE_PERSON, DROP_WAITING, LEAVE
from delivery.user_records import UserRecords
from protocol.errors import ApiError
from protocol.identifiers import parse_stream_id

LEFT_SECONDS: Final = 366 * 86_400
"""How long it is noted that a number had another owner: longer than chats that they sent may wait, and than a server
waits between reading a person in PostgreSQL and loading them."""
LOOK_SECONDS: Final = 0.05
BATCH_SIZE: Final = 200
"""Entries that one command works on: it takes Redis some milliseconds."""
PEOPLE_AT_ONCE: Final = 100


class _Shadow(NamedTuple):
    """A chat that becomes ``expired``. As :class:`protocol.stored_entries.Shadow`, without a size."""

    shadow_id: str
    sender: str
    message_id: str
    chat_id: str


class NumberClearing:
    """Clears numbers. Every method raises ``ApiError("unavailable")`` while Redis is away."""

    def __init__(self, redis: RedisClient, users: UserRecords, expiry: Expiry) -> None:
        self._redis = redis
        self._users = users
        self._expiry = expiry

    async def leave(self, mobile: str, account_id: str) -> int:
        """From now on nothing is stored for the former owner.

        :returns: how many of their connections hold a lease
        """
        args: list[Arg] = [account_id, LEFT_SECONDS]
        _, leases = await self._redis.call(LEAVE, self._users.keys(mobile).of(LEAVE), args)
        return int(leases)

    async def clear(self, mobile: str, account_id: str, wait_seconds: float) -> bool:
        """Tell the senders of what waits, and delete everything: whether that was done.

        It is not while a connection of the former owner lives: it may still speak for the number, and write to its
        keys. A connection releases its lease when everything that it does is done.

        :param wait_seconds: how long connections may take to end
        """
        until = time.monotonic() + wait_seconds
        while await self.leave(mobile, account_id):
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        await self._drop_waiting(mobile, account_id)
        await self._be_forgotten(mobile)
        await self._redis.call(DELETE_PERSON, self._users.keys(mobile).of(DELETE_PERSON), [account_id])
        return True

    async def may_have(self, mobile: str, account_id: str) -> None:
        """This account, which may have left the number earlier, is about to have it again."""
        if await self._redis.command("GET", self._users.keys(mobile).left_by) == account_id.encode():
            await self._redis.command("DEL", self._users.keys(mobile).left_by)

    async def reload(self, mobiles: Sequence[str]) -> None:
        """These people were changed in PostgreSQL: those that Redis holds are loaded again."""
        for start in range(0, len(mobiles), PEOPLE_AT_ONCE):
            some = mobiles[start : start + PEOPLE_AT_ONCE]
            held = await self._redis.pipeline([("EXISTS", self._users.keys(mobile).user) for mobile in some])
            await asyncio.gather(*[self._reload(mobile) for mobile, is_held in zip(some, held, strict=True) if is_held])

    async def _reload(self, mobile: str) -> None:
        try:
            await self._users.load(mobile)
        except ApiError as error:
            if error.code != "no_such_person":  # they have left, too
                raise

    async def _drop_waiting(self, mobile: str, account_id: str) -> None:
        """First all chats become shadow entries. Then their senders are told in the order of the chats' times."""
        shadows = await self._shadows(mobile, account_id)
        shadows.sort(key=lambda shadow: parse_stream_id(shadow.chat_id))
        for first in range(0, len(shadows), BATCH_SIZE):
            some = shadows[first : first + BATCH_SIZE]
            chats = [(shadow.sender, shadow.message_id, shadow.chat_id) for shadow in some]
            await self._expiry.tell_senders(mobile, chats)
            told = [shadow.shadow_id for shadow in some]
            args: list[Arg] = [account_id, 1, told[-1], *told]
            await self._redis.call(DROP_WAITING, self._users.keys(mobile).of(DROP_WAITING), args)

    async def _shadows(self, mobile: str, account_id: str) -> list[_Shadow]:
        names, found, after = self._users.keys(mobile).of(DROP_WAITING), list[_Shadow](), FIRST_ENTRY
        while True:
            verdict, shadows = await self._redis.call(DROP_WAITING, names, [account_id, BATCH_SIZE, after])
            if verdict == b"more":
                continue
            found += [_Shadow(*[each.decode() for each in shadow]) for shadow in shadows]
            if len(shadows) < BATCH_SIZE:
                return found
            after = found[-1].shadow_id

    async def _be_forgotten(self, mobile: str) -> None:
        """Those to whom this person wrote know the number no more. The next owner is a stranger to them."""
        known = await self._redis.command("SMEMBERS", self._users.keys(mobile).answered)
        for start in range(0, len(known), PEOPLE_AT_ONCE):
            others = [self._users.keys(other.decode()) for other in known[start : start + PEOPLE_AT_ONCE]]
            commands = [("SREM", other.answered, mobile) for other in others]
            await self._redis.pipeline([*commands, *[("HDEL", other.strangers, mobile) for other in others]])
