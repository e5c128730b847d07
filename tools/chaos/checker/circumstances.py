"""When what may be excused: faults, blocks, storage that told of a loss."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from tools.chaos.history import Event
from tools.chaos.speech import SEED


class Span(NamedTuple):
    """From ``begin`` to ``end``, in monotonic seconds."""

    begin: float
    end: float

    def meets(self, begin: float, end: float) -> bool:
        """Whether they have a moment in common."""
        return self.begin <= end and begin <= self.end


def meets(spans: Iterable[Span], begin: float, end: float) -> bool:
    """Whether any of these does."""
    return any(span.meets(begin, end) for span in spans)


class Fault(NamedTuple):
    """One that struck, and its healing."""

    span: Span
    begun: Event


def faults(history: Sequence[Event], heal: float = 0.0) -> list[Fault]:
    """Each from its begin to ``heal`` seconds after its end; to the end of all if it was never ended."""
    found, running = [], defaultdict[str, list[Event]](list)
    for event in history:
        if event.kind == "fault begun":
            running[event.fault].append(event)
        elif event.kind == "fault ended" and running[event.fault]:
            begun = running[event.fault].pop(0)
            found.append(Fault(Span(begun.t, event.t + heal), begun))
    found += [Fault(Span(begun.t, inf), begun) for left in running.values() for begun in left]
    return sorted(found, key=lambda fault: fault.span)


@dataclass(frozen=True)
class Blocks:
    """Of each (blocker, blocked): when a block surely stood, and when it may have."""

    surely: dict[tuple[str, str], list[Span]]
    maybe: dict[tuple[str, str], list[Span]]

    def may(self, blocker: str, blocked: str) -> list[Span]:
        """When it may have stood."""
        return self.maybe.get((blocker, blocked), [])


def blocks(history: Sequence[Event]) -> Blocks:
    """A change is uncertain from its begin to its answer. One that was never answered (status 0) may be made at any
    later time: after such a block nothing is sure to be unblocked, after such an unblock nothing to be blocked."""
    by_pair: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in history:
        if event.kind.startswith(("block ", "unblock ")):
            by_pair[event.who, event.whom].append(event)
    return Blocks(
        {pair: list(_surely(events)) for pair, events in by_pair.items()},
        {pair: list(_maybe(events)) for pair, events in by_pair.items()},
    )


def _unanswered(events: Sequence[Event], what: str) -> Iterator[float]:
    """When those were begun that may be made at any later time."""
    answered = {event.ask for event in events if event.kind == f"{what} answered" and event.status}
    return (event.t for event in events if event.kind == f"{what} begun" and event.ask not in answered)


def _surely(events: Sequence[Event]) -> Iterator[Span]:
    doubtful, begin = min(_unanswered(events, "unblock"), default=inf), None
    for event in events:
        if event.kind == "block answered" and event.status == 200 and event.t < doubtful:
            begin = event.t if begin is None else begin
        elif event.kind == "unblock begun" and begin is not None:
            yield Span(begin, event.t)
            begin = None
    if begin is not None:
        yield Span(begin, doubtful)


def _maybe(events: Sequence[Event]) -> Iterator[Span]:
    doubtful, begin = min(_unanswered(events, "block"), default=inf), None
    for event in events:
        if event.kind == "block begun":
            begin = event.t if begin is None else begin
        elif event.kind == "unblock answered" and event.status == 200 and begin is not None and event.t < doubtful:
            yield Span(begin, event.t)
            begin = None
    if begin is not None:
        yield Span(begin, inf)


@dataclass(frozen=True)
class Losses:
    """What storage lost, and who was told."""

    struck: list[Fault]
    told: dict[str, list[Event]]
    seed: set[str]

    def excuse(self, who: str, since: float) -> bool:
        """Whether this person's mailbox may have lost what was in it after ``since``, and he knows. A client of the
        seed dialect is not told when he connects anew (docs/PROTOCOL.md): there the fault itself must do."""
        if any(event.t >= since for event in self.told.get(who, [])):
            return True
        return who in self.seed and any(fault.span.end >= since for fault in self.struck)


def losses(history: Sequence[Event]) -> Losses:
    """Told is who got ``resync``, or a ``hello`` with another epoch than the one he knew."""
    told: defaultdict[str, list[Event]] = defaultdict(list)
    known: dict[str, str] = {}
    seed = set()
    for event in history:
        if event.kind == "connecting" and event.dialect == SEED:
            seed.add(event.who)
        elif event.kind == "resync" or (event.kind == "connected" and event.epoch):
            if event.kind == "resync" or known.get(event.who, event.epoch) != event.epoch:
                told[event.who].append(event)
            known[event.who] = event.epoch
    return Losses([fault for fault in faults(history) if fault.begun.loses_storage], dict(told), seed)
