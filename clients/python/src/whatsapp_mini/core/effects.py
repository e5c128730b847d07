"""What the core asks its shell to do, and the type of the list that it appends to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from whatsapp_mini.events import Event
from whatsapp_mini.messages import Failure, Message
from whatsapp_mini.store import Change

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Get a ticket and open a socket. Replies: ``opening``, then ``received`` and ``closed``, or ``refused``.

    :param round: is given back with each reply; replies of an older round are passed over
    :param refresh: the session's token was refused: refresh it first (C2)
    """

    round: int
    refresh: bool


@dataclass(frozen=True, slots=True)
class EndSocket:
    """Let the current socket go. ``code`` None: at once, without a close frame. No reply."""

    code: int | None


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Write one frame as a message of its own. No reply."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class ForgetSession:
    """The session has ended: remove it from the store (C5)."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Apply changes to the store. Reply: ``kept``, with the number. Several may be done in one transaction."""

    number: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class KeepEpoch:
    """Keep the epoch, after what was to be kept before. No reply."""

    epoch: str


@dataclass(frozen=True, slots=True)
class AskUnknown:
    """Ask the store which of these chats are not known. Reply: ``unknown``, with the number."""

    number: int
    chats: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give the message to the handler. Reply: ``handled`` or ``handler_failed``."""

    message: Message


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the program."""

    event: Event


@dataclass(frozen=True, slots=True)
class Settle:
    """A message of one's own has its final answer: the server's timestamp, or why it failed."""

    peer: str
    id: str
    outcome: int | Failure


Effect = OpenSocket | EndSocket | SendFrame | ForgetSession | Keep | KeepEpoch | AskUnknown | HandOver | Emit | Settle
Do = Callable[[Effect], None]
