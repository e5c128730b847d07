"""I5, I6, I9: blocks, presence, logout."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

from tools.chaos.checker.facts import (
    Blocks,
    ChatEvents,
    ChatKey,
    FaultPeriod,
    Span,
    any_overlaps,
    blocks_of,
    chats_of,
    fault_periods,
    hidings_of,
    losses_of,
)
from tools.chaos.checker.report import DEFAULT_LIMITS, Limits, Violation
from tools.chaos.history import Event

SURE: Final = 1.0
"""A connection must go on for so many seconds after a look: until then it may be about to end."""


def i5_blocks(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """After the response to a block request, no chat of that sender is newly delivered while the block stands, and a
    chat that was stored under the block never is. Allowed: chats that a connection older than the block had fetched
    before may still arrive within ``limits.in_flight``, and at any time during a fault (a frozen server sends what it
    had fetched). A chat may be repeated after the block if storage lost it and its recipient was notified."""
    standing, lost = blocks_of(history).certain, losses_of(history)
    faults = [fault.span for fault in fault_periods(history)]
    opened = {event.connection: event for event in history if event.kind == "connecting"}
    found: list[Violation] = []
    for key, chat in chats_of(history).items():
        for span in standing.get((key.recipient, key.sender), []) if chat.deliveries and chat.sends else ():
            if chat.began <= span.begin:
                found += _waited(key, chat, span, opened.get(chat.deliveries[0].connection), faults, limits)
            else:
                found += _stored_under(key, chat, span, notified=lost.excuse(key.recipient, chat.began))
    return found


def _waited(
    key: ChatKey, chat: ChatEvents, span: Span, opened: Event | None, faults: Sequence[Span], limits: Limits
) -> Iterator[Violation]:
    copy = chat.deliveries[0]
    late = copy.t > span.begin + limits.in_flight and not any_overlaps(faults, span.begin, copy.t)
    newer = opened is not None and opened.t > span.begin
    if span.begin < copy.t < span.end and (late or newer):
        events = [chat.sends[0], *([opened] if newer and opened is not None else []), copy]
        yield Violation("I5", f"{key} waited when the block was answered, and arrived later", events)


def _stored_under(key: ChatKey, chat: ChatEvents, span: Span, *, notified: bool) -> Iterator[Violation]:
    events = [chat.sends[0], chat.deliveries[0]]
    if chat.deliveries[0].t < span.end:
        yield Violation("I5", f"{key} was sent after the block was answered, and arrived", events)
    elif chat.sent is not None and chat.sent.t < span.end and not notified:
        yield Violation("I5", f"{key} was stored while a block stood, and arrived after it", [*events, chat.sent])


def i6_presence(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """Nobody is shown online for longer than a lease after their connection, whether somebody looks or watches. Outside
    of faults a connected person is shown online to who looks, unless the person blocks, or may block, them, or one of
    the two shows, or may show, nobody that they are online."""
    possible, certain = _connections(history)
    blocks, hidings = blocks_of(history), hidings_of(history)
    faults = [fault.span for fault in fault_periods(history, limits.heal)]
    asked = {event.request: event for event in history if event.kind == "presence request"}
    found = []
    for event in history:
        is_answer = event.kind == "presence response" and event.status == 200
        if not is_answer and event.kind != "presence pushed":
            continue
        begun, peer = asked[event.request] if is_answer else event, event.peer
        if event.presence == "online":
            # What is pushed was read a moment ago.
            since = begun.t if is_answer else event.t - limits.pushed
            if not any_overlaps(possible[peer], _earliest_lease(since, limits), event.t):
                sentence = f"{peer} was shown online, without a connection for {limits.lease:g} s"
                found.append(Violation("I6", sentence, [*_last_of(history, peer, begun), begun, event]))
        elif is_answer:
            pairs = blocks.possible_between(peer, event.mobile), *_hidings(hidings, peer, event.mobile)
            if not any_overlaps([*faults, *[span for spans in pairs for span in spans]], begun.t, event.t):
                found += _overlooked(certain[peer], begun, event)
    return found


def _hidings(hidings: Blocks, *mobiles: str) -> Iterator[list[Span]]:
    return (hidings.possible_between(mobile, "") for mobile in mobiles)


def hidden_presence(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """Nobody is shown online who blocks the other one or hides it from everybody, or to somebody who hides it
    themselves: from the response on, and what is pushed from ``limits.pushed`` after it on. During a fault a server
    that stood still may push later what it had read."""
    blocks, hidings = blocks_of(history).certain, hidings_of(history).certain
    asked = {event.request: event for event in history if event.kind == "presence request"}
    faults = [fault.span for fault in fault_periods(history, limits.heal)]
    found = []
    for event in history:
        if not event.kind.startswith("presence ") or event.presence != "online":
            continue
        began = asked[event.request].t if event.request else event.t - limits.pushed
        if not event.request and any_overlaps(faults, began, event.t):
            continue
        pairs = {
            "blocks": (event.peer, event.mobile),
            "hides from": (event.peer, ""),
            "is hidden from": (event.mobile, ""),
        }
        for how, pair in pairs.items():
            spans = (blocks if how == "blocks" else hidings).get(pair, [])
            if any(span.begin < began and event.t < span.end for span in spans):
                found.append(Violation("I5b", f"{event.peer} {how} {event.mobile}, and was shown online", [event]))
    return found


def _earliest_lease(at: float, limits: Limits) -> float:
    """When a connection must have stood, at least, whose lease may still last at that time."""
    since = at - limits.lease - limits.lease_grace
    for jump in sorted(limits.clock_set_back, reverse=True):
        if since <= jump <= at:
            since = jump - limits.lease - limits.lease_grace
    return since


def _overlooked(connections: Sequence[tuple[Span, Event]], begun: Event, answered: Event) -> Iterator[Violation]:
    for span, connected in connections:
        if span.begin <= begun.t and span.end >= answered.t + SURE:
            yield Violation("I6", f"{answered.peer} was connected, and not shown online", [connected, begun, answered])


def _connections(
    history: Sequence[Event],
) -> tuple[defaultdict[str, list[Span]], defaultdict[str, list[tuple[Span, Event]]]]:
    """For each person: when they may have been connected, and when they certainly were (not while logging out)."""
    possible: defaultdict[str, list[Span]] = defaultdict(list)
    certain: defaultdict[str, list[tuple[Span, Event]]] = defaultdict(list)
    ends = {event.connection: event.t for event in history if event.kind == "disconnected"}
    left: dict[tuple[str, int], float] = {}
    for event in history:
        if event.kind in ("logout request", "reuse request"):
            left.setdefault((event.mobile, event.session), event.t)
    for event in history:
        end = ends.get(event.connection, inf)
        if event.kind == "connecting":
            possible[event.mobile].append(Span(event.t, end))
        elif event.kind == "connected":
            end = min(end, left.get((event.mobile, event.session), inf))
            certain[event.mobile].append((Span(event.t, min(end, history[-1].t)), event))
    return possible, certain


def _last_of(history: Sequence[Event], mobile: str, before: Event) -> list[Event]:
    """The end of their last connection."""
    mine = [event for event in history[: before.n] if event.mobile == mobile and event.n < before.n]
    return [event for event in mine if event.kind == "disconnected"][-1:]


def i9_logout(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """From ``limits.logout`` after the response to a logout on, nothing is accepted from that session or delivered to
    it, and it opens no socket. If a fault may have cut the channel between servers: from ``limits.logout_cut`` after
    the logout, and after the fault, on."""
    faults = fault_periods(history, limits.heal)
    dead: dict[tuple[str, int], tuple[float, Event]] = {}
    for event in history:
        has_ended = event.kind == "logout response" and event.status == 200
        if has_ended or (event.kind == "reuse response" and event.result == "refresh_reused"):
            dead.setdefault((event.mobile, event.session), (_dead_from(event, faults, limits), event))
    begun: dict[tuple[str, str, int], Event] = {}
    found = []
    for event in history:
        if event.kind == "send":
            begun[event.mobile, event.message_id, event.connection] = event
        if event.kind not in ("delivery", "answer", "connected") or (event.mobile, event.session) not in dead:
            continue
        since, logout = dead[event.mobile, event.session]
        cause = begun.get((event.mobile, event.message_id, event.connection)) if event.kind == "answer" else event
        if cause is not None and cause.t > since and event.result in ("", "sent"):
            sentence = f"{event.mobile} logged out of session {event.session}, which was still used"
            found.append(Violation("I9", sentence, [logout, *([cause] if cause is not event else []), event]))
    return found


def _dead_from(logout: Event, faults: Sequence[FaultPeriod], limits: Limits) -> float:
    begin, end = logout.t - logout.seconds, logout.t + limits.logout_cut
    ends = [fault.span.end - limits.heal for fault in faults if fault.span.overlaps(begin, end)]
    return max(logout.t, *ends) + limits.logout_cut if ends else logout.t + limits.logout


def reused_tokens(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """A refresh token that was replaced long ago gets no new one."""
    return [
        Violation("I9", f"{event.mobile} got tokens for a refresh token that was replaced long ago", [event])
        for event in history
        if event.kind == "reuse response" and event.status == 200
    ]
