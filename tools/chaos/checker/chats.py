"""I1, I1b, I2, I3, I4, I8: no chat is lost, doubled, out of order or forged; receipts are true and complete."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tools.chaos.checker.facts import (
    ChatEvents,
    ChatKey,
    Excuses,
    acks_of,
    any_overlaps,
    chats_of,
    excuses_of,
    losses_of,
)
from tools.chaos.checker.report import DEFAULT_LIMITS, Limits, Violation
from tools.chaos.history import Event

Acks = dict[tuple[str, str], Event]


def missing(history: Sequence[Event]) -> Iterator[tuple[ChatKey, ChatEvents, Event, str]]:
    """Chats with ``sent`` that never arrived, that answer, and what excuses it ("": nothing)."""
    excused = excuses_of(history)
    for key, chat in chats_of(history).items():
        if chat.sends and chat.sent is not None and not chat.deliveries:
            yield key, chat, chat.sent, excused.reason(key, chat)


def i1_kept(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """No chat with ``sent`` is lost. Allowed: it expired and its sender got that receipt; a block by its recipient
    stood, or may have stood, at any time since it was sent; storage lost something and its recipient was notified."""
    return [
        Violation("I1", f"{key} got `sent` and never arrived", [chat.sends[0], sent])
        for key, chat, sent, reason in missing(history)
        if not reason
    ]


def _doubled(history: Sequence[Event], *, acknowledged: bool) -> Iterator[tuple[ChatKey, ChatEvents, Event, Event]]:
    """Chats with a second entry. Allowed: storage lost the first, and the recipient was notified."""
    lost = losses_of(history)
    for key, chat in chats_of(history).items():
        copies = chat.entries
        if len(copies) < 2 or not chat.sends or (chat.sent is not None) is not acknowledged:
            continue
        if not lost.excuse(key.recipient, chat.began):
            yield key, chat, copies[0], copies[1]


def i1b_at_most_once(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """A send that got no answer, or only refusals, arrives once or not at all."""
    return [
        Violation("I1b", f"{key} got no `sent` and arrived twice, as two entries", [chat.sends[0], first, second])
        for key, chat, first, second in _doubled(history, acknowledged=False)
    ]


def i2_once(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """A repeated messageId has one entry and one answer. An entry that arrives again has the same streamId."""
    found = [
        Violation("I2", f"{key} arrived twice, as two entries", [chat.sends[0], first, second])
        for key, chat, first, second in _doubled(history, acknowledged=True)
    ]
    lost = losses_of(history)
    for key, chat in chats_of(history).items():
        if chat.sent is not None and chat.sends and not lost.excuse(key.recipient, chat.began):
            found += _other_answers(key, chat, chat.sent)
    return found


def _other_answers(key: ChatKey, chat: ChatEvents, sent: Event) -> Iterator[Violation]:
    """The time in ``sent`` is the first half of the entry's streamId."""
    for answer in chat.answers:
        if answer.result == "sent" and answer.timestamp != sent.timestamp:
            yield Violation("I2", f"{key} was repeated and got another answer", [sent, answer])
    entries = chat.entries
    if len(entries) == 1 and entries[0].stream_id.partition("-")[0] != str(sent.timestamp):
        yield Violation("I2", f"{key} arrived as another entry than the one in `sent`", [sent, entries[0]])


def i3_order(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """A chat that was sent after an earlier one of its conversation had got ``sent`` does not arrive before it. This
    holds, too, if both were sent on one connection, where the earlier one got ``sent`` and was not sent again. On one
    connection the streamIds of entries that are new to the client rise. When storage has lost a chat that had got
    ``sent``, and a frozen server stores an earlier attempt of it afterwards, that entry has no place in the order."""
    conversations: defaultdict[tuple[str, str], list[ChatEvents]] = defaultdict(list)
    for key, chat in chats_of(history).items():
        if chat.sends:
            conversations[key.sender, key.recipient].append(chat)
    found = [violation for chats in conversations.values() for violation in (*_overtaken(chats), *_raced(chats))]
    return [*found, *_falling(history)]


def _overtaken(chats: Sequence[ChatEvents]) -> Iterator[Violation]:
    """``latest``: of the chats that had got ``sent`` when this one was sent, the one that arrived last."""
    in_order = sorted(chats, key=lambda chat: chat.sends[0].n)
    acknowledged = [(chat.sent.n, chat) for chat in in_order if chat.sent is not None and _came_as(chat, chat.sent)]
    acknowledged.sort(key=lambda item: item[0])
    place, latest = 0, None
    for chat in in_order:
        while place < len(acknowledged) and acknowledged[place][0] < chat.sends[0].n:
            earlier = acknowledged[place][1]
            if latest is None or earlier.deliveries[0].n > latest.deliveries[0].n:
                latest = earlier
            place += 1
        if latest is not None and chat.deliveries and chat.deliveries[0].n < latest.deliveries[0].n:
            yield _order_broken(latest, chat)


def _came_as(chat: ChatEvents, sent: Event) -> bool:
    """Whether the first entry that arrived is the one that this answer speaks of."""
    return bool(chat.deliveries) and _as_numbers(chat.deliveries[0].stream_id)[0] == sent.timestamp


def _raced(chats: Sequence[ChatEvents]) -> Iterator[Violation]:
    """The later chat must be sent for the first time: an earlier attempt may have stored it by another way. Pairs of
    which the earlier chat had got ``sent`` by then are those of :func:`_overtaken`."""
    by_connection: defaultdict[int, list[tuple[Event, ChatEvents]]] = defaultdict(list)
    for chat in chats:
        for send in chat.sends:
            by_connection[send.connection].append((send, chat))
    for sends in by_connection.values():
        latest: ChatEvents | None = None
        for send, chat in sorted(sends, key=lambda item: item[0].n):
            if not chat.deliveries:
                continue
            if latest is not None and send.attempt == 1 and _seen_before(chat, latest) and not _had_sent(latest, send):
                sentence = f"{send.message_id} was sent after {latest.sends[0].message_id} on one connection"
                events = [latest.sends[0], send, chat.deliveries[0], latest.deliveries[0]]
                yield Violation("I3", f"from {send.mobile} to {send.peer}: {sentence}, and arrived before it", events)
            if _taken(send, chat) and (latest is None or _seen_before(latest, chat)):
                latest = chat


def _seen_before(one: ChatEvents, other: ChatEvents) -> bool:
    return one.deliveries[0].n < other.deliveries[0].n


def _had_sent(chat: ChatEvents, send: Event) -> bool:
    return chat.sent is not None and chat.sent.n < send.n


def _taken(send: Event, chat: ChatEvents) -> bool:
    """Whether the order of this send counts: it got ``sent`` on its connection, and the chat was not sent again before
    it arrived (because it was refused, or storage lost it)."""
    again = any(send.n < other.n < chat.deliveries[0].n for other in chat.sends)
    here = any(answer.connection == send.connection and answer.result == "sent" for answer in chat.answers)
    return here and not again


def _order_broken(earlier: ChatEvents, later: ChatEvents) -> Violation:
    first, second = earlier.sends[0], later.sends[0]
    sentence = f"{second.message_id} was sent after {first.message_id} had got `sent`, and arrived before it"
    events = [first, *([earlier.sent] if earlier.sent else []), second, later.deliveries[0], earlier.deliveries[0]]
    return Violation("I3", f"from {first.mobile} to {first.peer}: {sentence}", events)


def _as_numbers(stream_id: str) -> tuple[int, int]:
    ms, _, number = stream_id.partition("-")
    return int(ms), int(number or 0)


def _falling(history: Sequence[Event]) -> Iterator[Violation]:
    """After a notification of a loss the order begins anew."""
    highest: dict[int, Event] = {}
    seen: set[tuple[str, str]] = set()
    for event in history:
        if event.kind == "resync":
            highest.pop(event.connection, None)
        if event.kind not in ("delivery", "receipt", "own", "own read") or (event.mobile, event.stream_id) in seen:
            continue
        seen.add((event.mobile, event.stream_id))
        before = highest.get(event.connection)
        if before is not None and _as_numbers(event.stream_id) < _as_numbers(before.stream_id):
            sentence = (
                f"connection {event.connection} of {event.mobile}: a new entry arrived after one with a higher streamId"
            )
            yield Violation("I3", sentence, [before, event])
        else:
            highest[event.connection] = event


def i4_receipts(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """No receipt arrives without an earlier acknowledgement by the recipient, and no ``expired`` after ``delivered``.
    In the end every acknowledgement has its receipt. It may be missing if the recipient's block of the sender stood,
    or may have stood, after the chat arrived, or if storage lost something of either person, who was notified."""
    acks, excused = acks_of(history), excuses_of(history)
    found = []
    for key, chat in chats_of(history).items():
        found += [*_untrue(key, chat, acks), *_backwards(key, chat), *_missing_receipt(key, chat, acks, excused)]
    return found


def _acked(key: ChatKey, chat: ChatEvents, acks: Acks) -> list[Event]:
    """The acknowledgements of the recipient, in order."""
    named = {
        acks[key.recipient, copy.stream_id].n: acks[key.recipient, copy.stream_id]
        for copy in chat.deliveries
        if (key.recipient, copy.stream_id) in acks
    }
    named |= {read.n: read for read in chat.reads}
    return [named[n] for n in sorted(named)]


def _untrue(key: ChatKey, chat: ChatEvents, acks: Acks) -> Iterator[Violation]:
    acked = _acked(key, chat, acks)
    for receipt in chat.receipts:
        grounds = {"delivered": acked, "read": chat.reads}.get(receipt.ack_type)
        if grounds is not None and not any(ground.n < receipt.n for ground in grounds):
            sentence = f"{key} got a `{receipt.ack_type}` receipt without an acknowledgement"
            yield Violation("I4", sentence, [*chat.sends[:1], *chat.deliveries[:1], receipt, *grounds[:1]])
            return


def _backwards(key: ChatKey, chat: ChatEvents) -> Iterator[Violation]:
    first = next((receipt for receipt in chat.receipts if receipt.ack_type != "expired"), None)
    for receipt in chat.receipts:
        if first is not None and receipt.ack_type == "expired" and receipt.n > first.n:
            sentence = f"{key} got a `{first.ack_type}` receipt, and then an `expired` one"
            yield Violation("I4", sentence, [first, receipt])
            return


def _missing_receipt(key: ChatKey, chat: ChatEvents, acks: Acks, excused: Excuses) -> Iterator[Violation]:
    acked = [event for event in _acked(key, chat, acks) if not event.forged]
    if not acked or not chat.sends or any(receipt.ack_type != "expired" for receipt in chat.receipts):
        return
    arrived = chat.deliveries[0].t if chat.deliveries else acked[0].t
    lost = excused.losses
    if any_overlaps(excused.blocks.possible_between(key.recipient, key.sender), arrived, excused.end):
        return
    if not lost.excuse(key.sender, chat.began) and not lost.excuse(key.recipient, chat.began):
        yield Violation("I4", f"{key} was acknowledged, and no receipt ever arrived", [*chat.deliveries[:1], acked[0]])


def i8_authentic(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """Every delivery is of a chat that the person in ``from`` wrote to this recipient, and unaltered."""
    written: defaultdict[str, list[Event]] = defaultdict(list)
    for event in history:
        if event.kind == "send":
            written[event.message_id].append(event)
    found: list[Violation] = []
    for event in history:
        if event.kind == "delivery":
            theirs = [send for send in written[event.message_id] if send.n < event.n and send.peer == event.mobile]
            found += _forgery(event, theirs)
    return found


def _forgery(copy: Event, sends: Sequence[Event]) -> Iterator[Violation]:
    mine = [send for send in sends if send.mobile == copy.peer]
    if any(send.digest == copy.digest for send in mine):
        return
    if mine:
        yield Violation("I8", f"{copy.message_id} arrived altered at {copy.mobile}", [mine[0], copy])
    elif sends:
        sentence = f"{copy.message_id} arrived at {copy.mobile} as from {copy.peer}, but {sends[0].mobile} wrote it"
        yield Violation("I8", sentence, [sends[0], copy])
    else:
        yield Violation("I8", f"{copy.message_id} arrived at {copy.mobile}, but nobody wrote it", [copy])
