"""Generated histories of a messenger that keeps its promises pass the checker; one change to them, and it sees it."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tools.chaos.checker import check
from tools.chaos.checker.fates import Fate, Key, fates
from tools.chaos.history import Event
from tools.chaos.story import Story

PEOPLE = ("a", "b", "c")


@dataclasses.dataclass
class Chat:
    """One in the good messenger's hands."""

    who: str
    whom: str
    message_id: str
    attempts: int = 1
    stored: bool = False
    answered: bool = False


@dataclasses.dataclass
class Tick:
    """A receipt in the good messenger's hands."""

    chat: Chat
    place: int


class GoodMessenger:
    """Does one of a few things at a time, always as the contract says; tells the story of it."""

    def __init__(self) -> None:
        self.story = Story().connect(*PEOPLE)
        self.begun: list[Chat] = []
        self.mailbox: defaultdict[str, list[Chat | Tick]] = defaultdict(list)
        self.place: defaultdict[str, int] = defaultdict(int)
        self.seen: set[str] = set()
        self.blocked: set[tuple[str, str]] = set()

    def step(self, what: str, one: int, two: int) -> None:
        """Perhaps nothing: not everything is possible at any time."""
        who, whom = PEOPLE[one % 3], PEOPLE[(one + 1 + two % 2) % 3]
        getattr(self, f"_{what}")(who, whom)

    def _pick(self, who: str, whom: str, *, stored: bool) -> Chat | None:
        waiting = [c for c in self.begun if (c.who, c.whom) == (who, whom) and not c.answered and c.stored is stored]
        return waiting[0] if waiting else None

    def _begin(self, who: str, whom: str) -> None:
        """Half of the conversations wait for the answer to the one before."""
        if who < whom and any(c.who == who and c.whom == whom and not c.answered for c in self.begun):
            return
        chat = Chat(who, whom, f"m{len(self.begun)}")
        self.begun.append(chat)
        self.story.send(who, whom, chat.message_id)

    def _store(self, who: str, whom: str) -> None:
        if (chat := self._pick(who, whom, stored=False)) is not None:
            chat.stored = True
            self.story.place(chat.message_id)
            if (whom, who) not in self.blocked:
                self.mailbox[whom].append(chat)

    def _answer(self, who: str, whom: str) -> None:
        if (chat := self._pick(who, whom, stored=True)) is not None:
            chat.answered = True
            self.story.sent(who, whom, chat.message_id)

    def _refuse(self, who: str, whom: str) -> None:
        if (chat := self._pick(who, whom, stored=False)) is not None:
            self.story.refused(who, whom, chat.message_id)

    def _retry(self, who: str, whom: str) -> None:
        if (chat := self._pick(who, whom, stored=True) or self._pick(who, whom, stored=False)) is not None:
            chat.attempts += 1
            self.story.send(who, whom, chat.message_id, attempt=chat.attempts)

    def _deliver(self, who: str, _whom: str) -> None:
        """The next; or, from its start, what was not acked."""
        waiting = self.mailbox[who]
        if self.place[who] == len(waiting):
            return
        entry = waiting[self.place[who]]
        if isinstance(entry, Tick):
            self.story.receipt(who, entry.chat.whom, entry.chat.message_id, place=entry.place)
        elif (who, entry.who) in self.blocked and entry.message_id not in self.seen:
            waiting.remove(entry)
            return
        else:
            self.story.came(entry.who, who, entry.message_id, known=entry.message_id in self.seen)
            self.seen.add(entry.message_id)
        self.place[who] += 1

    def _ack(self, who: str, _whom: str) -> None:
        if self.place[who]:
            self.place[who] -= 1
            entry = self.mailbox[who].pop(0)
            if isinstance(entry, Chat):
                self.story.ack(who, entry.message_id)
                self.mailbox[entry.who].append(Tick(entry, self.story.receipt_place()))

    def _reconnect(self, who: str, _whom: str) -> None:
        self.story.leave(who).connect(who)
        self.place[who] = 0

    def _block(self, who: str, whom: str) -> None:
        self.story.ask("block", who, whom=whom)
        self.blocked.add((who, whom))

    def _unblock(self, who: str, whom: str) -> None:
        self.story.ask("unblock", who, whom=whom)
        self.blocked.discard((who, whom))

    def drain(self) -> list[Event]:
        """Everything arrives."""
        for who in PEOPLE:
            self._reconnect(who, who)
        for who in (*PEOPLE, *PEOPLE):  # what they ack first makes the receipts they get next
            while self.mailbox[who]:
                self._deliver(who, who)
                self._ack(who, who)
        return self.story.drained()


ACTS = ["begin", "store", "answer", "deliver", "ack"] * 3 + ["refuse", "retry", "reconnect", "block", "unblock"]
STEPS = st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 2), st.integers(0, 1)), min_size=20, max_size=120)


def good(steps: Sequence[tuple[str, int, int]], *before: str) -> list[Event]:
    """``before``: what Asha does, or Ravi to whom she writes, before the steps."""
    messenger = GoodMessenger()
    for what in before:
        messenger.step(what, 1 if what == "deliver" else 0, 0)
    for step in steps:
        messenger.step(*step)
    return messenger.drain()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_what_a_good_messenger_does_passes(steps: list[tuple[str, int, int]]) -> None:
    report = check(good(steps))
    assert report.ok, str(report)


# ---- one change each; they return None where there is nothing to change

Choose = Callable[[Sequence[Fate]], Fate | None]
Change = Callable[[list[Event], dict[Key, Fate], Choose], list[Event] | None]


def _without(history: list[Event], gone: Sequence[Event]) -> list[Event]:
    numbers = {event.n for event in gone}
    return [event for event in history if event.n not in numbers]


def _numbered(history: Sequence[Event]) -> list[Event]:
    """Their places in the file, and in time, follow their order."""
    return [msgspec.structs.replace(event, n=n, t=100 + n / 100) for n, event in enumerate(history, 1)]


def _unblocked(history: Sequence[Event], chats: dict[Key, Fate]) -> list[Fate]:
    pairs = {(event.whom, event.who) for event in history if event.kind == "block begun"}
    return [fate for key, fate in chats.items() if (key.sender, key.recipient) not in pairs]


def lose(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    fate = choose([fate for fate in _unblocked(history, chats) if fate.sent and fate.deliveries])
    return None if fate is None else _without(history, [*fate.deliveries, *fate.receipts])


def double(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    fate = choose([fate for fate in chats.values() if fate.deliveries])
    if fate is None:
        return None
    place = history.index(fate.deliveries[-1])
    copy = msgspec.structs.replace(history[place], stream_id="999999-0", known=True)
    return _numbered([*history[: place + 1], copy, *history[place + 1 :]])


def swap(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    """What the recipient saw of two chats, the later of which was begun after the earlier had got ``sent``."""

    def later_than(one: Fate) -> list[Fate]:
        sent, send = one.sent, one.sends[0]
        return [
            other
            for other in chats.values()
            if sent and (other.sends[0].who, other.sends[0].whom) == (send.who, send.whom)
            if other.deliveries and other.sends[0].n > sent.n and other.deliveries[0].n > one.deliveries[0].n
        ]

    one = choose([fate for fate in chats.values() if fate.deliveries and later_than(fate)])
    if one is None:
        return None
    first, second = one.deliveries[0], later_than(one)[0].deliveries[0]
    swapped = {
        first.n: msgspec.structs.replace(second, n=first.n, t=first.t),
        second.n: msgspec.structs.replace(first, n=second.n, t=second.t),
    }
    return [swapped.get(event.n, event) for event in _without(history, one.deliveries[1:])]


def forge(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    fate = choose([fate for fate in chats.values() if fate.deliveries])
    if fate is None:
        return None
    copy = fate.deliveries[0]
    other = next(who for who in PEOPLE if who not in (copy.who, copy.whom))
    return [msgspec.structs.replace(event, whom=other) if event is copy else event for event in history]


def alter(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    fate = choose([fate for fate in chats.values() if fate.deliveries])
    if fate is None:
        return None
    copy = fate.deliveries[0]
    return [msgspec.structs.replace(event, digest="x") if event is copy else event for event in history]


def keep_receipt(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    fate = choose([fate for fate in _unblocked(history, chats) if fate.receipts])
    return None if fate is None else _without(history, fate.receipts)


def hurry_receipt(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    fate = choose([fate for fate in chats.values() if fate.receipts])
    if fate is None:
        return None
    receipt, place = fate.receipts[0], history.index(fate.deliveries[0])
    return _numbered([*history[:place], receipt, *_without(history[place:], [receipt])])


def stall(history: list[Event], chats: dict[Key, Fate], choose: Choose) -> list[Event] | None:
    fate = choose([fate for fate in chats.values() if fate.sent])
    if fate is None or fate.sent is None:
        return None
    n = fate.sent.n
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
def test_one_change_to_it_is_seen(change: Change, steps: list[tuple[str, int, int]], data: st.DataObject) -> None:
    history = good(steps, *2 * ("begin", "store", "answer", "deliver"))

    def choose(from_: Sequence[Fate]) -> Fate | None:
        return data.draw(st.sampled_from(from_)) if from_ else None

    chats = {key: fate for key, fate in fates(history).items() if fate.sends}
    changed = change(history, chats, choose)
    assume(changed is not None)
    assert changed is not None
    assert CHANGES[change] & check(changed).by_invariant.keys()
