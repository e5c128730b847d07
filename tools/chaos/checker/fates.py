"""What became of every chat, read off a history."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tools.chaos.history import Event


class Key(NamedTuple):
    """A chat's name: unique for ever."""

    sender: str
    recipient: str
    message_id: str

    def __str__(self) -> str:
        return f"{self.message_id} from {self.sender} to {self.recipient}"


@dataclass
class Fate:
    """Everything that speaks of one chat, each list in the order of the history."""

    sends: list[Event] = field(default_factory=list)
    answers: list[Event] = field(default_factory=list)
    deliveries: list[Event] = field(default_factory=list)
    receipts: list[Event] = field(default_factory=list)
    reads: list[Event] = field(default_factory=list)

    @property
    def sent(self) -> Event | None:
        """The single tick."""
        return next((answer for answer in self.answers if answer.result == "sent"), None)

    @property
    def began(self) -> float:
        """When it was first begun."""
        return self.sends[0].t

    @property
    def expired(self) -> bool:
        """Whether its sender was told that nobody came for it."""
        return any(receipt.ack_type == "expired" for receipt in self.receipts)

    @property
    def places(self) -> list[Event]:
        """The first delivery under each streamId."""
        return list({copy.stream_id: copy for copy in reversed(self.deliveries)}.values())[::-1]


def fates(history: Sequence[Event]) -> dict[Key, Fate]:
    """By name, in the order in which they were first heard of."""
    found: defaultdict[Key, Fate] = defaultdict(Fate)
    for event in history:
        match event.kind:
            case "send":
                found[Key(event.who, event.whom, event.message_id)].sends.append(event)
            case "answer":
                found[Key(event.who, event.whom, event.message_id)].answers.append(event)
            case "delivery":
                found[Key(event.whom, event.who, event.message_id)].deliveries.append(event)
            case "receipt":
                for message_id in event.message_ids:
                    found[Key(event.who, event.whom, message_id)].receipts.append(event)
            case "read":
                for message_id in event.message_ids:
                    found[Key(event.whom, event.who, message_id)].reads.append(event)
    return dict(found)


def acks_of(history: Sequence[Event]) -> dict[tuple[str, str], Event]:
    """The first ack of each (client, streamId). One in another's name counts: it may be the liar's own entry, too."""
    first: dict[tuple[str, str], Event] = {}
    for event in history:
        if event.kind == "ack":
            for stream_id in event.stream_ids:
                first.setdefault((event.who, stream_id), event)
    return first
