"""What Redis must know of a person before it can decide anything about them: that they exist, and whom they block.

PostgreSQL is the truth. Redis is filled from it whenever it has lost a record.
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
    """A person as the accounts know them."""

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


CACHED_KEYS: Final = 512
"""People whose Redis keys are kept as strings: those who talk just now. They take 1.2 KB each, and 2.3 KB when also
written to."""
FindPerson = Callable[[str], Awaitable[Record | None]]
"""Looks a person up in PostgreSQL by mobile number. Raises ``ApiError("unavailable")`` while that is away."""


class UserRecords:
    """Loads people into Redis, and makes their keys.

    :param replicated: for block sets, whose change is confirmed to the person; None: ``redis``
    """

    def __init__(self, redis: RedisClient, find: FindPerson, replicated: ScriptRunner | None = None) -> None:
        self._redis = redis
        self._replicated: ScriptRunner = replicated or redis
        self.find = find
        self.keys = lru_cache(maxsize=CACHED_KEYS)(Person)
        """A person's keys, by mobile number."""

    async def load(self, mobile: str) -> None:
        """Copy a person from PostgreSQL into Redis.

        :raises ApiError: ``no_such_person``, ``unavailable``
        """
        found = await self.find(mobile)
        if found is None:
            raise ApiError("no_such_person")
        args = _record(found.account_id, found.blocks_version, found.blocked, found.last_seen_ms)
        await self._redis.call(LOAD, self.keys(mobile).of(LOAD), args)

    async def replace_blocks(self, mobile: str, account_id: str, version: int, blocked: Sequence[str]) -> None:
        """Replace a person's whole block set, unless Redis has a newer version. It applies to every send after this.

        :raises ApiError: ``unavailable``
        """
        args = _record(account_id, version, blocked, None)
        await self._replicated.call(LOAD, self.keys(mobile).of(LOAD), args)


def _record(account_id: str, version: int, blocked: Sequence[str], last_seen: int | None) -> list[Arg]:
    return [account_id, secrets.token_hex(8), version, "" if last_seen is None else last_seen, *blocked]
