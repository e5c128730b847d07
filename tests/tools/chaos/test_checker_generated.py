"""Generated histories of a correct messenger pass the checker. After one change to them they do not."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.histories import HistoryBuilder
from tools.chaos.checker import check
from tools.chaos.checker.facts import ChatEvents, ChatKey, chats_of
from tools.chaos.history import Event

PEOPLE = ("a", "b", "c")


@dataclasses.dataclass
class Chat:
    """A chat in the model."""

    mobile: str
    peer: str
    message_id: str
    attempts: int = 1
    stored: bool = False
    answered: bool = False


@dataclasses.dataclass
class Receipt:
    """A receipt in the model."""

    chat: Chat
    stored_ms: int


class CorrectMessenger:
    """A model that does one thing at a time, always as the contract says, and records it."""

    def __init__(self) -> None:
        self.builder = HistoryBuilder().connect(*PEOPLE)
        self.begun: list[Chat] = []
        self.mailbox: defaultdict[str, list[Chat | Receipt]] = defaultdict(list)
        self.place: defaultdict[str, int] = defaultdict(int)
        self.seen: set[str] = set()
        self.blocked: set[tuple[str, str]] = set()

    def step(self, what: str, one: int, two: int) -> None:
        """Do one thing, or nothing if it is not possible now."""
        mobile, peer = PEOPLE[one % 3], PEOPLE[(one + 1 + two % 2) % 3]
        getattr(self, f"_{what}")(mobile, peer)

    def _pick(self, mobile: str, peer: str, *, stored: bool) -> Chat | None:
        waiting = [
            c for c in self.begun if (c.mobile, c.peer) == (mobile, peer) and not c.answered and c.stored is stored
        ]
        return waiting[0] if waiting else None

    def _begin(self, mobile: str, peer: str) -> None:
        """In half of the conversations a chat waits for the answer to the one before."""
        if mobile < peer and any(c.mobile == mobile and c.peer == peer and not c.answered for c in self.begun):
            return
        chat = Chat(mobile, peer, f"m{len(self.begun)}")
        self.begun.append(chat)
        self.builder.send(mobile, peer, chat.message_id)

    def _store(self, mobile: str, peer: str) -> None:
        if (chat := self._pick(mobile, peer, stored=False)) is not None:
            chat.stored = True
            self.builder.stored_ms(chat.message_id)
            if (peer, mobile) not in self.blocked:
                self.mailbox[peer].append(chat)

    def _answer(self, mobile: str, peer: str) -> None:
        if (chat := self._pick(mobile, peer, stored=True)) is not None:
            chat.answered = True
            self.builder.sent(mobile, peer, chat.message_id)

    def _refuse(self, mobile: str, peer: str) -> None:
        if (chat := self._pick(mobile, peer, stored=False)) is not None:
            self.builder.refused(mobile, peer, chat.message_id)

    def _retry(self, mobile: str, peer: str) -> None:
        if (chat := self._pick(mobile, peer, stored=True) or self._pick(mobile, peer, stored=False)) is not None:
            chat.attempts += 1
            self.builder.send(mobile, peer, chat.message_id, attempt=chat.attempts)

    def _deliver(self, mobile: str, _whom: str) -> None:
        """Deliver the next entry; after a reconnect, the first one that is not acknowledged."""
        waiting = self.mailbox[mobile]
        if self.place[mobile] == len(waiting):
            return
        entry = waiting[self.place[mobile]]
        if isinstance(entry, Receipt):
            self.builder.receipt(mobile, entry.chat.peer, entry.chat.message_id, stored_ms=entry.stored_ms)
        elif (mobile, entry.mobile) in self.blocked and entry.message_id not in self.seen:
            waiting.remove(entry)
            return
        else:
            self.builder.delivered(entry.mobile, mobile, entry.message_id, duplicate=entry.message_id in self.seen)
            self.seen.add(entry.message_id)
        self.place[mobile] += 1

    def _ack(self, mobile: str, _whom: str) -> None:
        if self.place[mobile]:
            self.place[mobile] -= 1
            entry = self.mailbox[mobile].pop(0)
            if isinstance(entry, Chat):
                self.builder.ack(mobile, entry.message_id)
                self.mailbox[entry.mobile].append(Receipt(entry, self.builder.next_stored_ms()))

    def _reconnect(self, mobile: str, _whom: str) -> None:
        self.builder.leave(mobile).connect(mobile)
        self.place[mobile] = 0

    def _block(self, mobile: str, peer: str) -> None:
        self.builder.request("block", mobile, peer=peer)
        self.blocked.add((mobile, peer))

    def _unblock(self, mobile: str, peer: str) -> None:
        self.builder.request("unblock", mobile, peer=peer)
        self.blocked.discard((mobile, peer))

    def drain(self) -> list[Event]:
        """Everything arrives."""
        for mobile in PEOPLE:
            self._reconnect(mobile, mobile)
        for mobile in (*PEOPLE, *PEOPLE):  # what they ack first makes the receipts they get next
            while self.mailbox[mobile]:
                self._deliver(mobile, mobile)
                self._ack(mobile, mobile)
        return self.builder.drained()


ACTS = ["begin", "store", "answer", "deliver", "ack"] * 3 + ["refuse", "retry", "reconnect", "block", "unblock"]
STEPS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 2), st.integers(0, 1)), min_size=20, max_size=120)


def good(steps: Sequence[tuple[str, int, int]], *before: str) -> list[Event]:
    """``before``: steps of Asha, or of Ravi, before the others."""
    messenger = CorrectMessenger()
    for what in before:
        messenger.step(what, 1 if what == "deliver" else 0, 0)
    for step in steps:
        messenger.step(*step)
    return messenger.drain()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_correct_messenger_passes(steps: list[tuple[str, int, int]]) -> None:
    report = check(good(steps))
    assert report.ok, str(report)


# ---- one change each; they return None where there is nothing to change

Choose = Callable[[Sequence[ChatEvents]], ChatEvents | None]
Change = Callable[[list[Event], dict[ChatKey, ChatEvents], Choose], list[Event] | None]


def _without(history: list[Event], gone: Sequence[Event]) -> list[Event]:
    numbers = {event.n for event in gone}
    return [event for event in history if event.n not in numbers]


def _numbered(history: Sequence[Event]) -> list[Event]:
    """Give the events numbers and times in their order."""
    return [msgspec.structs.replace(event, n=n, t=100 + n / 100) for n, event in enumerate(history, 1)]


def _unblocked(history: Sequence[Event], chats: dict[ChatKey, ChatEvents]) -> list[ChatEvents]:
    pairs = {(event.peer, event.mobile) for event in history if event.kind == "block request"}
    return [chat for key, chat in chats.items() if (key.sender, key.recipient) not in pairs]


def lose(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    chat = choose([chat for chat in _unblocked(history, chats) if chat.sent and chat.deliveries])
    return None if chat is None else _without(history, [*chat.deliveries, *chat.receipts])


def double(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    chat = choose([chat for chat in chats.values() if chat.deliveries])
    if chat is None:
        return None
    place = history.index(chat.deliveries[-1])
    copy = msgspec.structs.replace(history[place], stream_id="999999-0", duplicate=True)
    return _numbered([*history[: place + 1], copy, *history[place + 1 :]])


def swap(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    """Swap the deliveries of two chats, the later of which was sent after the earlier one had got ``sent``."""

    def later_than(one: ChatEvents) -> list[ChatEvents]:
        sent, send = one.sent, one.sends[0]
        return [
            other
            for other in chats.values()
            if sent and (other.sends[0].mobile, other.sends[0].peer) == (send.mobile, send.peer)
            if other.deliveries and other.sends[0].n > sent.n and other.deliveries[0].n > one.deliveries[0].n
        ]

    one = choose([chat for chat in chats.values() if chat.deliveries and later_than(chat)])
    if one is None:
        return None
    first, second = one.deliveries[0], later_than(one)[0].deliveries[0]
    swapped = {
        first.n: msgspec.structs.replace(second, n=first.n, t=first.t),
        second.n: msgspec.structs.replace(first, n=second.n, t=second.t),
    }
    return [swapped.get(event.n, event) for event in _without(history, one.deliveries[1:])]


def forge(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    chat = choose([chat for chat in chats.values() if chat.deliveries])
    if chat is None:
        return None
    copy = chat.deliveries[0]
    other = next(mobile for mobile in PEOPLE if mobile not in (copy.mobile, copy.peer))
    return [msgspec.structs.replace(event, peer=other) if event is copy else event for event in history]


def alter(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    chat = choose([chat for chat in chats.values() if chat.deliveries])
    if chat is None:
        return None
    copy = chat.deliveries[0]
    return [msgspec.structs.replace(event, digest="x") if event is copy else event for event in history]


def keep_receipt(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    chat = choose([chat for chat in _unblocked(history, chats) if chat.receipts])
    return None if chat is None else _without(history, chat.receipts)


def hurry_receipt(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    chat = choose([chat for chat in chats.values() if chat.receipts])
    if chat is None:
        return None
    receipt, place = chat.receipts[0], history.index(chat.deliveries[0])
    return _numbered([*history[:place], receipt, *_without(history[place:], [receipt])])


def stall(history: list[Event], chats: dict[ChatKey, ChatEvents], choose: Choose) -> list[Event] | None:
    chat = choose([chat for chat in chats.values() if chat.sent])
    if chat is None or chat.sent is None:
        return None
    n = chat.sent.n
    return [msgspec.structs.replace(event, t=event.t + 6) if event.n >= n else event for event in history]


CHANGES: dict[Change, set[str]] = {
    lose: {"I1"},
    double: {"I1b", "I2"},
    swap: {"I3"},
    forge: {"I8"},
    alter: {"I8"},
    keep_receipt: {"I4"},
    hurry_receipt: {"I4"},
    stall: {"I11"},
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_one_change_is_caught(change: Change, steps: list[tuple[str, int, int]], data: st.DataObject) -> None:
    history = good(steps, *2 * ("begin", "store", "answer", "deliver"))

    def choose(from_: Sequence[ChatEvents]) -> ChatEvents | None:
        return data.draw(st.sampled_from(from_)) if from_ else None

    chats = {key: chat for key, chat in chats_of(history).items() if chat.sends}
    changed = change(history, chats, choose)
    assume(changed is not None)
    assert changed is not None
    assert CHANGES[change] & check(changed).by_invariant.keys()
