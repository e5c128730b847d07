"""What ``client.events()`` gives. Each event has the name that ``docs/clients.md`` gives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from whatsapp_mini.messages import Message, State

ConnectionName = Literal["off", "connecting", "online", "pausing", "stopped", "loggedOut"]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """What the client is doing.

    :param until: of ``pausing``, when it tries again: seconds of Unix time, by this machine's clock
    :param code: of ``stopped`` and ``loggedOut``: a close code, a code of the protocol, ``handler_failed``, or
        ``store_failed``
    """

    name: ConnectionName
    until: float | None = None
    code: int | str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state of the connection."""

    name: ClassVar[str] = "state"
    state: ConnectionState


@dataclass(frozen=True, slots=True)
class MessageCame:
    """A message of somebody, after it was kept and acknowledged."""

    name: ClassVar[str] = "message"
    message: Message


@dataclass(frozen=True, slots=True)
class Posted:
    """A message of one's own is kept, and will be sent."""

    name: ClassVar[str] = "posted"
    message: Message


@dataclass(frozen=True, slots=True)
class Tick:
    """What became of messages of one's own; ``timestamp`` is the server's, in milliseconds."""

    name: ClassVar[str] = "tick"
    peer: str
    ids: tuple[str, ...]
    state: State
    timestamp: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A message of one's own was refused for good; ``message.error`` says why."""

    name: ClassVar[str] = "failed"
    message: Message


@dataclass(frozen=True, slots=True)
class Own:
    """Another device of this person sent this message."""

    name: ClassVar[str] = "own"
    message: Message


@dataclass(frozen=True, slots=True)
class OwnRead:
    """Another device of this person read these messages."""

    name: ClassVar[str] = "ownRead"
    peer: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody began or stopped to type."""

    name: ClassVar[str] = "typing"
    peer: str
    active: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether somebody who is watched is online; ``last_seen`` is in milliseconds of Unix time."""

    name: ClassVar[str] = "presence"
    mobile_no: str
    online: bool
    last_seen: int | None = None


@dataclass(frozen=True, slots=True)
class Resync:
    """The server's storage lost something. The client sends again what is unanswered."""

    name: ClassVar[str] = "resync"
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A refusal that names no chat."""

    name: ClassVar[str] = "notice"
    code: str
    message: str
    component: str


@dataclass(frozen=True, slots=True)
class FrameSeen:
    """A frame as it came or went, for looking on. It holds texts, and no token ever."""

    name: ClassVar[str] = "frame"
    direction: Literal["in", "out"]
    frame: Mapping[str, Any] = field(repr=False)


Event = (
    StateChanged
    | MessageCame
    | Posted
    | Tick
    | Failed
    | Own
    | OwnRead
    | Typing
    | Presence
    | Resync
    | Notice
    | FrameSeen
)
