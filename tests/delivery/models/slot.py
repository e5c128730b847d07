"""One person's slot in plain Python: what the contract says of it, and nothing of how the scripts do it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from delivery.presence import Holder
from tests.delivery.models.clocks import Clocks
from tests.delivery.models.lease_book import LeaseBook
from tests.delivery.models.truth import Group, Id
from tests.delivery.one_server import Row

NEVER = 2**53
Said = tuple[str, str]
"""Sender and messageId."""


class Limits(NamedTuple):
    """What may wait for one person."""

    chats: int
    size: int
    of_one: int
    devices: int


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
    """What is remembered of a chat. ``at``: its streamId, ``old``: it left so long ago that it may be forgotten."""

    at: Id
    state: str
    waits: bool = True
    old: bool = False


class Phantom(NamedTuple):
    """What a blocked sender believes to wait; ``at`` is the place he was told."""

    sender: str
    name: str
    size: int
    at: Id


@dataclass
class Slot:
    """``row`` is what PostgreSQL knows; everything else is Redis'."""

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

    # ---- what Redis is told of the person

    def lose(self) -> None:
        """Redis forgot everything."""
        fresh = Slot(self.mobile, self.row, self.clocks, self.limits, self.lease_ms)
        vars(self).update(vars(fresh))

    def load(self, account: str, epoch: str, version: int, blocked: Sequence[str], seen: int | None) -> None:
        if self.account not in ("", account):
            self.lose()
        if not self.account:
            self.account, self.epoch = account, epoch
            self.book.last_seen = self.book.last_seen or seen or 0
        if version > self.version:
            self.version, self.blocked = version, set(blocked)

    # ---- deposit

    def deposit(self, sender: str, chats: Sequence[tuple[str, str]]) -> list[Id | None] | None:
        """The place of each chat, None for one that finds the mailbox full; nothing at all if not loaded."""
        if not self.account:
            return None
        answers: list[Id | None] = []
        for name, text in chats:
            record = self.records.get((sender, name))
            if record is None and self._fits(sender, len(text.encode())):
                record = self._store(sender, name, text)
            answers.append(None if record is None else record.at)
        return answers

    def must_ring_for(self, sender: str, chats: Sequence[tuple[str, str]]) -> Id:
        """The newest of these that waits and no device has, or (0, 0)."""
        known = [self.records[sender, name] for name, _ in chats if (sender, name) in self.records]
        return max((each.at for each in known if each.waits and each.state == "s"), default=(0, 0))

    def _fits(self, sender: str, size: int) -> bool:
        waiting = [(entry.sender, entry.size) for entry in self.entries.values() if not entry.ack]
        if sender in self.blocked:
            waiting += [(each.sender, each.size) for each in self.phantoms.values()]
        theirs = sum(each == sender for each, _ in waiting)
        total = sum(each for _, each in waiting) + size
        return len(waiting) < self.limits.chats and total <= self.limits.size and theirs < self.limits.of_one

    def _store(self, sender: str, name: str, text: str) -> Record:
        if sender in self.blocked:
            record = Record(self._haunt(sender, name, len(text.encode()), None), "p")
        else:
            record = Record(self._append(Entry(sender, (name,), text)), "s")
        self.records[sender, name] = record
        return record

    def _haunt(self, sender: str, name: str, size: int, at: Id | None) -> Id:
        self.last_phantom = self._next(self.last_phantom if self.phantoms else (0, 0))
        self.phantoms[self.last_phantom] = Phantom(sender, name, size, at or self.last_phantom)
        return at or self.last_phantom

    def _append(self, entry: Entry) -> Id:
        if not self.exists:
            self.exists = True
            self.groups = {device: Group() for device in self.devices or ("primary",)}
        self.last = self._next(self.last)
        self.entries[self.last] = entry
        return self.last

    def _next(self, last: Id) -> Id:
        now = self.clocks.redis_ms
        return (now, 0) if now > last[0] else (last[0], last[1] + 1)

    def receive_receipt(self, sender: str, kind: str, names: Sequence[str]) -> Id | None:
        return self._append(Entry(sender, tuple(names), ack=kind)) if self.account else None

    # ---- devices and leases

    def claim(self, holder: Holder, account: str, *, again: bool) -> tuple[str, Holder | None]:
        if self.account != account:
            return "unloaded", None
        if again and self.book.held(holder) == "replaced" and self.book.live(holder.device):
            return "replaced", None
        if holder.device not in self.devices and len(self.devices) >= self.limits.devices:
            return "too_many_devices", None
        self.devices[holder.device] = self.clocks.redis_ms
        if self.exists:
            self.groups.setdefault(holder.device, Group())
            if "primary" not in self.devices:
                self.groups.pop("primary", None)
        return "claimed", self.book.take(holder)

    def release(self, holder: Holder, age: int) -> str:
        verdict = self.book.release(holder, age)
        if verdict == "ok" and holder.device in self.devices:
            self.devices[holder.device] = self.clocks.redis_ms
        return verdict

    def forget(self, device: str, unseen_since: int = NEVER) -> str:
        """What only this device had still to settle goes with it; the last one's is kept for the next."""
        if device not in self.devices:
            return "unknown"
        if self.devices[device] > unseen_since:
            return "recent"
        if self.book.live(device):
            return "connected"
        del self.devices[device]
        self.book.drop(device)
        if self.groups.keys() - {device}:
            self.groups.pop(device, None)
            for at in [at for at in self.entries if self._passed(at)]:
                self._remove(at, "d")
        elif self.groups and device != "primary":
            self.groups = {"primary": Group()}
        return "forgotten"

    def tidy(self) -> str:
        if not self.exists:
            return "none"
        if self.entries or self.book.servers() or any(group.pending for group in self.groups.values()):
            return "busy"
        self.exists, self.groups = False, {}
        return "tidied"

    # ---- collect and settle

    def collect(
        self, holder: Holder, mode: str, count: int, cursor: Id, ids: Sequence[Id]
    ) -> tuple[str, Id, int, list[Id]]:
        """Verdict, cursor, how many were read, and the places of those handed out."""
        if self.book.held(holder) != "ok" or not self.book.live(holder.device):
            return ("replaced" if self.book.held(holder) == "replaced" else "gone"), (0, 0), 0, []
        if not self.exists:
            return "ok", (0, 0), 0, []
        group, after = self.groups[holder.device], (0, 0)
        if mode == "pending":
            rest = sorted(at for at in group.pending if at >= cursor)
            found, after = rest[:count], rest[count] if rest[count:] else (0, 0)
        elif mode == "new":
            found = [at for at in self.entries if at > group.read][:count]
            group.read = found[-1] if found else group.read
        else:
            found = [at for at in ids if at in self.entries]
        if mode != "again":
            group.pending |= dict.fromkeys(found, holder.server_id)
        return "ok", after, len(found), self._admitted(found)

    def _admitted(self, found: Sequence[Id]) -> list[Id]:
        """Chats of those who are blocked by now leave: if a device had one its sender was told, else he believes on."""
        admitted = []
        for at in found:
            entry = self.entries[at]
            if entry.ack or entry.sender not in self.blocked:
                admitted.append(at)
            elif self.records[entry.said].state != "s":
                self._remove(at, "")
            else:
                self._haunt(entry.sender, entry.names[0], entry.size, at)
                self._remove(at, "p")
                self.records[entry.said].waits = True
        return admitted

    def settle(self, device: str, ids: Sequence[Id], state: str = "d") -> None:
        for at in ids:
            if device in self.groups:
                self.groups[device].pending.pop(at, None)
            if at not in self.entries:
                continue
            if self._passed(at, but=device):
                self._remove(at, state)
            elif not self.entries[at].ack:
                self._raise(self.entries[at].said, state)

    def remembers(self, sender: str, name: str) -> bool:
        """Whether it must: a chat that waits, or left not long ago."""
        record = self.records.get((sender, name))
        return record is not None and not record.old

    def unread(self, sender: str, names: Sequence[str]) -> list[str]:
        known = {name for name in names if (sender, name) in self.records and sender not in self.blocked}
        return [name for name in names if name in known and self.records[sender, name].state not in "rp"]

    def mark_read(self, device: str, sender: str, names: Sequence[str]) -> list[Id]:
        """The places of those marked, that is of all but unknown ones and phantoms."""
        marked: list[Id] = []
        for name in names if sender not in self.blocked else ():
            record = self.records.get((sender, name))
            if record is not None and record.state != "p":
                record.state = "r"
                self.settle(device, [record.at], "r")
                marked.append(record.at)
        return marked

    def _passed(self, at: Id, but: str = "") -> bool:
        others = [group for name, group in self.groups.items() if name != but]
        return all(at <= group.read and at not in group.pending for group in others)

    def _remove(self, at: Id, state: str) -> None:
        entry = self.entries.pop(at)
        for group in self.groups.values():
            group.pending.pop(at, None)
        self.parked.pop(at, None)
        if not entry.ack:
            self._raise(entry.said, state)
            self.records[entry.said].waits = False

    def _raise(self, said: Said, state: str) -> None:
        order = " spdr"
        record = self.records[said]
        if order.find(state) > order.find(record.state):
            record.state = state

    # ---- chores

    def due(self, before_ms: int) -> list[tuple[Id, Said | None]]:
        """What waited too long, in the order of its times."""
        waiting = [(at, None if entry.ack else entry.said) for at, entry in self.entries.items()]
        haunting = [(each.at, (each.sender, each.name)) for each in self.phantoms.values()]
        return sorted([each for each in [*waiting, *haunting] if each[0] < (before_ms, 0)], key=lambda each: each[0])

    def expire(self, before_ms: int) -> None:
        for at in [at for at in self.entries if at < (before_ms, 0)]:
            self._remove(at, "")

    def expire_phantoms(self, before_ms: int) -> None:
        for key, phantom in list(self.phantoms.items()):
            if phantom.at < (before_ms, 0):
                del self.phantoms[key]
                self.records[phantom.sender, phantom.name].waits = False

    def stuck(self, too_long_ms: int) -> list[str]:
        """Servers to ring. ``too_long_ms`` 0: any pending entry is too old; else none is."""
        servers = []
        for device, group in self.groups.items():
            if self.entries and self.book.live(device):
                server = self.book.leases[device].holder.server_id
                unread = max(self.entries) > group.read
                left = set(group.pending.values()) - {server}
                if unread or left or (group.pending and too_long_ms == 0):
                    servers.append(server)
        return sorted(servers)

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
    return {f"{prefix}n": len(texts), f"{prefix}b": sum(size for _, size in texts), **each}
