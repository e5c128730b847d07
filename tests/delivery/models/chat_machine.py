"""People send, fetch, acknowledge and read."""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

from delivery.mailbox import Copied, Read, Stored
from delivery.presence import Holder
from delivery.results import FetchMode
from protocol.entries import Chat, Entry, OwnChat, OwnRead, Receipt
from protocol.errors import ApiError
from tests.delivery.models.clocks import Clocks
from tests.delivery.models.faulty_client import NONE, Fault, Ran
from tests.delivery.models.lease_machine import LeaseMachine
from tests.delivery.models.steps import FAULTS, PICK, step
from tests.support.messaging import ASHA, EVE, RAVI
from tools.chaos.breakages import Breakage
from tools.simulate.redis_model.mailbox_model import OWN_CHAT, OWN_READ, MailboxModel, StoredEntry
from tools.simulate.redis_model.stream_ids import Id, format_id, parse_id

PAIRS = [(ASHA, RAVI), (EVE, RAVI), (ASHA, RAVI), (RAVI, ASHA), (EVE, ASHA)]
"""Who says something to whom."""
TO = [RAVI, RAVI, ASHA]
COUNT = range(1, 4)
TEXTS = ["x", "hello", "ü" * 6]
DEVICES = ["primary", "tablet", "primary", "tablet", "desk", "watch", "car", "fridge"]
SETS = [["primary"], ["primary", "tablet"], ["tablet", "desk", "car"], ["primary", "tablet", "desk", "watch", "car"]]
SERVERS = ["s1", "s2"]


def outcome(at: Id | str | ApiError) -> str:
    """A streamId, or the code of the error in its place."""
    if isinstance(at, ApiError):
        return at.code
    return at if isinstance(at, str) else format_id(at)


class ChatMachine(LeaseMachine):
    """Sending, fetching, acknowledging, reading."""

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
        """(addressee, streamId) -> (sender, messageId) of every chat that got an answer."""
        self.acked: set[tuple[str, Id]] = set()
        self.expired: set[tuple[str, str, str]] = set()
        """(sender, addressee, messageId) of those who were told that their chat expired."""
        self.delivered: set[tuple[str, str, str]] = set()
        """The same of those who were told that it was delivered."""
        self.noted: set[tuple[str, Id]] = set()
        """Chats of which it was noted, by their streamId, that a device has them."""
        self.late: set[tuple[str, Id]] = set()
        """Those that were not in the mailbox any more."""
        self.standing: dict[str, set[str]] = {mobile: set() for mobile in self.rows}
        """Blocks that were answered and not taken back."""

    def forgotten(self, mobile: str) -> None:
        self.stored = {key: said for key, said in self.stored.items() if key[0] != mobile}
        self.acked = {key for key in self.acked if key[0] != mobile}
        self.expired = {told for told in self.expired if told[1] != mobile}
        self.delivered = {told for told in self.delivered if told[1] != mobile}
        self.newest = {holder: at for holder, at in self.newest.items() if holder.mobile != mobile}

    def aside(self, ran: Ran) -> None:
        model = self.models[self.owner(ran)]
        match ran.name:
            case "store_receipt":
                self.receipt(model, ran)
            case "expire":
                latest, *ids = ran.args
                model.expire([parse_id(each) for each in ids], parse_id(latest))
            case "expire_shadows":
                model.expire_shadows(self.before_ms)
            case "delete_empty":
                assert ran.reply == [model.delete_empty().encode()]
                if not model.entries:
                    self.late = {key for key in self.late if key[0] != model.mobile}
            case "rotate_dedupe" | "find_unacknowledged":
                pass  # what is remembered, and for how long, shows in the answers
            case _:
                super().aside(ran)

    def receipt(self, model: MailboxModel, ran: Ran) -> Id | None:
        sender, kind, names = (str(arg) for arg in ran.args[:3])
        at = model.store_receipt(sender, kind, names.split(" "))
        if at is not None:
            assert ran.reply[:2] == [b"stored", format_id(at).encode()]
            if kind in ("expired", "delivered"):
                told = self.expired if kind == "expired" else self.delivered
                told |= {(model.mobile, sender, name) for name in names.split(" ")}
        return at

    # ---- sending

    def settle_in(self, dice: Random) -> None:
        for device in dice.choice(SETS):
            self.connects(RAVI, device, "s1", NONE)
        self.connects(ASHA, "primary", "s2", NONE)

    @step(8, pair=PAIRS, count=COUNT, text=TEXTS, fault=FAULTS)
    def send(self, pair: tuple[str, str], count: int, text: str, fault: Fault) -> None:
        self.names += count
        self.deposit(pair, [(f"m{self.names - n}", text) for n in range(count)], fault)

    @step(2, pair=PAIRS, number=PICK, count=COUNT, text=[None, None, *TEXTS], fault=FAULTS)
    def send_again(self, pair: tuple[str, str], number: int, count: int, text: str | None, fault: Fault) -> None:
        """What was answered long ago, with its text or another, and what is new, and twice the same."""
        sender, to = pair
        records = self.models[to].records
        again = [
            (name, records[sender, name].text if text is None else text)
            for name in self.known(to, sender, number, count)
        ]
        self.names += 1
        fresh = (f"m{self.names}", text or "new")
        self.deposit(pair, [*again, fresh, *again[:1], *([] if text is None else [(fresh[0], text + "?")])], fault)

    def known(self, to: str, sender: str, number: int, count: int) -> list[str]:
        """Some messageIds that this sender used, not long ago."""
        names = [name for who, name in self.models[to].records if who == sender]
        back = number % 4
        return names[-count - back : -back or None]

    def deposit(self, pair: tuple[str, str], chats: list[tuple[str, str]], fault: Fault) -> None:
        sender, to = pair
        model = self.models[to]

        def expect(ran: Ran) -> list[Id | ApiError] | None:
            for (name, _), answer in zip(chats, ran.reply[3], strict=False):
                record = model.records.get((sender, name))
                if record is not None and record.old and answer.decode() not in (format_id(record.at), "reused"):
                    del model.records[sender, name]
            return model.store_chats(sender, chats)

        stored, places = self.perform("store_chats", lambda: self.product.mail.store(to, sender, chats), expect, fault)
        assert list(map(outcome, stored.results)) == list(map(outcome, places))
        self.check_notified(model, stored, model.newest_to_notify(sender, chats))
        for at, (name, _) in zip(places, chats, strict=True):
            if not isinstance(at, ApiError):
                self.stored[to, at] = (sender, name)

    @staticmethod
    def check_notified(model: MailboxModel, stored: Stored, must: Id) -> None:
        if must > (0, 0):
            assert parse_id(stored.newest) >= must
            assert sorted(stored.servers) == model.leases.live_servers()
        if stored.newest:
            assert stored.newest in stored.results

    # ---- connections

    @step(3, mobile=TO, device=DEVICES, server=SERVERS, fault=FAULTS)
    def connects(self, mobile: str, device: str, server: str, fault: Fault) -> None:
        holder = self.connect(mobile, device, server, fault)
        self.flying[holder], self.newest[holder], self.cursors[holder] = {}, (0, 0), "0-0"
        self.through[holder] = []

    @step(12, lambda self: self.holders, number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_new(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick(number), "new", count, fault)

    @step(5, lambda self: self.holders, number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_pending(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick(number), "pending", count, fault)

    @step(2, lambda self: any(self.flying.values()), number=PICK, count=range(1, 5), fault=FAULTS)
    def collect_again(self, number: int, count: int, fault: Fault) -> None:
        self.collect(self.pick_flying(number), "again", count, fault)

    def collect(self, holder: Holder, mode: FetchMode, count: int, fault: Fault) -> None:
        model, flying = self.models[holder.mobile], self.flying[holder]
        cursor, ids = self.cursors[holder], list(flying)[:count] if mode == "again" else []
        through = self.through[holder]
        done = [parse_id(entry.stream_id) for entry in through]

        def expect(_: Ran) -> tuple[str, Id, int, list[Entry]]:
            modelled = model.fetch(holder, mode, count, parse_id(cursor), [*map(parse_id, ids)], done)
            return *modelled[:3], [self.entry(*each) for each in modelled[3]]

        (verdict, after, read, entries), modelled = self.perform(
            "fetch", lambda: self.product.collect(holder, mode, count, cursor, ids, through), expect, fault
        )
        assert (verdict, parse_id(after), read, entries) == modelled
        assert not self.standing[holder.mobile] & {entry.sender for entry in entries if isinstance(entry, Chat)}
        self.check_order(holder, mode, [entry.stream_id for entry in entries])
        if verdict == "ok":
            self.through[holder] = []
        flying.update((entry.stream_id, entry) for entry in entries)
        if mode == "pending":
            self.cursors[holder] = after

    @staticmethod
    def entry(at: Id, stored: StoredEntry) -> Entry:
        """As a client would get it."""
        if stored.ack_type == OWN_CHAT:
            name, sent_at = stored.message_ids[0], stored.sent_at
            return OwnChat(format_id(at), stored.sender, name, stored.text, sent_at, stored.device)
        if stored.ack_type == OWN_READ:
            return OwnRead(format_id(at), stored.sender, list(stored.message_ids), stored.device)
        if stored.ack_type:
            return Receipt(format_id(at), stored.sender, stored.ack_type, list(stored.message_ids))
        return Chat(format_id(at), stored.sender, stored.message_ids[0], stored.text)

    def check_order(self, holder: Holder, mode: FetchMode, ids: Sequence[str]) -> None:
        places = [parse_id(each) for each in ids]
        assert mode == "again" or places == sorted(set(places))
        if mode == "new" and places:
            assert places[0] > self.newest.get(holder, (0, 0))
            self.newest[holder] = places[-1]

    @step(
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
            theirs = [entry for entry in entries if isinstance(entry, Chat) and entry.sender == sender]
            names = [chat.message_id for chat in theirs]
            self.note_acked(holder, theirs, fault)
            if then != "crash at once":
                self.tell(holder, sender, names, fault)
        if not then.startswith("crash"):
            self.acked |= {(holder.mobile, parse_id(entry.stream_id)) for entry in entries}
            self.through[holder] += entries
            for entry in entries:
                del flying[entry.stream_id]
        if then == "settle":
            self.settle(holder, second)

    def settle(self, holder: Holder, fault: Fault) -> None:
        """Without a collection; what was acked is still remembered."""
        model, entries = self.models[holder.mobile], self.through[holder]
        ids = [parse_id(entry.stream_id) for entry in entries]
        self.perform(
            "settle", lambda: self.product.settle(holder, entries), lambda _: model.settle(holder.device, ids), fault
        )
        self.through[holder] = []
        for entry in entries:
            if isinstance(entry, Chat) and model.must_remember(entry.sender, entry.message_id):
                self.check_unread(model, entry.sender, [entry.message_id])

    def pick_flying(self, number: int) -> Holder:
        """One with entries in flight, also if others hold its device by now."""
        holders = [holder for holder in self.holders if self.flying.get(holder)]
        return holders[-1 - number % len(holders)]

    def note_acked(self, holder: Holder, theirs: list[Chat], fault: Fault) -> None:
        """Of one sender. Where there are several devices, in the records as well."""
        model, sender = self.models[holder.mobile], theirs[0].sender
        names = [chat.message_id for chat in theirs]
        if len(model.groups) > 1:
            known, modelled = self.perform(
                "note_delivered",
                lambda: self.product.mail.note_delivered(holder.mobile, sender, names),
                lambda _: model.note_delivered(sender, names),
                fault,
            )
            assert known == modelled
        chats = [chat for chat in theirs if not self.is_over(model, chat)]
        if not chats:
            return
        ids, names = [chat.stream_id for chat in chats], [chat.message_id for chat in chats]
        places = {parse_id(stream_id) for stream_id in ids}
        self.noted |= {(holder.mobile, at) for at in places}
        self.late |= {(holder.mobile, at) for at in places - model.entries.keys()}

        async def note() -> str:
            await self.product.mail.note_acknowledged(holder.mobile, sender, ids, names)
            return "noted"

        self.perform("note_acknowledged", note, lambda _: model.note_delivered(sender, names), fault)
        self.check_noted(model, sender, names)

    def check_noted(self, model: MailboxModel, sender: str, names: Sequence[str]) -> None:
        """I4: of those that wait as shadow entries, the job that will look at them knows it. (Of an entry that is noted
        by its streamId it will know it when the entry becomes a shadow entry.)"""
        shadowed = [each.message_id for each in model.shadows.values() if each.sender == sender]
        asked = [name for name in names if name in shadowed]
        if asked:
            answer, _ = self.perform(
                "find_unacknowledged",
                lambda: self.product.mail.find_unacknowledged(model.mobile, sender, asked),
                lambda _: None,
            )
            assert answer == ([], [name for name in asked if model.records[sender, name].state == "a"])

    @staticmethod
    def is_over(model: MailboxModel, chat: Chat) -> bool:
        """Whether it was a shadow entry and expired: nobody says what an acknowledgement changes then."""
        record = model.records.get((chat.sender, chat.message_id))
        return record is not None and record.state == "p" and not record.waits

    def tell(self, holder: Holder, sender: str, names: list[str], fault: Fault) -> None:
        model = self.models[sender]
        deposit, at = self.perform(
            "store_receipt",
            lambda: self.product.mail.receipt(sender, holder.mobile, "delivered", names),
            lambda ran: self.receipt(model, ran),
            fault,
        )
        assert deposit.newest == format_id(at)
        assert sorted(deposit.servers) == model.leases.live_servers()

    @step(
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
        model = self.models[holder.mobile]
        names = self.known(holder.mobile, sender, back, count)
        known = [model.records.get((sender, name)) for name in names]
        names = [*(name for name in names if model.must_remember(sender, name)), "never sent"]
        self.check_unread(model, sender, names)
        self.acked |= {(holder.mobile, record.at) for record in known if record is not None}
        read, (places, told) = self.perform(
            "mark_read",
            lambda: self.product.mail.mark_read(holder.mobile, holder.device, sender, names),
            lambda _: model.mark_read(holder.device, sender, names),
            fault,
        )
        assert read.stream_ids == [format_id(at) for at in places]
        self.check_told(model, holder.device, told, read)
        self.check_unread(model, sender, names)

    @staticmethod
    def check_told(model: MailboxModel, device: str, must: Id, told: Copied | Read) -> None:
        """What the other devices get, and which servers are notified of it. After a lost reply it is there already."""
        if told.newest or must > (0, 0):
            assert told.newest == format_id(must)
            assert sorted(told.servers) == model.leases.live_servers(device)

    @step(4, lambda self: self.holders, number=PICK, to=[ASHA, EVE], text=TEXTS, again=COUNT, fault=FAULTS)
    def copy(self, number: int, to: str, text: str, again: int, fault: Fault) -> None:
        """What one device sent, for the others; and what was copied before, once more."""
        holder = self.pick(number)
        model = self.models[holder.mobile]
        self.names += 1
        before = [(name, record.text, 7) for (who, name), record in model.own_records.items() if who == to]
        chats = [*before[-again:], (f"m{self.names}", text, 8), (f"m{self.names}", text, 8)]
        copied, modelled = self.perform(
            "store_own",
            lambda: self.product.mail.own(holder.mobile, holder.device, to, chats),
            lambda _: model.store_own(holder.device, to, chats),
            fault,
        )
        assert copied.alone is (modelled is False)
        self.check_told(model, holder.device, modelled or (0, 0), copied)

    def check_unread(self, model: MailboxModel, sender: str, names: list[str]) -> None:
        """Which are known, and not read yet."""
        unread, modelled = self.perform(
            "find_unread",
            lambda: self.product.mail.find_unread(model.mobile, sender, names),
            lambda _: model.find_unread(sender, names),
        )
        assert unread == modelled
