"""I5, I6, I9: blocks, presence, logout."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

from tools.chaos.checker.circumstances import Fault, Span, blocks, faults, losses, meets
from tools.chaos.checker.fates import Fate, Key, fates
from tools.chaos.checker.report import USUAL, Limits, Violation
from tools.chaos.history import Event

SURE: Final = 1.0
"""Seconds a connection must stand on for its owner to have been online beyond doubt: it may just be ending."""


def i5_blocks(history: Sequence[Event], limits: Limits = USUAL) -> list[Violation]:
    """Once a block is answered, nothing of that sender's is newly handed over while it stands; what was stored under it
    never is. Allowed: what a connection older than the block had collected before may still arrive within
    ``limits.in_flight``, and at any time while a fault lasts (a frozen server lets out what it had in hand); a chat
    that storage forgot, and told so, may be repeated after the block."""
    standing, lost, struck = blocks(history).surely, losses(history), [fault.span for fault in faults(history)]
    opened = {event.connection: event for event in history if event.kind == "connecting"}
    found: list[Violation] = []
    for key, fate in fates(history).items():
        for span in standing.get((key.recipient, key.sender), []) if fate.deliveries and fate.sends else ():
            if fate.began <= span.begin:
                found += _waited(key, fate, span, opened.get(fate.deliveries[0].connection), struck, limits)
            else:
                found += _stored_under(key, fate, span, told=lost.excuse(key.recipient, fate.began))
    return found


def _waited(
    key: Key, fate: Fate, span: Span, opened: Event | None, struck: Sequence[Span], limits: Limits
) -> Iterator[Violation]:
    copy = fate.deliveries[0]
    late = copy.t > span.begin + limits.in_flight and not meets(struck, span.begin, copy.t)
    newer = opened is not None and opened.t > span.begin
    if span.begin < copy.t < span.end and (late or newer):
        events = [fate.sends[0], *([opened] if newer and opened is not None else []), copy]
        yield Violation("I5", f"{key} waited when the block was answered, and came later", events)


def _stored_under(key: Key, fate: Fate, span: Span, *, told: bool) -> Iterator[Violation]:
    events = [fate.sends[0], fate.deliveries[0]]
    if fate.deliveries[0].t < span.end:
        yield Violation("I5", f"{key} was sent after the block was answered, and came", events)
    elif fate.sent is not None and fate.sent.t < span.end and not told:
        yield Violation("I5", f"{key} was stored while a block stood, and came after it", [*events, fate.sent])


def i6_presence(history: Sequence[Event], limits: Limits = USUAL) -> list[Violation]:
    """Nobody is shown online longer than a lease after his connection; outside of faults whoever is connected is shown
    online, unless he blocks, or may block, who asks."""
    may, surely = _connections(history)
    hidden, troubled = blocks(history), [fault.span for fault in faults(history, limits.heal)]
    asked = {event.ask: event for event in history if event.kind == "presence asked"}
    found = []
    for event in history:
        if event.kind != "presence answered" or event.status != 200:
            continue
        begun, whom = asked[event.ask], event.whom
        if event.seen == "online":
            since = begun.t - limits.lease - limits.lease_grace
            if not meets(may[whom], since, event.t):
                sentence = f"{whom} was shown online, without a connection for {limits.lease:g} s"
                found.append(Violation("I6", sentence, [*_last_of(history, whom, begun), begun, event]))
        elif not meets(troubled, begun.t, event.t) and not meets(hidden.may(whom, event.who), begun.t, event.t):
            found += _overlooked(surely[whom], begun, event)
    return found


def _overlooked(connections: Sequence[tuple[Span, Event]], begun: Event, answered: Event) -> Iterator[Violation]:
    for span, connected in connections:
        if span.begin <= begun.t and span.end >= answered.t + SURE:
            yield Violation("I6", f"{answered.whom} was connected, and not shown online", [connected, begun, answered])


def _connections(
    history: Sequence[Event],
) -> tuple[defaultdict[str, list[Span]], defaultdict[str, list[tuple[Span, Event]]]]:
    """Of each person: when he may have been connected, and when he was beyond doubt (not while logging out)."""
    may: defaultdict[str, list[Span]] = defaultdict(list)
    surely: defaultdict[str, list[tuple[Span, Event]]] = defaultdict(list)
    ends = {event.connection: event.t for event in history if event.kind == "disconnected"}
    left: dict[tuple[str, int], float] = {}
    for event in history:
        if event.kind == "logout begun":
            left.setdefault((event.who, event.session), event.t)
    for event in history:
        end = ends.get(event.connection, inf)
        if event.kind == "connecting":
            may[event.who].append(Span(event.t, end))
        elif event.kind == "connected":
            end = min(end, left.get((event.who, event.session), inf))
            surely[event.who].append((Span(event.t, min(end, history[-1].t)), event))
    return may, surely


def _last_of(history: Sequence[Event], who: str, before: Event) -> list[Event]:
    """When he was last connected."""
    ends = [event for event in history if event.kind == "disconnected" and event.who == who and event.n < before.n]
    return ends[-1:]


def i9_logout(history: Sequence[Event], limits: Limits = USUAL) -> list[Violation]:
    """A second after a logout was answered nothing is accepted from that session or handed to it, and it opens no
    socket; ``limits.logout_cut`` after it, and after the fault, if one may have cut the bus."""
    struck = faults(history, limits.heal)
    dead: dict[tuple[str, int], tuple[float, Event]] = {}
    for event in history:
        if event.kind == "logout answered" and event.status == 200:
            dead.setdefault((event.who, event.session), (_dead_from(event, struck, limits), event))
    begun: dict[tuple[str, str, int], Event] = {}
    found = []
    for event in history:
        if event.kind == "send":
            begun[event.who, event.message_id, event.connection] = event
        if event.kind not in ("delivery", "answer", "connected") or (event.who, event.session) not in dead:
            continue
        since, logout = dead[event.who, event.session]
        cause = begun.get((event.who, event.message_id, event.connection)) if event.kind == "answer" else event
        if cause is not None and cause.t > since and event.result in ("", "sent"):
            sentence = f"{event.who} had logged out of session {event.session}, which went on"
            found.append(Violation("I9", sentence, [logout, *([cause] if cause is not event else []), event]))
    return found


def _dead_from(logout: Event, struck: Sequence[Fault], limits: Limits) -> float:
    begin, end = logout.t - logout.seconds, logout.t + limits.logout_cut
    ends = [fault.span.end - limits.heal for fault in struck if fault.span.meets(begin, end)]
    return max(logout.t, *ends) + limits.logout_cut if ends else logout.t + limits.logout
