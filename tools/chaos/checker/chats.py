"""I1, I1b, I2, I3, I8: no chat lost, doubled, out of order, or somebody else's."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tools.chaos.checker.circumstances import Blocks, Losses, blocks, losses, meets
from tools.chaos.checker.fates import Fate, Key, fates
from tools.chaos.checker.report import USUAL, Limits, Violation
from tools.chaos.history import Event


class Excuses(NamedTuple):
    """Why an acknowledged chat need not have come."""

    blocks: Blocks
    losses: Losses
    end: float

    def why(self, key: Key, fate: Fate) -> str:
        """``expired``, ``withheld``, ``told``, or "": it should have."""
        if fate.expired:
            return "expired"
        if meets(self.blocks.may(key.recipient, key.sender), fate.began, self.end):
            return "withheld"
        return "told" if self.losses.excuse(key.recipient, fate.began) else ""


def excuses(history: Sequence[Event]) -> Excuses:
    """Of this history."""
    return Excuses(blocks(history), losses(history), history[-1].t if history else 0.0)


def missing(history: Sequence[Event]) -> Iterator[tuple[Key, Fate, Event, str]]:
    """Acknowledged chats that never came, their ``sent``, and why that is all right ("": it is not)."""
    excused = excuses(history)
    for key, fate in fates(history).items():
        if fate.sends and fate.sent is not None and not fate.deliveries:
            yield key, fate, fate.sent, excused.why(key, fate)


def i1_kept(history: Sequence[Event], _limits: Limits = USUAL) -> list[Violation]:
    """No acknowledged chat is lost. Allowed: it expired and its sender was told; its addressee's block stood, or may
    have stood, at any time since it was begun; storage lost something and its addressee was told."""
    return [
        Violation("I1", f"{key} got `sent` and never came", [fate.sends[0], sent])
        for key, fate, sent, why in missing(history)
        if not why
    ]


def _doubled(history: Sequence[Event], *, acknowledged: bool) -> Iterator[tuple[Key, Fate, Event, Event]]:
    """Chats with a second place in the mailbox. Allowed: storage lost the first, and told."""
    lost = losses(history)
    for key, fate in fates(history).items():
        copies = fate.places
        if len(copies) < 2 or not fate.sends or (fate.sent is not None) is not acknowledged:
            continue
        if not lost.excuse(key.recipient, fate.began):
            yield key, fate, copies[0], copies[1]


def i1b_at_most_once(history: Sequence[Event], _limits: Limits = USUAL) -> list[Violation]:
    """A send that got no answer, or only refusals, appears once or not at all."""
    return [
        Violation("I1b", f"{key} got no `sent` and came twice, as two entries", [fate.sends[0], first, second])
        for key, fate, first, second in _doubled(history, acknowledged=False)
    ]


def i2_once(history: Sequence[Event], _limits: Limits = USUAL) -> list[Violation]:
    """A repeated messageId is one entry with one answer; an entry that comes again has the streamId it had."""
    found = [
        Violation("I2", f"{key} came twice, as two entries", [fate.sends[0], first, second])
        for key, fate, first, second in _doubled(history, acknowledged=True)
    ]
    lost = losses(history)
    for key, fate in fates(history).items():
        if fate.sent is not None and fate.sends and not lost.excuse(key.recipient, fate.began):
            found += _other_answers(key, fate, fate.sent)
    return found


def _other_answers(key: Key, fate: Fate, sent: Event) -> Iterator[Violation]:
    """The time in ``sent`` is the first half of the entry's streamId."""
    for answer in fate.answers:
        if answer.result == "sent" and answer.timestamp != sent.timestamp:
            yield Violation("I2", f"{key} was repeated and got another answer", [sent, answer])
    places = fate.places
    if len(places) == 1 and places[0].stream_id.partition("-")[0] != str(sent.timestamp):
        yield Violation("I2", f"{key} came as another entry than `sent` spoke of", [sent, places[0]])


def i3_order(history: Sequence[Event], _limits: Limits = USUAL) -> list[Violation]:
    """If a chat was begun after an earlier one of the same conversation had got ``sent``, it is not seen before it, and
    if both were begun on one connection, where the earlier got ``sent`` and was not begun again, neither; on one
    connection streamIds of entries that are new to the client rise."""
    conversations: defaultdict[tuple[str, str], list[Fate]] = defaultdict(list)
    for key, fate in fates(history).items():
        if fate.sends:
            conversations[key.sender, key.recipient].append(fate)
    found = [violation for chats in conversations.values() for violation in (*_overtaken(chats), *_raced(chats))]
    return [*found, *_falling(history)]


def _overtaken(chats: Sequence[Fate]) -> Iterator[Violation]:
    """``latest`` is, of the chats that had got ``sent`` when this one was begun, the one that was seen last."""
    begun = sorted(chats, key=lambda fate: fate.sends[0].n)
    acknowledged = [(fate.sent.n, fate) for fate in begun if fate.sent is not None and fate.deliveries]
    acknowledged.sort(key=lambda item: item[0])
    place, latest = 0, None
    for fate in begun:
        while place < len(acknowledged) and acknowledged[place][0] < fate.sends[0].n:
            earlier = acknowledged[place][1]
            if latest is None or earlier.deliveries[0].n > latest.deliveries[0].n:
                latest = earlier
            place += 1
        if latest is not None and fate.deliveries and fate.deliveries[0].n < latest.deliveries[0].n:
            yield _order_broken(latest, fate)


def _raced(chats: Sequence[Fate]) -> Iterator[Violation]:
    """The later one is begun there for the first time: before, it may have been stored by another way. That the earlier
    one had got ``sent`` by then is :func:`_overtaken`'s business."""
    by_connection: defaultdict[int, list[tuple[Event, Fate]]] = defaultdict(list)
    for fate in chats:
        for send in fate.sends:
            by_connection[send.connection].append((send, fate))
    for begun in by_connection.values():
        latest: Fate | None = None
        for send, fate in sorted(begun, key=lambda item: item[0].n):
            if not fate.deliveries:
                continue
            if latest is not None and send.attempt == 1 and _seen_before(fate, latest) and not _had_sent(latest, send):
                sentence = f"{send.message_id} was begun after {latest.sends[0].message_id} on one connection"
                events = [latest.sends[0], send, fate.deliveries[0], latest.deliveries[0]]
                yield Violation("I3", f"from {send.who} to {send.whom}: {sentence}, and was seen before it", events)
            if _taken(send, fate) and (latest is None or _seen_before(latest, fate)):
                latest = fate


def _seen_before(one: Fate, other: Fate) -> bool:
    return one.deliveries[0].n < other.deliveries[0].n


def _had_sent(fate: Fate, send: Event) -> bool:
    return fate.sent is not None and fate.sent.n < send.n


def _taken(send: Event, fate: Fate) -> bool:
    """Whether this send had its place by when the next on its connection was looked at: it got ``sent`` there, and the
    chat was not begun anew before it came (because it was refused, or storage forgot it)."""
    again = any(send.n < other.n < fate.deliveries[0].n for other in fate.sends)
    here = any(answer.connection == send.connection and answer.result == "sent" for answer in fate.answers)
    return here and not again


def _order_broken(earlier: Fate, later: Fate) -> Violation:
    first, second = earlier.sends[0], later.sends[0]
    sentence = f"{second.message_id} was begun after {first.message_id} had got `sent`, and was seen before it"
    events = [first, *([earlier.sent] if earlier.sent else []), second, later.deliveries[0], earlier.deliveries[0]]
    return Violation("I3", f"from {first.who} to {first.whom}: {sentence}", events)


def _place(stream_id: str) -> tuple[int, int]:
    ms, _, number = stream_id.partition("-")
    return int(ms), int(number or 0)


def _falling(history: Sequence[Event]) -> Iterator[Violation]:
    """A client that was told of a loss begins anew."""
    highest: dict[int, Event] = {}
    seen: set[tuple[str, str]] = set()
    for event in history:
        if event.kind == "resync":
            highest.pop(event.connection, None)
        if event.kind not in ("delivery", "receipt") or (event.who, event.stream_id) in seen:
            continue
        seen.add((event.who, event.stream_id))
        before = highest.get(event.connection)
        if before is not None and _place(event.stream_id) < _place(before.stream_id):
            sentence = (
                f"connection {event.connection} of {event.who}: a new entry came after one with a higher streamId"
            )
            yield Violation("I3", sentence, [before, event])
        else:
            highest[event.connection] = event


def i8_authentic(history: Sequence[Event], _limits: Limits = USUAL) -> list[Violation]:
    """Every delivery is of a chat that the person it is from wrote to whoever got it, unaltered."""
    written: defaultdict[str, list[Event]] = defaultdict(list)
    for event in history:
        if event.kind == "send":
            written[event.message_id].append(event)
    found: list[Violation] = []
    for event in history:
        if event.kind == "delivery":
            theirs = [send for send in written[event.message_id] if send.n < event.n and send.whom == event.who]
            found += _forgery(event, theirs)
    return found


def _forgery(copy: Event, sends: Sequence[Event]) -> Iterator[Violation]:
    mine = [send for send in sends if send.who == copy.whom]
    if any(send.digest == copy.digest for send in mine):
        return
    if mine:
        yield Violation("I8", f"{copy.message_id} came altered to {copy.who}", [mine[0], copy])
    elif sends:
        sentence = f"{copy.message_id} came to {copy.who} as from {copy.whom}, and {sends[0].who} wrote it"
        yield Violation("I8", sentence, [sends[0], copy])
    else:
        yield Violation("I8", f"{copy.message_id} came to {copy.who} and nobody had written it", [copy])
