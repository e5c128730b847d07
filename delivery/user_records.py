"""What Redis must know of a person before it can decide anything about them: that they exist, whom they block, and what
they hide.

PostgreSQL is the truth. Redis is filled from it whenever it has lost a record.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol

from delivery.keys import Person
from delivery.redis.client import Arg, RedisClient
from delivery.redis.replication import ScriptRunner
from delivery.scripts import LOAD
from protocol.errors import ApiError


class Rules(Protocol):
    """Whom a person blocks, since when (unix ms), and what they hide (:meth:`protocol.privacy.Privacy.encode`), at one
    version."""

    @property
    def account_id(self) -> str: ...
    @property
    def blocks_version(self) -> int: ...
    @property
    def blocked(self) -> Mapping[str, int]: ...
    @property
    def privacy(self) -> str: ...
    @property
    def since_ms(self) -> int:
        """When the account got the number, in unix ms."""


class Record(Rules, Protocol):
    """A person as the accounts know them."""

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

    :param replicated: for blocks and privacy, whose change is confirmed to the person; None: ``redis``
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
        arguments = _arguments(found, found.last_seen_ms)
        verdict, _ = await self._redis.call(LOAD, self.keys(mobile).of(LOAD), arguments)
        if verdict == b"left":
            raise ApiError("no_such_person")

    async def replace_rules(self, mobile: str, rules: Rules) -> None:
        """Replace all of a person's blocks and their privacy, unless Redis has a newer version. It applies to every
        send, and everything that is shown, after this.

        :raises ApiError: ``unavailable``
        """
        await self._replicated.call(LOAD, self.keys(mobile).of(LOAD), _arguments(rules, None))


def _arguments(rules: Rules, last_seen: int | None) -> list[Arg]:
    seen: Arg = "" if last_seen is None else last_seen
    blocks = [word for block in rules.blocked.items() for word in block]
    return [rules.account_id, secrets.token_hex(8), rules.blocks_version, seen, rules.privacy, rules.since_ms, *blocks]
