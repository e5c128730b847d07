"""What a real client does for its program: hands over once, in order, before it acknowledges; and sends in order."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tools.chaos.checker.facts import losses_of
from tools.chaos.checker.report import DEFAULT_LIMITS, Limits, Violation
from tools.chaos.history import Event

Chat = tuple[str, str, str]
"""Sender, messageId, digest."""


def handed_over(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """What arrived at a real client was handed to its handler: all of it, each once, each conversation in the order in
    which it arrived, and before it was acknowledged. One chat may be handed over again after its process was killed,
    if it was not acknowledged before."""
    people = {event.mobile for event in history if event.kind == "handed"}
    found: list[Violation] = []
    for mobile in sorted(people):
        found += _of_one([event for event in history if event.mobile == mobile])
    return found


def _chat(event: Event) -> Chat:
    return event.peer, event.message_id, event.digest


def _of_one(events: Sequence[Event]) -> Iterator[Violation]:  # noqa: C901 - one case for each kind
    handed: dict[Chat, Event] = {}
    arrived: dict[Chat, Event] = {}
    by_stream_id: dict[str, Chat] = {}
    acknowledged: set[Chat] = set()
    killed = Event(0, 0.0, "killed")
    for event in events:
        match event.kind:
            case "killed":
                killed = event
            case "delivery":
                arrived.setdefault(_chat(event), event)
                by_stream_id[event.stream_id] = _chat(event)
            case "handed":
                before = handed.get(_chat(event))
                if before is not None and (_chat(event) in acknowledged or killed.n < before.n):
                    yield Violation("handed over", f"{event.message_id} was handed over twice", [before, event])
                handed.setdefault(_chat(event), event)
            case "ack":
                chats = [by_stream_id[each] for each in event.stream_ids if each in by_stream_id]
                acknowledged.update(chats)
                for chat in chats:
                    if chat not in handed:
                        sentence = f"{chat[1]} was acknowledged before it was handed over"
                        yield Violation("handed over", sentence, [arrived[chat], event])
    for chat, event in arrived.items():
        if chat not in handed:
            yield Violation("handed over", f"{chat[1]} arrived at {event.mobile} and was never handed over", [event])
    yield from _disordered(arrived, handed)


def _disordered(arrived: dict[Chat, Event], handed: dict[Chat, Event]) -> Iterator[Violation]:
    """Within each conversation. Both are in the order of the history."""
    latest: dict[str, Event] = {}
    for chat, first in arrived.items():
        event = handed.get(chat)
        if event is None:
            continue
        before = latest.get(chat[0])
        if before is not None and event.n < before.n:
            sentence = f"{chat[1]} of {chat[0]} was handed over before {before.message_id}, which had arrived earlier"
            yield Violation("handed over", sentence, [first, event, before])
        else:
            latest[chat[0]] = event


def sent_in_order(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """What a program posted to one person with a real client arrives in this order, whatever was refused or cut. What
    storage lost, and the recipient was notified of, has no place in it."""
    lost = losses_of(history)
    order: dict[tuple[str, str, str], Event] = {}
    arrived: dict[tuple[str, str, str], Event] = {}
    refused = {
        (event.mobile, event.peer, event.message_id)
        for event in history
        if (event.kind == "answer" and event.result != "sent" and not event.retryable) or event.kind == "post refused"
    }
    for event in history:
        if event.kind == "posted":
            order[event.mobile, event.peer, event.message_id] = event
        elif event.kind == "delivery":
            arrived.setdefault((event.peer, event.mobile, event.message_id), event)
    conversations: defaultdict[tuple[str, str], list[tuple[Event, Event]]] = defaultdict(list)
    for key, posted in order.items():
        if key in arrived and key not in refused and not lost.excuse(key[1], posted.t):
            conversations[key[:2]].append((posted, arrived[key]))
    found = []
    for (sender, recipient), pairs in conversations.items():
        for (earlier, first), (later, second) in pairwise(pairs):
            if second.n < first.n:
                sentence = f"from {sender} to {recipient}: {later.message_id} was posted after {earlier.message_id}"
                found.append(Violation("sent in order", f"{sentence}, and arrived before it", [earlier, later, second]))
    return found
