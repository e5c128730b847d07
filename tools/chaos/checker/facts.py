"""What the invariants need to know of a history: the events of each chat, faults, blocks, and losses of storage."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from tools.chaos.frames import SEED
from tools.chaos.history import Event


class Span(NamedTuple):
    """From ``begin`` to ``end``, in the seconds of the history."""

    begin: float
    end: float

    def overlaps(self, begin: float, end: float) -> bool:
        """Whether the two have a moment in common."""
        return self.begin <= end and begin <= self.end


def any_overlaps(spans: Iterable[Span], begin: float, end: float) -> bool:
    """Whether one of these spans overlaps the given one."""
    return any(span.overlaps(begin, end) for span in spans)


# ---- chats


class ChatKey(NamedTuple):
    """The name of a chat. It is unique in a history."""

    sender: str
    recipient: str
    message_id: str

    def __str__(self) -> str:
        return f"{self.message_id} from {self.sender} to {self.recipient}"


@dataclass
class ChatEvents:
    """All events about one chat, each list in the order of the history."""

    sends: list[Event] = field(default_factory=list)
    answers: list[Event] = field(default_factory=list)
    deliveries: list[Event] = field(default_factory=list)
    receipts: list[Event] = field(default_factory=list)
    reads: list[Event] = field(default_factory=list)

    @property
    def sent(self) -> Event | None:
        """The first answer ``sent``."""
        return next((answer for answer in self.answers if answer.result == "sent"), None)

    @property
    def began(self) -> float:
        """The time of the first attempt."""
        return self.sends[0].t

    @property
    def expired(self) -> bool:
        """Whether its sender got a receipt that it expired."""
        return any(receipt.ack_type == "expired" for receipt in self.receipts)

    @property
    def entries(self) -> list[Event]:
        """The first delivery under each streamId."""
        return list({copy.stream_id: copy for copy in reversed(self.deliveries)}.values())[::-1]


def chats_of(history: Sequence[Event]) -> dict[ChatKey, ChatEvents]:
    """Every chat that an event mentions, in the order of the first mention."""
    found: defaultdict[ChatKey, ChatEvents] = defaultdict(ChatEvents)
    for event in history:
        match event.kind:
            case "send":
                found[ChatKey(event.mobile, event.peer, event.message_id)].sends.append(event)
            case "answer":
                found[ChatKey(event.mobile, event.peer, event.message_id)].answers.append(event)
            case "delivery":
                found[ChatKey(event.peer, event.mobile, event.message_id)].deliveries.append(event)
            case "receipt":
                for message_id in event.message_ids:
                    found[ChatKey(event.mobile, event.peer, message_id)].receipts.append(event)
            case "read":
                for message_id in event.message_ids:
                    found[ChatKey(event.peer, event.mobile, message_id)].reads.append(event)
    return dict(found)


def acks_of(history: Sequence[Event]) -> dict[tuple[str, str], Event]:
    """The first acknowledgement of each (mobile, streamId). A forged one counts: it may name an own entry, too."""
    first: dict[tuple[str, str], Event] = {}
    for event in history:
        if event.kind == "ack":
            for stream_id in event.stream_ids:
                first.setdefault((event.mobile, stream_id), event)
    return first


# ---- faults


class FaultPeriod(NamedTuple):
    """A fault and its repair. ``start`` is the event that began it."""

    span: Span
    start: Event


def fault_periods(history: Sequence[Event], heal: float = 0.0) -> list[FaultPeriod]:
    """Each from its start to ``heal`` seconds after its end; without an end event, for ever."""
    found, running = [], defaultdict[str, list[Event]](list)
    for event in history:
        if event.kind == "fault start":
            running[event.fault].append(event)
        elif event.kind == "fault end" and running[event.fault]:
            start = running[event.fault].pop(0)
            found.append(FaultPeriod(Span(start.t, event.t + heal), start))
    found += [FaultPeriod(Span(start.t, inf), start) for left in running.values() for start in left]
    return sorted(found, key=lambda fault: fault.span)


# ---- blocks


@dataclass(frozen=True)
class Blocks:
    """For each (blocker, blocked): when a block certainly stood, and when it may have stood."""

    certain: dict[tuple[str, str], list[Span]]
    possible: dict[tuple[str, str], list[Span]]

    def possible_between(self, blocker: str, blocked: str) -> list[Span]:
        """When this block may have stood."""
        return self.possible.get((blocker, blocked), [])


def blocks_of(history: Sequence[Event]) -> Blocks:
    """A change is uncertain from its request to its response. A request without a response (status 0) may be executed
    at any later time: after such a block request no unblock is certain, after such an unblock request no block is."""
    return _switched(history, "block", "unblock")


def hidings_of(history: Sequence[Event]) -> Blocks:
    """The same of people who show nobody that they are online: their pairs are (mobile, "")."""
    return _switched(history, "hide", "show")


def _switched(history: Sequence[Event], on: str, off: str) -> Blocks:
    by_pair: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in history:
        if event.kind.startswith((f"{on} ", f"{off} ")):
            by_pair[event.mobile, event.peer].append(event)
    return Blocks(
        {pair: list(_certain(events, on, off)) for pair, events in by_pair.items()},
        {pair: list(_possible(events, on, off)) for pair, events in by_pair.items()},
    )


def _without_response(events: Sequence[Event], what: str) -> Iterator[float]:
    """The times of the requests that may be executed at any later time."""
    answered = {event.request for event in events if event.kind == f"{what} response" and event.status}
    return (event.t for event in events if event.kind == f"{what} request" and event.request not in answered)


def _certain(events: Sequence[Event], on: str, off: str) -> Iterator[Span]:
    uncertain_from, begin = min(_without_response(events, off), default=inf), None
    for event in events:
        if event.kind == f"{on} response" and event.status == 200 and event.t < uncertain_from:
            begin = event.t if begin is None else begin
        elif event.kind == f"{off} request" and begin is not None:
            yield Span(begin, event.t)
            begin = None
    if begin is not None:
        yield Span(begin, uncertain_from)


def _possible(events: Sequence[Event], on: str, off: str) -> Iterator[Span]:
    uncertain_from, begin = min(_without_response(events, on), default=inf), None
    for event in events:
        is_off = event.kind == f"{off} response" and event.status == 200 and event.t < uncertain_from
        if event.kind == f"{on} request":
            begin = event.t if begin is None else begin
        elif is_off and begin is not None:
            yield Span(begin, event.t)
            begin = None
    if begin is not None:
        yield Span(begin, inf)


# ---- losses of storage


@dataclass(frozen=True)
class Losses:
    """Faults that made storage lose data, and who was notified of a loss.

    :param notified: the notifications of each person
    :param seed_clients: people who used the seed dialect
    """

    faults: list[FaultPeriod]
    notified: dict[str, list[Event]]
    seed_clients: set[str]

    def excuse(self, mobile: str, since: float) -> bool:
        """Whether this person's mailbox may have lost what was stored after ``since``, and its owner was notified. A
        client of the seed dialect is not notified when it connects anew (docs/PROTOCOL.md): there the fault itself is
        the excuse."""
        if any(event.t >= since for event in self.notified.get(mobile, [])):
            return True
        return mobile in self.seed_clients and any(fault.span.end >= since for fault in self.faults)


def losses_of(history: Sequence[Event]) -> Losses:
    """A client is notified by ``resync``, or by a ``hello`` with another epoch than the one it knew."""
    notified: defaultdict[str, list[Event]] = defaultdict(list)
    epochs: dict[str, str] = {}
    seed_clients = set()
    for event in history:
        if event.kind == "connecting" and event.dialect == SEED:
            seed_clients.add(event.mobile)
        elif event.kind == "resync" or (event.kind == "connected" and event.epoch):
            if event.kind == "resync" or epochs.get(event.mobile, event.epoch) != event.epoch:
                notified[event.mobile].append(event)
            epochs[event.mobile] = event.epoch
    faults = [fault for fault in fault_periods(history) if fault.start.loses_storage]
    return Losses(faults, dict(notified), seed_clients)


# ---- all that may excuse a missing delivery or receipt


class Excuses(NamedTuple):
    """Why a chat with ``sent`` need not have arrived."""

    blocks: Blocks
    losses: Losses
    end: float

    def reason(self, key: ChatKey, chat: ChatEvents) -> str:
        """``expired``, ``withheld``, ``notified``, or "": nothing excuses it."""
        if chat.expired:
            return "expired"
        if any_overlaps(self.blocks.possible_between(key.recipient, key.sender), chat.began, self.end):
            return "withheld"
        return "notified" if self.losses.excuse(key.recipient, chat.began) else ""


def excuses_of(history: Sequence[Event]) -> Excuses:
    """Of this history."""
    return Excuses(blocks_of(history), losses_of(history), history[-1].t if history else 0.0)
