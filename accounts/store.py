"""What is asked of Redis here. How it is done is handed in: the rooms of one floor do not know each other."""

from collections.abc import Awaitable
from typing import Any, Protocol


class Store(Protocol):
    """Single keys and values. Every method raises ``ApiError("unavailable")`` while Redis is away."""

    def values(self, names: list[str]) -> Awaitable[list[bytes | None]]:
        """The values of these keys; None where there is none."""
        ...

    def take(self, name: str) -> Awaitable[bytes | None]:
        """The value of a key, which is deleted."""
        ...

    def write(self, command: str, name: str, *words: str | bytes | int) -> Awaitable[Any]:
        """A command of a few bytes, which Redis executes also when its memory is full."""
        ...

    def write_surely(self, command: str, name: str, *words: str | bytes | int) -> Awaitable[Any]:
        """The same for what somebody is told of: done only when Redis' replicas have it, where they are waited for."""
        ...
