"""I1 for each device of a recipient; and I1, I2, I3, I4 and I8 for what one device did and the others are told."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from tools.chaos.checker.facts import ChatEvents, ChatKey, Losses, chats_of, excuses_of, losses_of
from tools.chaos.checker.report import DEFAULT_LIMITS, Limits, Violation
from tools.chaos.frames import V1
from tools.chaos.history import Event

Device: TypeAlias = tuple[str, str]
"""Mobile number and deviceId."""
Copies: TypeAlias = dict[tuple[Device, ChatKey], list[Event]]


@dataclass
class _Devices:
    """Who used which connection.

    :param of: the device of each connection
    :param told: when each device was connected, or told that storage lost something
    :param in_v1: the devices that speak ``wm.v1``
    :param left: when a session of each device was to end: with the last one the device loses its place
    """

    of: dict[int, Device] = field(default_factory=dict)
    told: dict[Device, list[float]] = field(default_factory=dict)
    in_v1: set[Device] = field(default_factory=set)
    left: dict[Device, list[float]] = field(default_factory=dict)

    def with_place(self, mobile: str, at: float, lost: Losses, known: float = 0.0) -> Iterator[Device]:
        """The devices of a person that had a place in the mailbox for ``known`` seconds, and kept it: since they were
        connected first, or anew after storage was lost."""
        loss = max((fault.span.begin for fault in lost.faults if fault.span.begin <= at), default=0.0)
        for device, times in self.told.items():
            since = max(loss, *self.left.get(device, [0.0]))
            if device[0] == mobile and any(since <= told < at - known for told in times):
                yield device

    def others(self, device: Device, at: float, lost: Losses, known: float) -> Iterator[Device]:
        """The other ones of these that speak ``wm.v1``."""
        all_of_them = self.with_place(device[0], at, lost, known)
        return (each for each in all_of_them if each != device and each in self.in_v1)


class _Facts(NamedTuple):
    devices: _Devices
    copies: Copies
    chats: dict[ChatKey, ChatEvents]
    delivered: set[tuple[Device, ChatKey]]


def _facts(history: Sequence[Event]) -> _Facts:
    devices, copies = _Devices(), defaultdict[tuple[Device, ChatKey], list[Event]](list)
    sessions, delivered = dict[int, Device](), set[tuple[Device, ChatKey]]()
    for event in history:
        match event.kind:
            case "connecting":
                devices.of[event.connection] = sessions[event.session] = event.mobile, event.device
                if event.dialect == V1:
                    devices.in_v1.add((event.mobile, event.device))
            case "logout request" | "reuse request" if event.session in sessions:
                devices.left.setdefault(sessions[event.session], []).append(event.t)
            case "connected" | "resync":
                devices.told.setdefault(devices.of[event.connection], []).append(event.t)
            case "delivery" if event.connection in devices.of:
                key = ChatKey(event.peer, event.mobile, event.message_id)
                delivered.add((devices.of[event.connection], key))
            case "own":
                key = ChatKey(event.mobile, event.peer, event.message_id)
                copies[devices.of[event.connection], key].append(event)
    return _Facts(devices, dict(copies), chats_of(history), delivered)


def on_each_device(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """A chat that was begun when a device of its recipient had a place in the mailbox comes to that device, too. What
    excuses a chat from arriving at all excuses this."""
    facts, excused = _facts(history), excuses_of(history)
    return [
        Violation("I1", f"{key} never came to {device[1]}", [chat.sends[0], chat.deliveries[0]])
        for key, chat in facts.chats.items()
        if chat.sends and chat.sent is not None and chat.deliveries and not excused.reason(key, chat)
        for device in facts.devices.with_place(key.recipient, chat.began, excused.losses)
        if (device, key) not in facts.delivered
    ]


def own_copies(history: Sequence[Event], limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """What one device sent comes to each other device of the person in ``wm.v1`` that was connected before: once, as it
    was sent, with the time that ``sent`` had, and in the order of its conversation. It may be missing if storage lost
    something and the person was notified. That another device is there takes a ping to be known, if the notification is
    lost."""
    facts, lost = _facts(history), losses_of(history)
    return [
        *_forged_copies(facts),
        *_other_copies(facts, lost),
        *_missing_copies(facts, lost, limits),
        *_swapped_copies(facts, lost),
    ]


def _forged_copies(facts: _Facts) -> Iterator[Violation]:
    for (device, key), events in facts.copies.items():
        chat = facts.chats.get(key, ChatEvents())
        sends = [send for send in chat.sends if facts.devices.of[send.connection] != device]
        if not sends or sends[0].n > events[0].n:
            yield Violation("I8", f"{key} came to {device[1]}, which no other device had sent", [events[0]])
        elif sends[0].digest != events[0].digest:
            yield Violation("I8", f"{key} came to {device[1]} altered", [sends[0], events[0]])


def _other_copies(facts: _Facts, lost: Losses) -> Iterator[Violation]:
    for (device, key), events in facts.copies.items():
        chat = facts.chats.get(key, ChatEvents())
        if not chat.sends or lost.excuse(key.sender, chat.began) or lost.excuse(key.recipient, chat.began):
            continue
        if len({event.stream_id for event in events}) > 1:
            yield Violation("I2", f"{key} came to {device[1]} twice, as two entries", events[:2])
        elif chat.sent is not None and chat.sent.timestamp != events[0].timestamp:
            sentence = f"{key} came to {device[1]} with another time than `sent` had"
            yield Violation("I2", sentence, [chat.sent, events[0]])


def _missing_copies(facts: _Facts, lost: Losses, limits: Limits) -> Iterator[Violation]:
    for key, chat in facts.chats.items():
        if not chat.sends or chat.sent is None or lost.excuse(key.sender, chat.began):
            continue
        sender = facts.devices.of[chat.sends[0].connection]
        for device in facts.devices.others(sender, chat.began, lost, limits.device_known):
            if (device, key) not in facts.copies:
                sentence = f"{key} got `sent` on {sender[1]} and never came to {device[1]}"
                yield Violation("I1", sentence, [chat.sends[0], chat.sent])


def _swapped_copies(facts: _Facts, lost: Losses) -> Iterator[Violation]:
    """A chat that was sent after an earlier one had got ``sent`` is not copied before it. One that is repeated later
    may be copied then: the other device may not have been there before."""
    conversations: defaultdict[tuple[Device, Device, str], list[tuple[ChatEvents, Event]]] = defaultdict(list)
    for (device, key), events in facts.copies.items():
        chat = facts.chats.get(key, ChatEvents())
        is_repeated = chat.sent is not None and chat.sends and chat.sends[-1].n > chat.sent.n
        if chat.sends and not is_repeated and not lost.excuse(key.sender, chat.began):
            sender = facts.devices.of[chat.sends[0].connection]
            conversations[device, sender, key.recipient].append((chat, events[0]))
    for (device, _, peer), copied in conversations.items():
        latest: tuple[ChatEvents, Event] | None = None
        for chat, copy in sorted(copied, key=lambda item: item[1].n):
            if latest is not None and chat.sent is not None and chat.sent.n < latest[0].sends[0].n:
                sentence = f"on {device[1]}, a copy to {peer} came after that of a chat sent later"
                yield Violation("I3", sentence, [chat.sends[0], latest[0].sends[0], latest[1], copy])
                break
            if latest is None or chat.sends[0].n > latest[0].sends[0].n:
                latest = chat, copy


def own_reads(history: Sequence[Event], _limits: Limits = DEFAULT_LIMITS) -> list[Violation]:
    """A device is told that chats were read only when they were, on another one."""
    devices = _facts(history).devices
    read: set[tuple[Device, str, str]] = set()
    found = []
    for event in history:
        if event.kind == "read":
            read.update((devices.of[event.connection], event.peer, name) for name in event.message_ids)
        elif event.kind == "own read":
            here = devices.of[event.connection]
            others = {device for device in devices.of.values() if device[0] == here[0] and device != here}
            for name in event.message_ids:
                if not any((device, event.peer, name) in read for device in others):
                    sentence = f"{here[1]} of {here[0]} was told that {name} of {event.peer} was read elsewhere"
                    found.append(Violation("I4", f"{sentence}, and it was not", [event]))
    return found
