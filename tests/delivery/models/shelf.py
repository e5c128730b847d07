"""What is in one person's slot, in plain Python: entries, phantoms, records, and their counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.delivery.models.clocks import Clocks
from tests.delivery.models.lease_book import LeaseBook
from tests.delivery.models.truth import Group, Id
from tests.support.messaging import Row

NEVER = 2**53
Said = tuple[str, str]
"""Sender and messageId."""


class Limits(NamedTuple):
    """What may wait for one person."""

    chats: int
    size: int
    of_one: int
    devices: int
    size_of_one: int


@dataclass
class Entry:
    """A chat, or a receipt: then ``ack`` is its kind and ``names`` are its messageIds."""

    sender: str
    names: tuple[str, ...]
    text: str = ""
    ack: str = ""

    @property
    def size(self) -> int:
        return len(self.text.encode())

    @property
    def said(self) -> Said:
        return self.sender, self.names[0]


@dataclass
class Record:
    """What is remembered of a chat. ``at``: its streamId, ``text``: what was said, ``old``: it left so long ago that it
    may be forgotten."""

    at: Id
    state: str
    text: str
    waits: bool = True
    old: bool = False


class Phantom(NamedTuple):
    """What a blocked sender believes to wait; ``at`` is the place he was told."""

    sender: str
    name: str
    size: int
    at: Id


@dataclass
class Shelf:
    """What is in one person's slot. ``row`` is what PostgreSQL knows; everything else is Redis'."""

    mobile: str
    row: Row
    clocks: Clocks
    limits: Limits
    lease_ms: int
    account: str = ""
    epoch: str = ""
    version: int = -1
    blocked: set[str] = field(default_factory=set)
    devices: dict[str, int] = field(default_factory=dict)
    last: Id = (0, 0)
    exists: bool = False
    entries: dict[Id, Entry] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    phantoms: dict[Id, Phantom] = field(default_factory=dict)
    last_phantom: Id = (0, 0)
    records: dict[Said, Record] = field(default_factory=dict)
    parked: dict[Id, int] = field(default_factory=dict)
    book: LeaseBook = field(init=False)

    def __post_init__(self) -> None:
        self.book = LeaseBook(self.clocks, self.lease_ms)

    def append(self, entry: Entry) -> Id:
        """At the end of the mailbox, which begins with a group for every device."""
        if not self.exists:
            self.exists = True
            self.groups = {device: Group() for device in self.devices or ("primary",)}
        self.last = self._next(self.last)
        self.entries[self.last] = entry
        return self.last

    def _next(self, last: Id) -> Id:
        now = self.clocks.redis_ms
        return (now, 0) if now > last[0] else (last[0], last[1] + 1)

    def haunt(self, sender: str, name: str, size: int, at: Id | None) -> Id:
        """A phantom; its sender was, or is, told the place ``at``, by default the phantom's own."""
        self.last_phantom = self._next(self.last_phantom if self.phantoms else (0, 0))
        self.phantoms[self.last_phantom] = Phantom(sender, name, size, at or self.last_phantom)
        return at or self.last_phantom

    def passed(self, at: Id, but: str = "") -> bool:
        """Every device has it, or every one ``but`` this."""
        others = [group for name, group in self.groups.items() if name != but]
        return all(at <= group.read and at not in group.pending for group in others)

    def remove(self, at: Id, state: str) -> None:
        """It leaves, for whatever cause."""
        entry = self.entries.pop(at)
        for group in self.groups.values():
            group.pending.pop(at, None)
        self.parked.pop(at, None)
        if not entry.ack:
            self.raise_to(entry.said, state)
            self.records[entry.said].waits = False

    def raise_to(self, said: Said, state: str) -> None:
        """The state only rises."""
        order = " spadr"
        record = self.records[said]
        if order.find(state) > order.find(record.state):
            record.state = state

    # ---- what must be in Redis

    def tally(self) -> dict[str, int]:
        chats = [(entry.sender, entry.size) for entry in self.entries.values() if not entry.ack]
        return counted("", chats) | counted("p", [(each.sender, each.size) for each in self.phantoms.values()])

    def lasting(self) -> set[str]:
        """Keys that never expire, by their first words. That of dedupe records may be one, while something waits."""
        parts = {
            "person": self.account,
            "mailbox": self.exists,
            "blockedUser": self.blocked,
            "phantoms": self.phantoms,
            "parked": self.parked,
            "leases": self.book.leases,
            "lastseen": self.book.last_seen,
            "tally": self.tally(),
        }
        return {word for word, there in parts.items() if there}


def counted(prefix: str, texts: Sequence[tuple[str, int]]) -> dict[str, int]:
    """What the tally must say of these (sender, bytes)."""
    if not texts:
        return {}
    each = Counter(f"{prefix}n:{sender}" for sender, _ in texts)
    sizes: Counter[str] = Counter()
    for sender, size in texts:
        sizes[f"{prefix}b:{sender}"] += size
    return {f"{prefix}n": len(texts), f"{prefix}b": sum(size for _, size in texts), **each, **sizes}
