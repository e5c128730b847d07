"""One person's slot in plain Python: what the contract says of it, and nothing of how the scripts do it."""

from collections.abc import Sequence

from delivery.mailbox import FULL, REUSED
from delivery.presence import Holder
from delivery.results import ClaimMode
from protocol.errors import ApiError
from tests.delivery.models.shelf import NEVER, Entry, Record, Said, Shelf
from tests.delivery.models.truth import Group, Id


class Slot(Shelf):
    """What happens to it."""

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

    def deposit(self, sender: str, chats: Sequence[tuple[str, str]]) -> list[Id | ApiError] | None:
        """The place of each chat, or why it has none; nothing at all if not loaded."""
        if not self.account:
            return None
        answers: list[Id | ApiError] = []
        for name, text in chats:
            record = self.records.get((sender, name))
            if record is None and self._fits(sender, len(text.encode())):
                record = self._store(sender, name, text)
            if record is None:
                answers.append(FULL)
            else:
                answers.append(record.at if record.text == text else REUSED)
        return answers

    def must_ring_for(self, sender: str, chats: Sequence[tuple[str, str]]) -> Id:
        """The newest of these that waits and no device has, or (0, 0)."""
        known = [(self.records[sender, name], text) for name, text in chats if (sender, name) in self.records]
        return max(
            (each.at for each, text in known if each.waits and each.state == "s" and each.text == text),
            default=(0, 0),
        )

    def _fits(self, sender: str, size: int) -> bool:
        waiting = [(entry.sender, entry.size) for entry in self.entries.values() if not entry.ack]
        if sender in self.blocked:
            waiting += [(each.sender, each.size) for each in self.phantoms.values()]
        theirs = sum(each == sender for each, _ in waiting)
        total = sum(each for _, each in waiting) + size
        size_of_theirs = sum(each for who, each in waiting if who == sender) + size
        some_room = len(waiting) < self.limits.chats and total <= self.limits.size
        return some_room and theirs < self.limits.of_one and size_of_theirs <= self.limits.size_of_one

    def _store(self, sender: str, name: str, text: str) -> Record:
        if sender in self.blocked:
            record = Record(self.haunt(sender, name, len(text.encode()), None), "p", text)
        else:
            record = Record(self.append(Entry(sender, (name,), text)), "s", text)
        self.records[sender, name] = record
        return record

    def receive_receipt(self, sender: str, kind: str, names: Sequence[str]) -> Id | None:
        return self.append(Entry(sender, tuple(names), ack=kind)) if self.account else None

    # ---- devices and leases

    def claim(self, holder: Holder, account: str, age: int, mode: ClaimMode) -> tuple[str, Holder | None]:
        if self.account != account:
            return "not_cached", None
        if mode != "proven" and self.book.held(holder) == "replaced" and self.book.live(holder.device):
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
        return "claimed", self.book.take(holder, age)

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
            for at in [at for at in self.entries if self.passed(at)]:
                self.remove(at, "d")
        elif self.groups and device != "primary":
            self.groups = {"primary": Group()}
        return "forgotten"

    def tidy(self) -> str:
        if not self.exists:
            return "none"
        if self.entries or self.book.servers() or any(group.pending for group in self.groups.values()):
            return "busy"
        self.exists, self.groups = False, {}
        return "deleted"

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
            else:
                self._become_phantom(at)
        return admitted

    def _become_phantom(self, at: Id) -> None:
        """The entry leaves; of what its sender was surely told nothing is left."""
        entry = self.entries[at]
        told = self.records[entry.said].state in "dr"
        self.remove(at, "" if told else "p")
        if not told:
            self.haunt(entry.sender, entry.names[0], entry.size, at)
            self.records[entry.said].waits = True

    def acked(self, sender: str, names: Sequence[str]) -> None:
        for name in names:
            if (sender, name) in self.records:
                self.raise_to((sender, name), "a")

    def settle(self, device: str, ids: Sequence[Id], state: str = "d") -> None:
        for at in ids:
            if device in self.groups:
                self.groups[device].pending.pop(at, None)
            if at not in self.entries:
                continue
            if self.passed(at, but=device):
                self.remove(at, state)
            elif not self.entries[at].ack:
                self.raise_to(self.entries[at].said, state)

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

    # ---- chores

    def due(self, before_ms: int) -> list[tuple[Id, Said | None]]:
        """What waited too long, in the order of its times."""
        waiting = [(at, None if entry.ack else entry.said) for at, entry in self.entries.items()]
        haunting = [(each.at, (each.sender, each.name)) for each in self.phantoms.values()]
        return sorted([each for each in [*waiting, *haunting] if each[0] < (before_ms, 0)], key=lambda each: each[0])

    def in_flight(self, at: Id) -> bool:
        """Somebody who is connected may ack it in this moment."""
        return any(at in group.pending and self.book.live(device) for device, group in self.groups.items())

    def expire(self, ids: Sequence[Id]) -> None:
        for at in ids:
            if at in self.entries and self.entries[at].ack:
                self.remove(at, "")
            elif at in self.entries and not self.in_flight(at):
                self._become_phantom(at)

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
