"""I11, I12, I14: available, honest about losses, and no more in flight than a window."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tools.chaos.checker.circumstances import Fault, Span, faults, losses, meets
from tools.chaos.checker.report import USUAL, Limits, Violation
from tools.chaos.history import Event
from tools.chaos.speech import V1

OUR_FAULT: Final = (1002, 1007, 1008, 1009, 1011, 4503, 4504)
"""Close codes a client that keeps to the protocol never meets."""
ABSENCE: Final = 3.0
"""Seconds for which a client that left by itself is not missed."""


class Outage(NamedTuple):
    """A client sent in vain from the one event to the other; ``seconds`` is the part of it that counts."""

    seconds: float
    begun: Event
    ended: Event


def gaps(history: Sequence[Event]) -> Iterator[tuple[Event, Event]]:
    """Of each client: the times in which a send was outstanding and none succeeded."""
    waiting: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    since: dict[str, Event] = {}
    for event in history:
        chat, theirs = (event.whom, event.message_id), waiting[event.who]
        if event.kind == "send":
            theirs.add(chat)
            since.setdefault(event.who, event)
        elif event.kind == "answer" and not event.retryable and chat in theirs:
            theirs.discard(chat)
            yield since.pop(event.who), event
            if theirs:
                since[event.who] = event
    for who, event in since.items():
        if waiting[who]:
            yield event, history[-1]


def _without(span: Span, holes: Sequence[Span]) -> Iterator[Span]:
    """What is left of a time."""
    begin = span.begin
    for hole in sorted(holes):
        if hole.meets(begin, span.end):
            if hole.begin > begin:
                yield Span(begin, hole.begin)
            begin = max(begin, hole.end)
    if begin < span.end:
        yield Span(begin, span.end)


def _longest(span: Span, holes: Sequence[Span]) -> float:
    return max((part.end - part.begin for part in _without(span, holes)), default=0.0)


def outages(history: Sequence[Event], limits: Limits = USUAL) -> tuple[list[Outage], list[Outage]]:
    """Outside of faults and their healing, and within: every one, with its longest part."""
    troubled = [fault.span for fault in faults(history, limits.heal)]
    absent = _absences(history)
    outside, within = [], []
    for begun, ended in gaps(history):
        span = Span(begun.t, ended.t)
        outside.append(Outage(_longest(span, [*troubled, *absent[begun.who]]), begun, ended))
        if meets(troubled, *span):
            within.append(Outage(_longest(span, absent[begun.who]), begun, ended))
    return outside, within


def _absences(history: Sequence[Event]) -> defaultdict[str, list[Span]]:
    """Who logs out or vanishes is not served until he is back; for so long only, for then he should be."""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for event in history:
        if event.kind in ("logout begun", "away") or (event.kind == "disconnected" and event.own):
            found[event.who].append(Span(event.t, event.t + ABSENCE + event.seconds))
    return found


def i11_available(history: Sequence[Event], limits: Limits = USUAL) -> list[Violation]:
    """Outside of faults a send succeeds within ``limits.send``, and within a fault that says so within its
    ``outage_limit``; nothing hangs; no refusal, close or HTTP answer says that our side broke."""
    outside, _ = outages(history, limits)
    sentence = "sent in vain for {:.1f} s, outside of any fault and its healing"
    found = [
        Violation("I11", f"{outage.begun.who} {sentence.format(outage.seconds)}", [outage.begun, outage.ended])
        for outage in outside
        if outage.seconds > limits.send
    ]
    found += _too_long_in(history)
    silent = [fault.span for fault in faults(history, limits.heal) if not fault.begun.answers]
    return [*found, *(violation for event in history for violation in _broken(event, silent, limits))]


def _too_long_in(history: Sequence[Event]) -> Iterator[Violation]:
    limited = [fault for fault in faults(history) if fault.begun.outage_limit is not None]
    absent = _absences(history)
    for begun, ended in gaps(history) if limited else ():
        for fault in limited:
            span = Span(max(begun.t, fault.span.begin), min(ended.t, fault.span.end))
            part = _longest(span, absent[begun.who])
            if part > (fault.begun.outage_limit or 0.0):
                sentence = f"{begun.who} sent in vain for {part:.1f} s while {fault.begun.fault} lasted"
                yield Violation("I11", sentence, [fault.begun, begun, ended])


def _broken(event: Event, silent: Sequence[Span], limits: Limits) -> Iterator[Violation]:
    if event.kind == "answer" and event.result != "sent" and (not event.retryable or event.result == "internal"):
        yield Violation("I11", f"{event.who} was refused for good: {event.result}", [event])
    elif event.kind == "disconnected" and event.code in OUR_FAULT:
        yield Violation("I11", f"{event.who} was closed with {event.code} {event.reason}", [event])
    elif event.kind.endswith(" answered") and event.status == 500:
        yield Violation("I11", f"{event.kind.removesuffix(' answered')} of {event.who} broke: HTTP 500", [event])
    elif _hung(event, limits.hang) and not meets(silent, event.t - event.seconds, event.t):
        yield Violation("I11", f"{event.who} waited {event.seconds:.1f} s for an answer", [event])


def _hung(event: Event, hang: float) -> bool:
    """A client that gave up a send has waited for so long, or it would not have."""
    return event.kind == "unanswered" or (event.kind.endswith(" answered") and event.seconds > hang)


def i12_told(history: Sequence[Event], _limits: Limits = USUAL) -> list[Violation]:
    """When storage lost what it had, everybody who can be told is; and nobody is told of a loss that nothing caused."""
    lost = losses(history)
    found = [
        Violation("I12", f"{who} was told that storage lost something, and nothing had taken it", [told[0]])
        for who, told in lost.told.items()
        if not any(fault.span.begin <= told[0].t for fault in lost.struck)
    ]
    for fault in lost.struck:
        for who, connected in _tellable(history, fault).items():
            if not any(event.t >= fault.span.begin for event in lost.told.get(who, [])):
                sentence = f"storage lost what it had ({fault.begun.fault}), and {who} was never told"
                found.append(Violation("I12", sentence, [connected, fault.begun]))
    return found


def _tellable(history: Sequence[Event], fault: Fault) -> dict[str, Event]:
    """Who knew an epoch before; of the seed dialect, who stayed connected to the end."""
    dialects = {event.connection: event.dialect for event in history if event.kind == "connecting"}
    ended = {event.connection for event in history if event.kind == "disconnected" and not _over(event, history)}
    found = {}
    for event in history:
        if event.kind != "connected" or event.t >= fault.span.begin:
            continue
        if dialects.get(event.connection) == V1 or event.connection not in ended:
            found[event.who] = event
    return found


def _over(event: Event, history: Sequence[Event]) -> bool:
    """Whether it came after the end of all."""
    last = next((each for each in reversed(history) if each.kind == "drained"), None)
    return last is not None and event.n > last.n


def i14_window(history: Sequence[Event], limits: Limits = USUAL) -> list[Violation]:
    """No more than a window of chats is unacked on one connection. (Receipts are in the window, too; what the client
    sees of it is the smaller part, so what it sees too many of are too many.)"""
    flying: defaultdict[int, dict[str, Event]] = defaultdict(dict)
    found = []
    for event in history:
        here = flying[event.connection]
        if event.kind == "delivery":
            here[event.stream_id] = event
            if len(here) == limits.window + 1:
                sentence = f"{len(here)} chats unacked on connection {event.connection} of {event.who}"
                found.append(Violation("I14", sentence, [next(iter(here.values())), event]))
        elif event.kind == "ack":
            for stream_id in event.stream_ids:
                here.pop(stream_id, None)
        elif event.kind == "disconnected":
            flying.pop(event.connection, None)
    return found
