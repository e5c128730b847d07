"""UserRecords send, collect, acknowledge and read."""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

from delivery.mailbox import Stored
from delivery.presence import Holder
from delivery.results import FetchMode
from protocol.entries import Chat, Entry, Receipt
from protocol.errors import ApiError
from tests.delivery.models.clocks import Clocks
from tests.delivery.models.deeds import FAULTS, PICK, deed
from tests.delivery.models.lease_machine import LeaseMachine
from tests.delivery.models.rough_link import NONE, Fault, Ran
from tests.delivery.models.slot import Slot
from tests.delivery.models.truth import Id, named, place
from tests.support.messaging import ASHA, EVE, RAVI
from tools.chaos.breakages import Breakage

PAIRS = [(ASHA, RAVI), (EVE, RAVI), (ASHA, RAVI), (RAVI, ASHA), (EVE, ASHA)]
"""Who says something to whom."""
TO = [RAVI, RAVI, ASHA]
COUNT = range(1, 4)
TEXTS = ["x", "hello", "ü" * 6]
DEVICES = ["primary", "tablet", "primary", "tablet", "desk", "watch", "car", "fridge"]
SETS = [["primary"], ["primary", "tablet"], ["tablet", "desk", "car"], ["primary", "tablet", "desk", "watch", "car"]]
SERVERS = ["s1", "s2"]


class PostMachine(LeaseMachine):
    """Sending, collecting, acknowledging, reading."""

    knobs: ClassVar[dict[str, Any]] = {
        "mailbox_limit": 5,
        "mailbox_bytes": 40,
        "mailbox_per_sender": 4,
        "mailbox_bytes_per_sender": 25,
    }

    def __init__(self, url: str, clocks: Clocks, breakage: Breakage | None = None) -> None:
        super().__init__(url, clocks, breakage)
        self.flying: dict[Holder, dict[str, Entry]] = {}
        self.newest: dict[Holder, Id] = {}
        self.cursors: dict[Holder, str] = {}
        self.through: dict[Holder, list[Entry]] = {}
        """Acked, their senders told, and not settled yet."""
        self.before_ms = 0
        self.names = 0
        self.stored: dict[tuple[str, Id], tuple[str, str]] = {}
        """(addressee, place) -> (sender, messageId) of every chat that got an answer."""
        self.acked: set[tuple[str, Id]] = set()
        self.expired: set[tuple[str, str, str]] = set()
        """(sender, addressee, messageId) of whom was told that his chat expired."""
        self.delivered: set[tuple[str, str, str]] = set()
        """The same of whom was told that it was delivered."""
        self.standing: dict[str, set[str]] = {mobile: set() for mobile in self.rows}
        """Blocks that were answered and not taken back."""

    def forgotten(self, mobile: str) -> None:
        self.stored = {key: said for key, said in self.stored.items() if key[0] != mobile}
        self.acked = {key for key in self.acked if key[0] != mobile}
        self.expired = {told for told in self.expired if told[1] != mobile}
        self.delivered = {told for told in self.delivered if told[1] != mobile}
        self.newest = {holder: at for holder, at in self.newest.items() if holder.mobile != mobile}

    def aside(self, ran: Ran) -> None:
        slot = self.slots[self.owner(ran)]
        match ran.name:
            case "store_receipt":
                self.receipt(slot, ran)
            case "expire":
                slot.expire([place(arg) for arg in ran.args if isinstance(arg, bytes)])
            case "expire_shadows":
                slot.expire_phantoms(self.before_ms)
            case "delete_empty":
                assert ran.reply == [slot.tidy().encode()]
            case "rotate_dedupe" | "find_unacknowledged":
                pass  # what is remembered, and for how long, shows in the answers
            case _:
                super().aside(ran)

    def receipt(self, slot: Slot, ran: Ran) -> Id | None:
        sender, kind, names = (str(arg) for arg in ran.args[:3])
        at = slot.receive_receipt(sender, kind, names.split(" "))
        if at is not None:
            assert ran.reply[:2] == [b"stored", named(at).encode()]
            if kind in ("expired", "delivered"):
                told = self.expired if kind == "expired" else self.delivered
                told |= {(slot.mobile, sender, name) for name in names.split(" ")}
        return at

    # ---- sending

    def settle_in(self, dice: Random) -> None:
        for device in dice.choice(SETS):
            self.connects(RAVI, device, "s1", NONE)
        self.connects(ASHA, "primary", "s2", NONE)

    @deed(8, pair=PAIRS, count=COUNT, text=TEXTS, fault=FAULTS)
    def send(self, pair: tuple[str, str], count: int, text: str, fault: Fault) -> None:
        self.names += count
        self.deposit(pair, [(f"m{self.names - n}", text) for n in range(count)], fault)

    @deed(2, pair=PAIRS, number=PICK, count=COUNT, text=[None, None, *TEXTS], fault=FAULTS)
    def send_again(self, pair: tuple[str, str], number: int, count: int, text: str | None, fault: Fault) -> None:
        """What was answered long ago, with its text or another, and what is new, and twice the same."""
        sender, to = pair
        records = self.slots[to].records
        again = [
            (name, records[sender, name].text if text is None else text)
            for name in self.known(to, sender, number, count)
        ]
        self.names += 1
        fresh = (f"m{self.names}", text or "new")
        self.deposit(pair, [*again, fresh, *again[:1], *([] if text is None else [(fresh[0], text + "?")])], fault)

    def known(self, to: str, sender: str, number: int, count: int) -> list[str]:
        """Some messageIds that this sender used, not long ago."""
        names = [name for who, name in self.slots[to].records if who == sender]
        back = number % 4
        return names[-count - back : -back or None]

    def deposit(self, pair: tuple[str, str], chats: list[tuple[str, str]], fault: Fault) -> None:
        sender, to = pair
        slot = self.slots[to]

        def model(ran: Ran) -> list[Id | ApiError] | None:
            for (name, _), answer in zip(chats, ran.reply[3], strict=False):
                record = slot.records.get((sender, name))
                if record is not None and record.old and answer.decode() not in (named(record.at), "reused"):
                    del slot.records[sender, name]
            return slot.deposit(sender, chats)

        deposited, places = self.perform("store_chats", lambda: self.office.mail.store(to, sender, chats), model, fault)
        assert deposited.results == [at if isinstance(at, ApiError) else named(at) for at in places]
        self.check_rings(slot, deposited, slot.must_ring_for(sender, chats))
        for at, (name, _) in zip(places, chats, strict=True):
            if not isinstance(at, ApiError):
                self.stored[to, at] = (sender, name)

    @staticmethod
    def check_rings(slot: Slot, deposited: Stored, must: Id) -> None:
        if must > (0, 0):
            assert place(deposited.newest) >= must
            assert sorted(deposited.servers) == slot.book.servers()
        if deposited.newest:
            assert deposited.newest in deposited.results

    # ---- connections

    @deed(3, mobile=TO, device=DEVICES, server=SERVERS, fault=FAULTS)
    def connects(self, mobile: str, device: str, server: str, fault: Fault) -> None:
        holder = self.connect(mobile, device, server, fault)
        self.flying[holder], self.newest[holder], self.cursors[holder] = {}, (0, 0), "0-0"
        self.through[holder] = []

    @deed(12, lambda self: self.holders, number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_new(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick(number), "new", count, fault)

    @deed(5, lambda self: self.holders, number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_pending(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick(number), "pending", count, fault)

    @deed(2, lambda self: any(self.flying.values()), number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_again(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick_flying(number), "again", count, fault)

    def collect(self, holder: Holder, mode: FetchMode, count: int, fault: Fault) -> None:
        slot, flying = self.slots[holder.mobile], self.flying[holder]
        cursor, ids = self.cursors[holder], list(flying)[:count] if mode == "again" else []
        through = self.through[holder]
        done = [place(entry.stream_id) for entry in through]

        def model(_: Ran) -> tuple[str, Id, int, list[Entry]]:
            if slot.book.held(holder) == "ok" and slot.book.live(holder.device):
                slot.settle(holder.device, done)
            before = self.entries(slot)
            verdict, after, read, places = slot.collect(holder, mode, count, place(cursor), [*map(place, ids)])
            return verdict, after, read, [before[at] for at in places]

        (verdict, after, read, entries), modelled = self.perform(
            "fetch", lambda: self.office.collect(holder, mode, count, cursor, ids, through), model, fault
        )
        assert (verdict, place(after), read, entries) == modelled
        assert not self.standing[holder.mobile] & {entry.sender for entry in entries if isinstance(entry, Chat)}
        self.check_order(holder, mode, [entry.stream_id for entry in entries])
        if verdict == "ok":
            self.through[holder] = []
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

    def check_order(self, holder: Holder, mode: FetchMode, ids: Sequence[str]) -> None:
        places = [place(each) for each in ids]
        assert mode == "again" or places == sorted(set(places))
        if mode == "new" and places:
            assert places[0] > self.newest.get(holder, (0, 0))
            self.newest[holder] = places[-1]

    @deed(
        14,
        lambda self: any(self.flying.values()),
        number=PICK,
        which=range(1, 16),
        then=["settle", "settle", "wait", "wait", "wait", "crash", "crash at once"],
        fault=FAULTS,
        second=FAULTS,
    )
    def ack(self, number: int, which: int, then: str, fault: Fault, second: Fault) -> None:
        holder = self.pick_flying(number)
        flying = list(self.flying[holder].values())
        entries = [entry for n, entry in enumerate(flying) if which >> n & 1]
        self.acknowledge(holder, entries or flying, fault, second, then=then)

    def acknowledge(self, holder: Holder, entries: Sequence[Entry], fault: Fault, second: Fault, *, then: str) -> None:
        """Noted, then receipts. After a crash in between the client acks once more."""
        flying = self.flying[holder]
        for sender in sorted({entry.sender for entry in entries if isinstance(entry, Chat)}):
            names = [e.message_id for e in entries if isinstance(e, Chat) and e.sender == sender]
            self.note_acked(holder, sender, names, fault)
            if then != "crash at once":
                self.tell(holder, sender, names, fault)
        if not then.startswith("crash"):
            self.acked |= {(holder.mobile, place(entry.stream_id)) for entry in entries}
            self.through[holder] += entries
            for entry in entries:
                del flying[entry.stream_id]
        if then == "settle":
            self.settle(holder, second)

    def settle(self, holder: Holder, fault: Fault) -> None:
        """Without a collection; what was acked is still remembered."""
        slot, entries = self.slots[holder.mobile], self.through[holder]
        ids = [place(entry.stream_id) for entry in entries]
        self.perform(
            "settle", lambda: self.office.settle(holder, entries), lambda _: slot.settle(holder.device, ids), fault
        )
        self.through[holder] = []
        for entry in entries:
            if isinstance(entry, Chat) and slot.remembers(entry.sender, entry.message_id):
                self.check_unread(slot, entry.sender, [entry.message_id])

    def pick_flying(self, number: int) -> Holder:
        """One with entries in flight, also if others hold its device by now."""
        holders = [holder for holder in self.holders if self.flying.get(holder)]
        return holders[-1 - number % len(holders)]

    def note_acked(self, holder: Holder, sender: str, names: list[str], fault: Fault) -> None:
        slot = self.slots[holder.mobile]

        async def note() -> str:
            await self.office.mail.note_delivered(holder.mobile, sender, names)
            return "noted"

        self.perform("note_acknowledged", note, lambda _: slot.acked(sender, names), fault)

    def tell(self, holder: Holder, sender: str, names: list[str], fault: Fault) -> None:
        slot = self.slots[sender]
        deposit, at = self.perform(
            "store_receipt",
            lambda: self.office.mail.receipt(sender, holder.mobile, "delivered", names),
            lambda ran: self.receipt(slot, ran),
            fault,
        )
        assert deposit.newest == named(at)
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
            lambda: self.office.mail.mark_read(holder.mobile, holder.device, sender, names),
            lambda _: slot.mark_read(holder.device, sender, names),
            fault,
        )
        assert ids == [named(at) for at in places]
        self.check_unread(slot, sender, names)

    def check_unread(self, slot: Slot, sender: str, names: list[str]) -> None:
        """Which are known, and not read yet."""
        unread, modelled = self.perform(
            "find_unread",
            lambda: self.office.mail.find_unread(slot.mobile, sender, names),
            lambda _: slot.unread(sender, names),
        )
        assert unread == modelled
