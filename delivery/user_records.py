"""What Redis must know of a person before anything can be decided about him: that he exists, and whom he blocks.

PostgreSQL is the truth, Redis is rebuilt from it whenever it has forgotten.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Final, Protocol

from delivery.keys import Person
from delivery.redis.client import Arg, RedisClient
from delivery.redis.replication import ScriptRunner
from delivery.scripts import LOAD
from protocol.errors import ApiError


class Record(Protocol):
    """What is asked of the accounts."""

    @property
    def account_id(self) -> str: ...
    @property
    def blocks_version(self) -> int: ...
    @property
    def blocked(self) -> Sequence[str]: ...
    @property
    def last_seen_ms(self) -> int | None: ...
    @property
    def devices(self) -> Sequence[str]: ...


SPELLED: Final = 512
"""UserRecords whose keys stay spelled: those who talk just now. They take 1.2 KB each, and 2.3 when also
written to."""
FindPerson = Callable[[str], Awaitable[Record | None]]
"""Looks a person up in PostgreSQL by mobile; raises ``ApiError("unavailable")`` while that is away."""


class UserRecords:
    """Loads people into Redis, and spells their keys.

    :param durable: runs what somebody is told of; None: the link
    """

    def __init__(self, link: RedisClient, find: FindPerson, durable: ScriptRunner | None = None) -> None:
        self._link = link
        self._durable: ScriptRunner = durable or link
        self.find = find
        self.keys = lru_cache(maxsize=SPELLED)(Person)
        """A person's keys, by his mobile."""

    async def load(self, mobile: str) -> None:
        """From PostgreSQL into Redis.

        :raises ApiError: ``no_such_person``, ``unavailable``
        """
        found = await self.find(mobile)
        if found is None:
            raise ApiError("no_such_person")
        args = _record(found.account_id, found.blocks_version, found.blocked, found.last_seen_ms)
        await self._link.call(LOAD, self.keys(mobile).of(LOAD), args)

    async def replace_blocks(self, mobile: str, account_id: str, version: int, blocked: Sequence[str]) -> None:
        """Take a person's whole block set, unless Redis has a newer one. It counts for every send after this.

        :raises ApiError: ``unavailable``
        """
        args = _record(account_id, version, blocked, None)
        await self._durable.call(LOAD, self.keys(mobile).of(LOAD), args)


def _record(account_id: str, version: int, blocked: Sequence[str], last_seen: int | None) -> list[Arg]:
    return [account_id, secrets.token_hex(8), version, "" if last_seen is None else last_seen, *blocked]
