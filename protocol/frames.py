"""Every frame, as a typed struct. :func:`decode` reads what a client sent, :func:`encode` writes what the server sends.

Field names on the wire are the seed's camelCase. Unknown fields are ignored. ``from``, ``mode``, ``timestamp`` and a
chat's ``streamId`` are not read either: the sender comes from the token, and the time from the server.
"""

from typing import Final, Literal, cast

import msgspec

from protocol.bad_frames import explain, indivisible
from protocol.salvage import divide


class _Frame(msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True):
    pass


class ChatIn(_Frame, frozen=True, tag="chat"):
    """A chat to be sent."""

    to: str
    message_id: str
    message: str


class AckIn(_Frame, frozen=True, tag="ack"):
    """Acknowledges entries, by ``streamIds``, or chats, by ``to`` (who sent them) and ``messageIds``."""

    ack_type: Literal["delivered", "read"]
    to: str | None = None
    stream_id: str | None = None
    stream_ids: list[str] = []
    message_id: str | None = None
    message_ids: list[str] = []


class PingIn(_Frame, frozen=True, tag="ping"):
    """A heartbeat in text, for clients that cannot send WebSocket pings."""


class SystemOut(_Frame, frozen=True, tag="system"):
    """Seed dialect: a message of the server itself; with ``status`` it confirms a chat."""

    message: str
    code: str | None = None
    message_id: str | None = None
    to: str | None = None
    status: str | None = None
    timestamp: int | None = None
    epoch: str | None = None


class HelloOut(_Frame, frozen=True, tag="hello"):
    """First frame of ``wm.v1``."""

    server_id: str
    connection_id: str
    device_id: str
    mobile_no: str
    epoch: str
    window: int
    max_message_bytes: int
    ping_seconds: float
    protocol: str


class ResyncOut(_Frame, frozen=True, tag="resync"):
    """The server may have lost entries: the client forgets its streamIds, and sends unanswered chats again."""

    epoch: str
    reason: str


class SyncedOut(_Frame, frozen=True, tag="synced"):
    """All ``count`` entries that waited when the connection was claimed have been sent."""

    count: int


class SentOut(_Frame, frozen=True, tag="sent"):
    """The single tick: the chat was stored at ``timestamp``, in unix ms."""

    message_id: str
    to: str
    timestamp: int


class ChatOut(_Frame, frozen=True, tag="chat"):
    """A chat for its recipient; ``mode`` is ``offline`` for one that waited before this connection."""

    to: str
    sender: str = msgspec.field(name="from")
    message_id: str
    message: str
    mode: Literal["online", "offline"]
    timestamp: int
    stream_id: str


class ReceiptOut(_Frame, frozen=True, tag="ack"):
    """A receipt in ``wm.v1``, of one chat or several."""

    to: str
    sender: str = msgspec.field(name="from")
    message_ids: list[str]
    ack_type: str
    timestamp: int
    stream_id: str


class SeedReceiptOut(_Frame, frozen=True, tag="ack"):
    """A receipt in the seed dialect, of one chat."""

    to: str
    sender: str = msgspec.field(name="from")
    message_id: str
    ack_type: str
    timestamp: int
    stream_id: str


class ErrorOut(_Frame, frozen=True, tag="error", omit_defaults=True):
    """An error. ``retry_after`` is in seconds. ``message_id`` is a chat's; the ids of an ack are in the lists."""

    code: str
    component: str
    message: str
    retryable: bool
    message_id: str | int | None = None
    to: str | None = None
    message_ids: tuple[str, ...] = ()
    stream_ids: tuple[str, ...] = ()
    retry_after: float | None = None


class PongOut(_Frame, frozen=True, tag="pong"):
    """The answer to a ping."""


FrameIn = ChatIn | AckIn | PingIn
_DECODER: Final = msgspec.json.Decoder(FrameIn)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_DECODE_ERRORS: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def split(data: bytes) -> list[msgspec.Raw | bytes]:
    """The frames of one message: one JSON object, or an array of them. A mistake within one frame does not affect the
    others.

    :raises BadFrame: ``bad_json``: it is an array, and where its frames end cannot be found
    """
    if data.lstrip()[:1] != b"[":
        return [data]
    try:
        return list(_LIST.decode(data))
    except _DECODE_ERRORS:
        parts = divide(data)
    if parts is None:
        raise indivisible()
    return list(parts)


def decode(data: msgspec.Raw | bytes) -> FrameIn:
    """Decode one frame.

    :raises BadFrame: ``bad_json``, ``unknown_type`` or ``bad_frame``
    """
    try:
        return cast("FrameIn", _DECODER.decode(data))
    except _DECODE_ERRORS:
        raise explain(data) from None


encode = msgspec.json.Encoder().encode
