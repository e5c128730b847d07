"""People send, collect, acknowledge, block and leave in any order, while replies are lost and clocks jump."""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

from delivery.mailbox import Deposited, Mode
from delivery.presence import Holder
from protocol.entries import Chat, Entry, Receipt
from tests.delivery.models.clocks import Clocks
from tests.delivery.models.rough_link import NONE, Breakage, Fault, Ran
from tests.delivery.models.rough_machine import FAULTS, HOUR_MS, PICK, RoughMachine, deed
from tests.delivery.models.slot import Slot, counted
from tests.delivery.models.truth import Id, Truth, named, place
from tests.delivery.one_server import ASHA, EVE, RAVI

PAIRS = [(ASHA, RAVI), (EVE, RAVI), (ASHA, RAVI), (RAVI, ASHA), (EVE, ASHA)]
"""Who says something to whom."""
TO = [RAVI, RAVI, ASHA]
COUNT = range(1, 4)
TEXTS = ["x", "hello", "ü" * 6]
DEVICES = ["primary", "tablet", "primary", "tablet", "desk", "watch", "car", "fridge"]
SETS = [["primary"], ["primary", "tablet"], ["tablet", "desk", "car"], ["primary", "tablet", "desk", "watch", "car"]]
WHEN = ["gone", "gone", "at any time", "logged out"]
SERVERS = ["s1", "s2"]


class MailboxMachine(RoughMachine):
    """Mailboxes, with all that is around them."""

    knobs: ClassVar[dict[str, Any]] = {"mailbox_limit": 5, "mailbox_bytes": 40, "mailbox_per_sender": 4}

    def __init__(self, url: str, clocks: Clocks, breakage: Breakage | None = None) -> None:
        super().__init__(url, clocks, breakage)
        self.flying: dict[Holder, dict[str, Entry]] = {}
        self.newest: dict[Holder, Id] = {}
        self.cursors: dict[Holder, str] = {}
        self.before_ms = 0
        self.names = 0
        self.stored: dict[tuple[str, Id], tuple[str, str]] = {}
        """(addressee, place) -> (sender, messageId) of every chat that got an answer."""
        self.acked: set[tuple[str, Id]] = set()
        self.expired: set[tuple[str, str, str]] = set()
        """(sender, addressee, messageId) of whom was told that his chat expired."""
        self.standing: dict[str, set[str]] = {mobile: set() for mobile in self.rows}
        """Blocks that were answered and not taken back."""

    def forgotten(self, mobile: str) -> None:
        self.stored = {key: said for key, said in self.stored.items() if key[0] != mobile}
        self.acked = {key for key in self.acked if key[0] != mobile}
        self.expired = {told for told in self.expired if told[1] != mobile}
        self.newest = {holder: at for holder, at in self.newest.items() if holder.mobile != mobile}

    def aside(self, ran: Ran) -> None:
        slot = self.slots[self.owner(ran)]
        match ran.name:
            case "receipt":
                self.receipt(slot, ran)
            case "expire":
                slot.expire(self.before_ms)
            case "expire_phantoms":
                slot.expire_phantoms(self.before_ms)
            case "tidy":
                assert ran.reply == [slot.tidy().encode()]
            case _:
                super().aside(ran)

    def receipt(self, slot: Slot, ran: Ran) -> Id | None:
        sender, kind, names = (str(arg) for arg in ran.args[:3])
        at = slot.receive_receipt(sender, kind, names.split(" "))
        if at is not None:
            assert ran.reply[:2] == [b"stored", named(at).encode()]
            if kind == "expired":
                self.expired |= {(slot.mobile, sender, name) for name in names.split(" ")}
        return at

    # ---- sending

    def settle_in(self, dice: Random) -> None:
        for device in dice.choice(SETS):
            self.connects(RAVI, device, "s1", NONE)
        self.connects(ASHA, "primary", "s2", NONE)

    @deed(8, pair=PAIRS, count=COUNT, text=TEXTS, fault=FAULTS)
    def send(self, pair: tuple[str, str], count: int, text: str, fault: Fault) -> None:
        self.names += count
        self.deposit(pair, [f"m{self.names - n}" for n in range(count)], text, fault)

    @deed(2, pair=PAIRS, number=PICK, count=COUNT, text=TEXTS, fault=FAULTS)
    def send_again(self, pair: tuple[str, str], number: int, count: int, text: str, fault: Fault) -> None:
        """What was answered long ago, and what is new, and twice the same."""
        names = self.known(pair[1], pair[0], number, count)
        self.names += 1
        self.deposit(pair, [*names, f"m{self.names}", *names[:1]], text, fault)

    def known(self, to: str, sender: str, number: int, count: int) -> list[str]:
        """Some messageIds that this sender used, not long ago."""
        names = [name for who, name in self.slots[to].records if who == sender]
        back = number % 4
        return names[-count - back : -back or None]

    def deposit(self, pair: tuple[str, str], names: list[str], text: str, fault: Fault) -> None:
        sender, to = pair
        slot, chats = self.slots[to], [(name, text) for name in names]

        def model(ran: Ran) -> list[Id | None] | None:
            for name, answer in zip(names, ran.reply[3], strict=False):
                record = slot.records.get((sender, name))
                if record is not None and record.old and answer.decode() != named(record.at):
                    del slot.records[sender, name]
            return slot.deposit(sender, chats)

        deposited, places = self.perform("send", lambda: self.office.mailbox.deposit(to, sender, chats), model, fault)
        assert deposited.stream_ids == [at and named(at) for at in places]
        self.check_rings(slot, deposited, slot.must_ring_for(sender, chats))
        self.stored |= {(to, at): (sender, name) for at, name in zip(places, names, strict=True) if at}

    @staticmethod
    def check_rings(slot: Slot, deposited: Deposited, must: Id) -> None:
        if must > (0, 0):
            assert place(deposited.newest) >= must
            assert sorted(deposited.servers) == slot.book.servers()
        if deposited.newest:
            assert deposited.newest in deposited.stream_ids

    # ---- connections

    @deed(4, mobile=TO, device=DEVICES, server=SERVERS, fault=FAULTS)
    def connects(self, mobile: str, device: str, server: str, fault: Fault) -> None:
        holder = self.connect(mobile, device, server, fault)
        self.flying[holder], self.newest[holder], self.cursors[holder] = {}, (0, 0), "0-0"

    @deed(10, lambda self: self.holders, number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_new(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick(number), "new", count, fault)

    @deed(5, lambda self: self.holders, number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_pending(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick(number), "pending", count, fault)

    @deed(2, lambda self: any(self.flying.values()), number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_again(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick_flying(number), "again", count, fault)

    def collect(self, holder: Holder, mode: Mode, count: int, fault: Fault) -> None:
        slot, flying = self.slots[holder.mobile], self.flying[holder]
        cursor, ids = self.cursors[holder], list(flying)[:count] if mode == "again" else []
        handed: dict[Id, Entry] = {}

        def model(_: Ran) -> tuple[str, Id, int, list[Entry]]:
            before = self.entries(slot)
            verdict, after, read, places = slot.collect(holder, mode, count, place(cursor), [*map(place, ids)])
            handed.update((at, before[at]) for at in places)
            return verdict, after, read, [before[at] for at in places]

        (verdict, after, read, entries), modelled = self.perform(
            "collect", lambda: self.office.collect(holder, mode, count, cursor, ids), model, fault
        )
        assert (verdict, place(after), read, entries) == modelled
        assert not self.standing[holder.mobile] & {entry.sender for entry in entries if isinstance(entry, Chat)}
        self.check_order(holder, mode, [entry.stream_id for entry in entries])
        flying.update((entry.stream_id, entry) for entry in entries)
        if mode == "pending":
            self.cursors[holder] = after

    @staticmethod
    def entries(slot: Slot) -> dict[Id, Entry]:
        """As a client would get them."""
        return {
            at: Receipt(named(at), entry.sender, entry.ack, list(entry.names))
            if entry.ack
            else Chat(named(at), entry.sender, entry.names[0], entry.text)
            for at, entry in slot.entries.items()
        }

    def check_order(self, holder: Holder, mode: Mode, ids: Sequence[str]) -> None:
        places = [place(each) for each in ids]
        assert mode == "again" or places == sorted(set(places))
        if mode == "new" and places:
            assert places[0] > self.newest.get(holder, (0, 0))
            self.newest[holder] = places[-1]

    @deed(
        8,
        lambda self: any(self.flying.values()),
        number=PICK,
        which=range(1, 16),
        crash=[True, False],
        fault=FAULTS,
        second=FAULTS,
    )
    def ack(self, number: int, which: int, crash: bool, fault: Fault, second: Fault) -> None:
        """Receipts first. After a crash in between the client acks once more."""
        holder = self.pick_flying(number)
        flying = self.flying[holder]
        entries = [entry for n, entry in enumerate(flying.values()) if which >> n & 1] or list(flying.values())
        for sender in sorted({entry.sender for entry in entries if isinstance(entry, Chat)}):
            self.tell(
                holder, sender, [e.message_id for e in entries if isinstance(e, Chat) and e.sender == sender], fault
            )
        if not crash:
            self.acked |= {(holder.mobile, place(entry.stream_id)) for entry in entries}
            for entry in entries:
                del flying[entry.stream_id]
            self.settle(holder, entries, second)

    def settle(self, holder: Holder, entries: Sequence[Entry], fault: Fault) -> None:
        """What was acked is still remembered."""
        slot, ids = self.slots[holder.mobile], [place(entry.stream_id) for entry in entries]
        self.perform(
            "settle", lambda: self.office.settle(holder, entries), lambda _: slot.settle(holder.device, ids), fault
        )
        for entry in entries:
            if isinstance(entry, Chat) and slot.remembers(entry.sender, entry.message_id):
                self.check_unread(slot, entry.sender, [entry.message_id])

    def pick_flying(self, number: int) -> Holder:
        """One with entries in flight, also if others hold its device by now."""
        holders = [holder for holder in self.holders if self.flying.get(holder)]
        return holders[-1 - number % len(holders)]

    def tell(self, holder: Holder, sender: str, names: list[str], fault: Fault) -> None:
        slot = self.slots[sender]
        deposit, at = self.perform(
            "receipt",
            lambda: self.office.mailbox.deposit_receipt(sender, holder.mobile, "delivered", names),
            lambda ran: self.receipt(slot, ran),
            fault,
        )
        assert deposit is not None
        assert deposit.stream_id == named(at)
        assert sorted(deposit.servers) == slot.book.servers()

    @deed(
        3,
        lambda self: self.holders,
        number=PICK,
        sender=[ASHA, EVE],
        back=PICK,
        count=COUNT,
        fault=FAULTS,
    )
    def read(self, number: int, sender: str, back: int, count: int, fault: Fault) -> None:
        holder = self.pick(number)
        slot = self.slots[holder.mobile]
        names = self.known(holder.mobile, sender, back, count)
        known = [slot.records.get((sender, name)) for name in names]
        names = [*(name for name in names if slot.remembers(sender, name)), "never sent"]
        self.check_unread(slot, sender, names)
        self.acked |= {(holder.mobile, record.at) for record in known if record is not None}
        ids, places = self.perform(
            "mark_read",
            lambda: self.office.mailbox.mark_read(holder.mobile, holder.device, sender, names),
            lambda _: slot.mark_read(holder.device, sender, names),
            fault,
        )
        assert ids == [named(at) for at in places]
        self.check_unread(slot, sender, names)

    def check_unread(self, slot: Slot, sender: str, names: list[str]) -> None:
        """Which are known, and not read yet."""
        unread, modelled = self.perform(
            "unread",
            lambda: self.office.mailbox.unread(slot.mobile, sender, names),
            lambda _: slot.unread(sender, names),
        )
        assert unread == modelled

    # ---- blocks

    @deed(2, blocker=TO, other=[ASHA, EVE], told=[True, True, False], fault=FAULTS)
    def blocks_or_unblocks(self, blocker: str, other: str, told: bool, fault: Fault) -> None:
        """``told``: the server lives to tell Redis after PostgreSQL."""
        row = self.rows[blocker]
        row.blocked = sorted({*row.blocked} ^ {other})
        row.blocks_version += 1
        if other not in row.blocked:
            self.standing[blocker].discard(other)
        if told:
            self.replace_blocks(blocker, row.blocks_version, row.blocked, fault)
            self.standing[blocker] = {*row.blocked}

    @deed(2, lambda self: self.rows[RAVI].blocks_version, back=range(0, 3), fault=FAULTS)
    def old_blocks_come_late(self, back: int, fault: Fault) -> None:
        version = self.rows[RAVI].blocks_version - back
        if version <= self.slots[RAVI].version or not back:
            blocked = self.rows[RAVI].blocked if not back else [EVE]
            self.replace_blocks(RAVI, version, blocked, fault)

    def replace_blocks(self, mobile: str, version: int, blocked: list[str], fault: Fault) -> None:
        account = self.rows[mobile].account_id

        async def told() -> str:
            await self.office.people.replace_blocks(mobile, account, version, blocked)
            return "told"

        self.perform("", told, lambda _: None, fault)

    # ---- devices and chores

    @deed(4, mobile=TO, number=PICK, when=WHEN, ago=[None, None, -1, 0], fault=FAULTS)
    def forget(self, mobile: str, number: int, when: str, ago: int | None, fault: Fault) -> None:
        """``logged out`` is known to PostgreSQL alone at first: the device goes when its room is needed."""
        slot, row = self.slots[mobile], self.rows[mobile]
        devices = sorted(slot.devices, key=slot.book.live) or ["never seen"]
        device = devices[number % 4 % len(devices)]
        if when == "logged out":
            row.devices = [each for each in row.devices if each != device]
            return
        if when == "gone" and device in slot.book.leases:
            self.let_go(slot.book.leases[device].holder, 0, fault)
        limit = [] if ago is None else [slot.devices.get(device, 0) + ago]
        verdict, modelled = self.perform(
            "forget",
            lambda: self.office.presence.devices.forget(mobile, device, *limit),
            lambda _: slot.forget(device, *limit),
            fault,
        )
        assert verdict == modelled

    @deed(2, mobile=TO, gone=["", "s1"], fault=FAULTS)
    def sweeps(self, mobile: str, gone: str, fault: Fault) -> None:
        self.sweep(mobile, gone, fault)

    @deed(
        2,
        mobile=TO,
        too_long=[0, 10**12],
        number=PICK,
        asker=[ASHA, EVE],
        fault=FAULTS,
    )
    def looks(self, mobile: str, too_long: int, number: int, asker: str, fault: Fault) -> None:
        """The job looks for what is stuck; somebody asks who is online; our own code fails on an entry."""
        servers, modelled = self.perform(
            "stuck", lambda: self.office.stuck(mobile, too_long), lambda _: self.slots[mobile].stuck(too_long), fault
        )
        assert servers == modelled
        self.ask(mobile, asker, fault)
        slot = self.slots[mobile]
        if slot.entries:
            at = list(slot.entries)[number % len(slot.entries)]
            count, _ = self.perform("", lambda: self.office.mailbox.failed(mobile, named(at)), lambda _: None)
            slot.parked[at] = slot.parked.get(at, 0) + 1
            assert count == slot.parked[at]

    @deed(3, mobile=TO, number=PICK, extra=range(0, 2), at=range(1, 6), fault=FAULTS)
    def caps(self, mobile: str, number: int, extra: int, at: int, fault: Fault) -> None:
        """What is older than the ``number``-th waiting leaves; its senders are told."""
        slot = self.slots[mobile]
        waiting = slot.due(2**52)
        limit = waiting[number % len(waiting)][0][0] + extra if waiting else 1_000
        days, self.before_ms = self.office.before(limit)
        due = slot.due(self.before_ms)
        self.perform("", lambda: self.office.cap(mobile, days), lambda _: None, fault._replace(at=at))
        for _, said in due:
            assert said is None or (said[0], mobile, said[1]) in self.expired

    @deed(1, lambda self: self.steps >= 25)
    def days_pass(self) -> None:
        """What has left may be forgotten; what waits may not."""
        self.clocks.advance(30 * HOUR_MS)
        for slot in self.slots.values():
            for record in slot.records.values():
                record.old = not record.waits

    @deed(2, lambda self: self.steps >= 25, mobile=TO)
    def the_number_gets_another_owner(self, mobile: str) -> None:
        row = self.rows[mobile]
        row.account_id += "'"
        row.blocked, row.blocks_version, row.devices = [], 0, []
        self.standing[mobile] = set()
        self.connects(mobile, "primary", "s1", NONE)
        self.forgotten(mobile)

    # ---- what must hold after every step

    def compare(self, slot: Slot, truth: Truth) -> None:
        super().compare(slot, truth)
        self.check_by_itself(slot, truth)
        assert truth.mailbox == (list(slot.entries) if slot.exists else None)
        assert truth.groups == slot.groups
        assert truth.phantoms == list(slot.phantoms)
        assert truth.tally == slot.tally()
        assert truth.parked == slot.parked

    def check_by_itself(self, slot: Slot, truth: Truth) -> None:
        """What the contract says of Redis, whatever the model does."""
        there = set(truth.mailbox or ())
        assert truth.tally == counted("", truth.texts) | counted("p", truth.believed), "I7: counts are not the truth"
        for name, group in truth.groups.items():
            assert group.pending.keys() <= there, f"{name}: nil entries"
            assert all(at <= group.read for at in group.pending)
        passed = [
            at for at in there if all(at <= group.read and at not in group.pending for group in truth.groups.values())
        ]
        assert not passed, "every device has passed it and it is still there"
        if truth.mailbox is not None:
            assert truth.groups.keys() == (truth.devices or {"primary"})
        if "seen" in truth.lasting:
            assert truth.texts or truth.believed, "records that never end, of nothing that waits"
        must = sum(not record.old for record in slot.records.values())
        assert len(truth.remembered) >= must, "I2: a retry would not be recognised"
        self.check_nothing_is_lost(slot.mobile, there | {*truth.places})

    def check_nothing_is_lost(self, mobile: str, there: set[Id]) -> None:
        """I1: what got an answer waits, or a device acked it, or its sender was told that it expired."""
        for (to, at), (sender, name) in self.stored.items():
            if to == mobile and at not in there and (to, at) not in self.acked:
                assert (sender, to, name) in self.expired, f"lost: {sender} {name} {named(at)}"
