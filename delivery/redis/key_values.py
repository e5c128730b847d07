"""Single keys and values on the connection to Redis, for what has no scripts of its own."""

from collections.abc import Awaitable
from typing import Any, Final

from delivery.redis.client import Arg, RedisClient
from delivery.redis.replication import ScriptRunner
from delivery.scripts import WRITE

MOST: Final = 500
"""Keys in one command: what it does, all others wait for."""


class KeyValues:
    """What the accounts keep in Redis.

    :param durable: runs what somebody is told of; None: the link
    """

    def __init__(self, link: RedisClient, durable: ScriptRunner | None = None) -> None:
        self._link = link
        self._durable: ScriptRunner = durable or link

    async def values(self, names: list[str]) -> list[bytes | None]:
        """The values of these keys; None where there is none."""
        some = [names[start : start + MOST] for start in range(0, len(names), MOST)]
        found = await self._link.pipeline([("MGET", *each) for each in some])
        return [value for values in found for value in values]

    def take(self, name: str) -> Awaitable[bytes | None]:
        """The value of a key, which is deleted."""
        return self._link.command("GETDEL", name)

    def write(self, command: str, name: str, *words: Arg) -> Awaitable[Any]:
        """As :meth:`RedisClient.write`."""
        return self._link.write(command, name, *words)

    def write_surely(self, command: str, name: str, *words: Arg) -> Awaitable[Any]:
        """The same; told only when Redis' replicas have it, where they are waited for."""
        return self._durable.call(WRITE, [name], [command, *words])
