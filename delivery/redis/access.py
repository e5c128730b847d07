"""The one place that knows which connection to Redis serves which purpose (docs/redis.md)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from delivery.redis.client import Arg, RedisClient
from delivery.redis.replication import ReplicatedScripts, ScriptRunner
from delivery.scripts import WRITE
from settings import Settings

BATCH_SIZE: Final = 500
"""Keys in one command: all other commands wait until Redis has done it."""


class RedisAccess:
    """A server's connections to Redis. They connect when first used."""

    def __init__(self, settings: Settings) -> None:
        self.client = RedisClient(settings)
        """For everything but what :attr:`replicated` is for."""
        self._replicated = ReplicatedScripts(settings) if settings.replicas_acked else None
        self.replicated: ScriptRunner = self._replicated or self.client
        """For scripts whose replies somebody relies on; it waits for replicas where the operator wants that."""
        self.key_values = KeyValues(self.client, self.replicated)

    def call_before_writes(self, callback: Callable[[], None]) -> None:
        """Call it right before the commands of a tick leave: what it requests leaves in the same write."""
        self.client.before_flush = self.replicated.before_flush = callback

    async def close(self) -> None:
        """End all connections."""
        if self._replicated is not None:
            await self._replicated.close()
        await self.client.close()


class KeyValues:
    """Single keys and values, for what has no scripts of its own: ``accounts.session_store.KeyValueStore``."""

    def __init__(self, client: RedisClient, replicated: ScriptRunner) -> None:
        self._client = client
        self._replicated = replicated

    async def get(self, names: list[str]) -> list[bytes | None]:
        """The values of these keys; None for a key that does not exist."""
        batches = [names[start : start + BATCH_SIZE] for start in range(0, len(names), BATCH_SIZE)]
        replies = await self._client.pipeline([("MGET", *batch) for batch in batches])
        return [value for values in replies for value in values]

    def pop(self, name: str) -> Awaitable[bytes | None]:
        """The value of a key, which is deleted."""
        return self._client.command("GETDEL", name)

    def write(self, command: str, name: str, *words: Arg) -> Awaitable[Any]:
        """As :meth:`RedisClient.write`."""
        return self._client.write(command, name, *words)

    def write_replicated(self, command: str, name: str, *words: Arg) -> Awaitable[Any]:
        """The same; done only when Redis' replicas have it, where the operator wants that."""
        return self._replicated.call(WRITE, [name], [command, *words])
