"""Who watches, who is watched, and what each of them knows: what :mod:`delivery.watches` keeps."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from delivery.policy import Facts, Side, View, see
from protocol.privacy import OPEN

NEVER: Final = float("inf")


class WatchingConnection(Protocol):
    """What is asked of a connection."""

    @property
    def mobile(self) -> str: ...
    def show_presence(self, views: Sequence[tuple[str, View]]) -> bool: ...


class Watcher:
    """One connection. ``shown``: what it was last shown of each number; None: nothing yet."""

    __slots__ = ("asker", "connection", "lock", "shown")

    def __init__(self, connection: WatchingConnection, asker: "Asker") -> None:
        self.connection = connection
        self.asker = asker
        self.lock = asyncio.Lock()
        self.shown: dict[str, View | None] = {}


class Asker:
    """A person who watches others, on however many connections, and what those others are to them."""

    __slots__ = ("is_reading", "mobile", "privacy", "sides", "watchers")

    def __init__(self, mobile: str) -> None:
        self.mobile = mobile
        self.privacy = OPEN
        self.sides: dict[str, Side] = {}
        self.watchers: list[Watcher] = []
        self.is_reading = False

    @property
    def numbers(self) -> list[str]:
        """Whom they watch."""
        return list({number: None for watcher in self.watchers for number in watcher.shown})


class Watched:
    """A number that is watched. ``facts``: None: not read yet. Times are monotonic seconds."""

    __slots__ = ("ends", "facts", "is_reading", "is_stale", "is_unknown", "last_sign", "mobile", "sides",
                 "watchers")  # fmt: skip

    def __init__(self, mobile: str) -> None:
        self.mobile = mobile
        self.facts: Facts | None = None
        self.sides: dict[str, Side] = {}
        """What each asker is to this person."""
        self.watchers: dict[Watcher, None] = {}
        self.ends = NEVER
        """When the last lease ends that is known of."""
        self.last_sign = 0
        """The sign of life from which that lease counts, in unix ms."""
        self.is_reading = self.is_stale = self.is_unknown = False

    def view(self, asker: Asker) -> View:
        """What this asker may see."""
        if self.facts is None or self.is_unknown:
            return View()
        theirs, mine = asker.sides.get(self.mobile), self.sides.get(asker.mobile)
        if theirs is None or mine is None:
            return View()
        return see(theirs, mine, self.facts)
