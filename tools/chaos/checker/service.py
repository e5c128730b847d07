"""I11, I12, I14: the service is available, says what storage lost, and keeps no more in flight than a window."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tools.chaos.checker.facts import FaultPeriod, Span, any_overlaps, fault_periods, losses_of
from tools.chaos.checker.report import DEFAULT_LIMITS, Limits, Violation
from tools.chaos.frames import V1
from tools.chaos.history import Event

OUR_FAULT: Final = (1002, 1007, 1008, 1009, 1011, 4503, 4504)
"""Close codes that a client that keeps to the protocol must never get."""
ABSENCE: Final = 3.0
"""A client that left by itself may be without service for so many seconds."""


class Outage(NamedTuple):
    """A client sent without success from the one event to the other. ``seconds`` is the longest part that counts."""

    seconds: float
    begun: Event
    ended: Event


def gaps(history: Sequence[Event]) -> Iterator[tuple[Event, Event]]:
    """For each client: the times in which a send had no answer and none succeeded. A receipt says as much as an answer:
    a real client does not ask for one that was lost."""
    waiting: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    since: dict[str, Event] = {}
    for event in history:
        chat, theirs = (event.peer, event.message_id), waiting[event.mobile]
        if event.kind == "send":
            theirs.add(chat)
            since.setdefault(event.mobile, event)
        elif answered := theirs & set(_answered(event)):
            theirs -= answered
            yield since.pop(event.mobile), event
            if theirs:
                since[event.mobile] = event
    for mobile, event in since.items():
        if waiting[mobile]:
            yield event, history[-1]


def _answered(event: Event) -> list[tuple[str, str]]:
    if event.kind == "receipt":
        return [(event.peer, each) for each in event.message_ids]
    return [(event.peer, event.message_id)] if event.kind == "answer" and not event.retryable else []


def _without(span: Span, holes: Sequence[Span]) -> Iterator[Span]:
    """The parts of a span outside of the holes."""
    begin = span.begin
    for hole in sorted(holes):
        if hole.overlaps(begin, span.end):
            if hole.begin > begin:
                yield Span(begin, hole.begin)
            begin = max(begin, hole.end)
    if begin < span.end:
        yield Span(begin, span.end)


def _longest(span: Span, holes: Sequence[Span]) -> float:
    return max((part.end - part.begin for part in _without(span, holes)), default=0.0)


def outages(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> tuple[list[Outage], list[Outage]]:
    """All outages outside of faults and their repair, and all within, each with its longest part."""
    faults = [fault.span for fault in fault_periods(history, limits.heal)]
    absent = _absences(history)
    outside, within = [], []
    for begun, ended in gaps(history):
        span = Span(begun.t, ended.t)
        outside.append(Outage(_longest(span, [*faults, *absent[begun.mobile]]), begun, ended))
        if any_overlaps(faults, *span):
            within.append(Outage(_longest(span, absent[begun.mobile]), begun, ended))
    return outside, within


def _absences(history: Sequence[Event]) -> defaultdict[str, list[Span]]:
    """A client that logs out or leaves is not served until it is back. This excuses it for as long as that may take."""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for event in history:
        if event.kind in ("logout request", "reuse request", "away") or (
            event.kind == "disconnected" and event.by_client
        ):
            found[event.mobile].append(Span(event.t, event.t + ABSENCE + event.seconds))
    return found


def i11_available(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """Outside of faults a send succeeds within ``limits.send``, and during a fault that has one within its
    ``outage_limit``. Nothing hangs. No refusal, close code or HTTP status says that the server failed."""
    outside, _ = outages(history, limits)
    sentence = "sent without success for {:.1f} s, outside of any fault and its repair"
    found = [
        Violation("I11", f"{outage.begun.mobile} {sentence.format(outage.seconds)}", [outage.begun, outage.ended])
        for outage in outside
        if outage.seconds > limits.send
    ]
    found += _too_long_in(history)
    silent = [fault.span for fault in fault_periods(history, limits.heal) if not fault.start.servers_answer]
    return [*found, *(violation for event in history for violation in _broken(event, silent, limits))]


def _too_long_in(history: Sequence[Event]) -> Iterator[Violation]:
    limited = [fault for fault in fault_periods(history) if fault.start.outage_limit is not None]
    absent = _absences(history)
    for begun, ended in gaps(history) if limited else ():
        for fault in limited:
            span = Span(max(begun.t, fault.span.begin), min(ended.t, fault.span.end))
            part = _longest(span, absent[begun.mobile])
            if part > (fault.start.outage_limit or 0.0):
                sentence = f"{begun.mobile} sent without success for {part:.1f} s while {fault.start.fault} lasted"
                yield Violation("I11", sentence, [fault.start, begun, ended])


def _broken(event: Event, silent: Sequence[Span], limits: Limits) -> Iterator[Violation]:
    if event.kind == "answer" and event.result != "sent" and (not event.retryable or event.result == "internal"):
        yield Violation("I11", f"{event.mobile} was refused for good: {event.result}", [event])
    elif event.kind == "disconnected" and event.code in OUR_FAULT:
        yield Violation("I11", f"{event.mobile} was closed with {event.code} {event.reason}", [event])
    elif event.kind.endswith(" response") and event.status == 500:
        what = event.kind.removesuffix(" response")
        yield Violation("I11", f"the {what} request of {event.mobile} failed: HTTP 500", [event])
    elif _hung(event, limits.hang) and not any_overlaps(silent, event.t - event.seconds, event.t):
        yield Violation("I11", f"{event.mobile} waited {event.seconds:.1f} s for an answer", [event])


def _hung(event: Event, hang: float) -> bool:
    """Whether it took too long. A client gives up a send only after it waited for so long."""
    return event.kind == "unanswered" or (event.kind.endswith(" response") and event.seconds > hang)


def i12_notified(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """When storage lost its data, every client that can be notified is, and none is notified without a loss."""
    lost = losses_of(history)
    found = [
        Violation("I12", f"{mobile} was notified of a loss that nothing caused", [events[0]])
        for mobile, events in lost.notified.items()
        if not any(fault.span.begin <= events[0].t for fault in lost.faults)
    ]
    for fault in lost.faults:
        for mobile, connected in _can_be_notified(history, fault).items():
            if not any(event.t >= fault.span.begin for event in lost.notified.get(mobile, [])):
                sentence = f"storage lost what it had ({fault.start.fault}), and {mobile} was never notified"
                found.append(Violation("I12", sentence, [connected, fault.start]))
    return found


def _can_be_notified(history: Sequence[Event], fault: FaultPeriod) -> dict[str, Event]:
    """People who knew an epoch before the fault, and, in the seed dialect, those who stayed connected to the end."""
    dialects = {event.connection: event.dialect for event in history if event.kind == "connecting"}
    ended = {event.connection for event in history if event.kind == "disconnected" and not _over(event, history)}
    found = {}
    for event in history:
        if event.kind != "connected" or event.t >= fault.span.begin:
            continue
        if dialects.get(event.connection) == V1 or event.connection not in ended:
            found[event.mobile] = event
    return found


def _over(event: Event, history: Sequence[Event]) -> bool:
    """Whether the event follows the end of the scenario."""
    last = next((each for each in reversed(history) if each.kind == "drained"), None)
    return last is not None and event.n > last.n


def i14_window(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """No more than a window of chats is unacknowledged on one connection. (Receipts share the window. The client sees
    only a part of it, so more chats than the window are too many in any case.)"""
    in_flight: defaultdict[int, dict[str, Event]] = defaultdict(dict)
    found = []
    for event in history:
        here = in_flight[event.connection]
        if event.kind == "delivery":
            here[event.stream_id] = event
            if len(here) == limits.window + 1:
                sentence = f"{len(here)} chats unacknowledged on connection {event.connection} of {event.mobile}"
                found.append(Violation("I14", sentence, [next(iter(here.values())), event]))
        elif event.kind == "ack":
            for stream_id in event.stream_ids:
                here.pop(stream_id, None)
        elif event.kind == "disconnected":
            in_flight.pop(event.connection, None)
    return found
