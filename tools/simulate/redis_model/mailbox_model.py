"""One person's keys in Redis, in plain Python: one method a script; what they promise, and nothing of how they do it.

No I/O, no pytest, no hypothesis. The machines in tests/delivery/models compare it with a real Redis after every step.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from delivery.presence import Holder
from delivery.results import ClaimMode
from protocol.errors import ApiError
from tools.simulate.redis_model.lease_model import Clocks, LeaseModel
from tools.simulate.redis_model.stream_ids import FIRST, Group, Id

EVER: Final = 2**53
FULL: Final = ApiError("mailbox_full")
REUSED: Final = ApiError("message_id_reused")
ChatKey = tuple[str, str]
"""Sender and messageId."""
_RANKS: Final = " spadr"
"""State letters of a dedupe record, in their order."""
KNOWN_DELIVERED: Final = "dr"
"""States of a chat of which its sender was told that it is delivered."""


class Limits(NamedTuple):
    """What may wait for one person: chats and bytes, of all senders and of one; and how many devices they may have."""

    chats: int
    size: int
    of_one: int
    devices: int
    size_of_one: int


OWN_CHAT: Final = "own chat"
OWN_READ: Final = "own read"


@dataclass
class StoredEntry:
    """A chat; or what has an ``ack_type``: a receipt, or what this person did on another of their devices.

    :param sender: of :data:`OWN_CHAT`, the recipient
    :param message_ids: one of a chat
    :param device: where the person did it
    :param sent_at: of :data:`OWN_CHAT`, in ms
    """

    sender: str
    message_ids: tuple[str, ...]
    text: str = ""
    ack_type: str = ""
    device: str = ""
    sent_at: int = 0

    @property
    def size(self) -> int:
        return len(self.text.encode())

    @property
    def key(self) -> ChatKey:
        """Of a chat."""
        return self.sender, self.message_ids[0]


@dataclass
class Record:
    """The dedupe record of a chat.

    :param at: its streamId
    :param waits: whether the chat, or its shadow entry, waits
    :param old: the chat left so long ago that the record may be forgotten
    """

    at: Id
    state: str
    text: str
    waits: bool = True
    old: bool = False


class ShadowEntry(NamedTuple):
    """What a blocked sender believes to wait; ``at`` is the streamId they were told."""

    sender: str
    message_id: str
    size: int
    at: Id


@dataclass
class MailboxModel:
    """One person's mailbox, leases, blocks and dedupe records. Of a chat it keeps what the contract needs, for ever."""

    mobile: str
    clocks: Clocks
    limits: Limits
    lease_ms: int
    account: str = ""
    epoch: str = ""
    blocks_version: int = -1
    blocked: dict[str, int] = field(default_factory=dict)
    """Who, and when their blocker was last seen at that moment, in ms; 0: never."""
    devices: dict[str, int] = field(default_factory=dict)
    last_id: Id = FIRST
    exists: bool = False
    entries: dict[Id, StoredEntry] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    shadows: dict[Id, ShadowEntry] = field(default_factory=dict)
    last_shadow_id: Id = FIRST
    records: dict[ChatKey, Record] = field(default_factory=dict)
    own_records: dict[ChatKey, Record] = field(default_factory=dict)
    """The same of copies of what this person sent, by recipient and messageId."""
    dead_letters: dict[Id, int] = field(default_factory=dict)
    leases: LeaseModel = field(init=False)

    def __post_init__(self) -> None:
        self.leases = LeaseModel(self.clocks, self.lease_ms)

    # ---- the user

    def clear(self) -> None:
        """Redis lost everything."""
        vars(self).update(vars(MailboxModel(self.mobile, self.clocks, self.limits, self.lease_ms)))

    def load(self, account: str, epoch: str, version: int, blocked: Mapping[str, int], seen: int | None) -> None:
        """:param blocked: who, and since when, in ms"""
        if self.account not in ("", account):
            self.clear()
        is_new = not self.account
        if is_new:
            self.account, self.epoch = account, epoch
            self.leases.last_seen = self.leases.last_seen or seen or 0
        if version > self.blocks_version:
            self.blocks_version = version
            now = self.clocks.redis_ms if self.leases.live_servers() else self.leases.seen
            times = {who: min(since, self.leases.seen) if is_new else now for who, since in blocked.items()}
            self.blocked = {who: self.blocked.get(who, times[who]) for who in blocked}

    def read_presence(self, asker: str) -> str | int | None:
        """As told to an asker."""
        if asker in self.blocked:
            return self.blocked[asker] or None
        return self.leases.read_presence()

    def claim(self, holder: Holder, account: str, age: int, mode: ClaimMode) -> tuple[str, Holder | None]:
        """The verdict, and the holder that is replaced."""
        if self.account != account:
            return "not_cached", None
        if mode != "proven" and self.leases.check_holder(holder) == "replaced" and self.leases.is_live(holder.device):
            return ("replaced" if mode == "again" else "unproven"), None
        if mode == "again" and age >= self.lease_ms:
            return "silent", None
        if holder.device not in self.devices and len(self.devices) >= self.limits.devices:
            return "too_many_devices", None
        self.devices[holder.device] = self.clocks.redis_ms
        if self.exists:
            self.groups.setdefault(holder.device, Group())
            if "primary" not in self.devices:
                self.groups.pop("primary", None)
        return "claimed", self.leases.take(holder, age)

    def release(self, holder: Holder, age: int) -> str:
        verdict = self.leases.release(holder, age)
        if verdict == "ok" and holder.device in self.devices:
            self.devices[holder.device] = self.clocks.redis_ms
        return verdict

    def forget_device(self, device: str, unseen_since: int = EVER) -> str:
        """What only this device had still to settle goes with it; what the last one had is kept for the next."""
        if device not in self.devices:
            return "unknown"
        if self.devices[device] > unseen_since:
            return "recent"
        if self.leases.is_live(device):
            return "connected"
        del self.devices[device]
        self.leases.forget(device)
        if self.groups.keys() - {device}:
            self.groups.pop(device, None)
            for at in [at for at in self.entries if self._is_settled(at)]:
                self._remove(at, "d")
        elif self.groups and device != "primary":
            self.groups = {"primary": Group()}
        return "forgotten"

    # ---- storing

    def store_chats(self, sender: str, chats: Sequence[tuple[str, str]]) -> list[Id | ApiError] | None:
        """The streamId of each (messageId, text), or why it has none; None if the user is not cached."""
        if not self.account:
            return None
        answers: list[Id | ApiError] = []
        for message_id, text in chats:
            record = self.records.get((sender, message_id))
            if record is None and self._has_room(sender, len(text.encode())):
                record = self._store(sender, message_id, text)
            if record is None:
                answers.append(FULL)
            else:
                answers.append(record.at if record.text == text else REUSED)
        return answers

    def newest_to_notify(self, sender: str, chats: Sequence[tuple[str, str]]) -> Id:
        """The newest of these chats that waits and no device has, or (0, 0): servers must be notified of it."""
        known = [(self.records[sender, name], text) for name, text in chats if (sender, name) in self.records]
        return max(
            (record.at for record, text in known if record.waits and record.state == "s" and record.text == text),
            default=FIRST,
        )

    def store_receipt(self, sender: str, ack_type: str, message_ids: Sequence[str]) -> Id | None:
        """Its streamId; None if the user is not cached."""
        return self._append(StoredEntry(sender, tuple(message_ids), ack_type=ack_type)) if self.account else None

    def store_own(self, device: str, to: str, chats: Sequence[tuple[str, str, int]]) -> Id | bool | None:
        """The newest copy, or (0, 0): all were there. False: there is no other device; None: the user is not cached."""
        if not self.account:
            return None
        if not self.devices.keys() - {device}:
            return False
        newest, before = FIRST, max(self.entries, default=FIRST)
        for message_id, text, sent_at in chats:
            if (to, message_id) not in self.own_records:
                newest = self._append(StoredEntry(to, (message_id,), text, OWN_CHAT, device, sent_at))
                self.own_records[to, message_id] = Record(newest, "s", text)
        if newest != FIRST:
            self._pass_by(device, before, newest)
            self._drop_oldest_own(newest)
        return newest

    def _pass_by(self, device: str, before: Id, newest: Id) -> None:
        """What a device did itself it need not read, if it had read all before that."""
        group = self.groups.get(device)
        if group is not None and group.read >= before:
            group.read = newest

    def _drop_oldest_own(self, newest: Id) -> None:
        """When more than may wait do, a tenth more leave."""
        own = [(at, entry.size) for at, entry in self.entries.items() if entry.ack_type == OWN_CHAT]
        too_many: float = len(own) - self.limits.chats
        too_much: float = sum(size for _, size in own) - self.limits.size
        if too_many <= 0 and too_much <= 0:
            return
        too_many += self.limits.chats * 0.1 if too_many > 0 else 0
        too_much += self.limits.size * 0.1 if too_much > 0 else 0
        dropped = size = 0
        for at, each in own:
            if at == newest or (dropped >= too_many and size >= too_much):
                return
            dropped, size = dropped + 1, size + each
            self._remove(at, "")

    # ---- fetching and settling

    def fetch(
        self, holder: Holder, mode: str, count: int, cursor: Id, ids: Sequence[Id], settled: Sequence[Id] = ()
    ) -> tuple[str, Id, int, list[tuple[Id, StoredEntry]]]:
        """Verdict, next cursor, how many were read, and the entries that are handed out."""
        verdict = self.leases.check_holder(holder)
        if verdict == "ok" and not self.leases.is_live(holder.device):
            verdict = "gone"
        if verdict != "ok":
            return verdict, FIRST, 0, []
        self.settle(holder.device, settled)
        if not self.exists:
            return "ok", FIRST, 0, []
        group, following = self.groups.setdefault(holder.device, Group()), FIRST
        if mode == "pending":
            rest = sorted(at for at in group.pending if at >= cursor)
            found, following = rest[:count], rest[count] if rest[count:] else FIRST
        elif mode == "new":
            found = [at for at in self.entries if at > group.read][:count]
            group.read = found[-1] if found else group.read
        else:
            found = [at for at in ids if at in self.entries]
        if mode != "again":
            group.pending |= dict.fromkeys(found, holder.server_id)
        return "ok", following, len(found), self._without_blocked(found)

    def note_delivered(self, sender: str, message_ids: Sequence[str], state: str = "a") -> list[str]:
        """A device has these chats, whether they wait as entries or as shadow entries; returns those whose sender knew
        as much already."""
        known = []
        for message_id in message_ids:
            if (sender, message_id) in self.records:
                self._advance_state((sender, message_id), state)
                if self.records[sender, message_id].state in KNOWN_DELIVERED:
                    known.append(message_id)
        return known

    def settle(self, device: str, ids: Sequence[Id], state: str = "d") -> None:
        for at in ids:
            if device in self.groups:
                self.groups[device].pending.pop(at, None)
            if at not in self.entries:
                continue
            if self._is_settled(at, but=device):
                self._remove(at, state)
            elif not self.entries[at].ack_type:
                self._advance_state(self.entries[at].key, state)

    def must_remember(self, sender: str, message_id: str) -> bool:
        """Whether the chat waits, or left not long ago."""
        record = self.records.get((sender, message_id))
        return record is not None and not record.old

    def find_unread(self, sender: str, message_ids: Sequence[str]) -> list[str]:
        known = {each for each in message_ids if (sender, each) in self.records and sender not in self.blocked}
        return [each for each in message_ids if each in known and self.records[sender, each].state not in "rp"]

    def mark_read(self, device: str, sender: str, message_ids: Sequence[str]) -> tuple[list[Id], Id]:
        """The streamIds of the chats that are read now: of all but unknown ones and shadow entries. And that of what
        the other devices are told of it, or (0, 0)."""
        marked: list[Id] = []
        news: list[str] = []
        for message_id in message_ids if sender not in self.blocked else ():
            record = self.records.get((sender, message_id))
            if record is not None and record.state != "p":
                if record.state != "r":
                    news.append(message_id)
                record.state = "r"
                self.settle(device, [record.at], "r")
                marked.append(record.at)
        if not news or not self.devices.keys() - {device}:
            return marked, FIRST
        before = max(self.entries, default=FIRST)
        newest = self._append(StoredEntry(sender, tuple(news), "", OWN_READ, device))
        self._pass_by(device, before, newest)
        return marked, newest

    # ---- background jobs

    def due(self, before_ms: int) -> list[tuple[Id, ChatKey | None]]:
        """What waited too long, oldest first; a receipt has no key."""
        waiting = [(at, None if entry.ack_type else entry.key) for at, entry in self.entries.items()]
        shadowed = [(shadow.at, (shadow.sender, shadow.message_id)) for shadow in self.shadows.values()]
        return sorted([each for each in [*waiting, *shadowed] if each[0] < (before_ms, 0)], key=lambda each: each[0])

    def is_in_flight(self, at: Id) -> bool:
        """Whether somebody who is connected may acknowledge it in this moment."""
        return any(at in group.pending and self.leases.is_live(device) for device, group in self.groups.items())

    def expire(self, ids: Sequence[Id], latest: Id) -> None:
        """What is older than ``latest`` leaves also in flight."""
        for at in ids:
            if at in self.entries and self.entries[at].ack_type:
                self._remove(at, "")
            elif at in self.entries and (at < latest or not self.is_in_flight(at)):
                self._make_shadow(at)

    def expire_shadows(self, before_ms: int) -> None:
        for shadow_id, shadow in list(self.shadows.items()):
            if shadow.at < (before_ms, 0):
                del self.shadows[shadow_id]
                self.records[shadow.sender, shadow.message_id].waits = False

    def find_stuck(self, too_long_ms: int) -> list[str]:
        """Servers to notify. ``too_long_ms`` 0: any pending entry is too old; else none is."""
        servers = []
        for device, group in self.groups.items():
            if self.entries and self.leases.is_live(device):
                server_id = self.leases.by_device[device].holder.server_id
                is_unread = max(self.entries) > group.read
                of_others = set(group.pending.values()) - {server_id}
                if is_unread or of_others or (group.pending and too_long_ms == 0):
                    servers.append(server_id)
        return sorted(servers)

    def delete_empty(self) -> str:
        if not self.exists:
            return "none"
        if self.entries or self.leases.live_servers() or any(group.pending for group in self.groups.values()):
            return "busy"
        self.exists, self.groups = False, {}
        return "deleted"

    # ---- what must be in Redis

    def tally(self) -> dict[str, int]:
        chats = [(entry.sender, entry.size) for entry in self.entries.values() if not entry.ack_type]
        shadows = [(shadow.sender, shadow.size) for shadow in self.shadows.values()]
        own = [entry.size for entry in self.entries.values() if entry.ack_type == OWN_CHAT]
        return count("", chats) | count("p", shadows) | count_own(own)

    def lasting(self) -> set[str]:
        """First words of the keys that never expire. That of dedupe records may be one, while something waits, and that
        of the states of entries."""
        parts = {
            "person": self.account,
            "mailbox": self.exists,
            "blockedUser": self.blocked,
            "blockedAt": self.blocked,
            "phantoms": self.shadows,
            "leases": self.leases.by_device,
            "lastseen": self.leases.last_seen,
            "tally": self.tally(),
        }
        return {word for word, there in parts.items() if there}

    # ---- parts of these

    def _append(self, entry: StoredEntry) -> Id:
        """At the end of the mailbox, which begins with a group for each device."""
        if not self.exists:
            self.exists = True
            self.groups = {device: Group() for device in self.devices or ("primary",)}
        self.last_id = self._next_id(self.last_id)
        self.entries[self.last_id] = entry
        return self.last_id

    def _next_id(self, last: Id) -> Id:
        now = self.clocks.redis_ms
        return (now, 0) if now > last[0] else (last[0], last[1] + 1)

    def _has_room(self, sender: str, size: int) -> bool:
        waiting = [(entry.sender, entry.size) for entry in self.entries.values() if not entry.ack_type]
        if sender in self.blocked:
            waiting += [(shadow.sender, shadow.size) for shadow in self.shadows.values()]
        of_sender = [each for who, each in waiting if who == sender]
        in_all = len(waiting) < self.limits.chats and sum(each for _, each in waiting) + size <= self.limits.size
        return in_all and len(of_sender) < self.limits.of_one and sum(of_sender) + size <= self.limits.size_of_one

    def _store(self, sender: str, message_id: str, text: str) -> Record:
        if sender in self.blocked:
            record = Record(self._add_shadow(sender, message_id, len(text.encode()), None), "p", text)
        else:
            record = Record(self._append(StoredEntry(sender, (message_id,), text)), "s", text)
        self.records[sender, message_id] = record
        return record

    def _add_shadow(self, sender: str, message_id: str, size: int, at: Id | None) -> Id:
        """Its sender was, or is, told the streamId ``at``, by default the shadow entry's own."""
        self.last_shadow_id = self._next_id(self.last_shadow_id if self.shadows else FIRST)
        self.shadows[self.last_shadow_id] = ShadowEntry(sender, message_id, size, at or self.last_shadow_id)
        return at or self.last_shadow_id

    def _make_shadow(self, at: Id) -> None:
        """The chat leaves; if its sender was surely told what became of it, no shadow entry is left."""
        entry = self.entries[at]
        was_told = self.records[entry.key].state in KNOWN_DELIVERED
        self._remove(at, "" if was_told else "p")
        if not was_told:
            self._add_shadow(entry.sender, entry.message_ids[0], entry.size, at)
            self.records[entry.key].waits = True

    def _without_blocked(self, found: Sequence[Id]) -> list[tuple[Id, StoredEntry]]:
        """Chats of senders who are blocked by now become shadow entries."""
        handed_out = []
        for at in found:
            entry = self.entries[at]
            if entry.ack_type or entry.sender not in self.blocked:
                handed_out.append((at, entry))
            else:
                self._make_shadow(at)
        return handed_out

    def _is_settled(self, at: Id, but: str = "") -> bool:
        """By every device, or by every one ``but`` this."""
        others = [group for name, group in self.groups.items() if name != but]
        return all(at <= group.read and at not in group.pending for group in others)

    def _remove(self, at: Id, state: str) -> None:
        """It leaves, for any cause."""
        entry = self.entries.pop(at)
        for group in self.groups.values():
            group.pending.pop(at, None)
        self.dead_letters.pop(at, None)
        if not entry.ack_type:
            self._advance_state(entry.key, state)
            self.records[entry.key].waits = False
        elif entry.ack_type == OWN_CHAT:
            self.own_records[entry.key].waits = False

    def _advance_state(self, key: ChatKey, state: str) -> None:
        """The state never goes back."""
        record = self.records[key]
        if _RANKS.find(state) > _RANKS.find(record.state):
            record.state = state


def count(prefix: str, chats: Sequence[tuple[str, int]]) -> dict[str, int]:
    """What the tally must say of these (sender, bytes)."""
    if not chats:
        return {}
    numbers = Counter(f"{prefix}n:{sender}" for sender, _ in chats)
    sizes: Counter[str] = Counter()
    for sender, size in chats:
        sizes[f"{prefix}b:{sender}"] += size
    return {f"{prefix}n": len(chats), f"{prefix}b": sum(size for _, size in chats), **numbers, **sizes}


def count_own(sizes: Sequence[int]) -> dict[str, int]:
    """The same of copies of what a person sent, of so many bytes each."""
    return {"on": len(sizes), "ob": sum(sizes)} if sizes else {}
