"""Every frame, as a typed struct. :func:`decode` reads what a client sent, :func:`encode` writes what the server sends.

Field names on the wire are the seed's camelCase. Unknown fields are ignored. ``from``, ``mode``, ``timestamp`` and a
chat's ``streamId`` are not read either: the sender comes from the token, and the time from the server.
"""

from typing import Annotated, Final, Literal, cast

import msgspec

from protocol.bad_frames import SEED_TYPES, explain, indivisible
from protocol.fields import DeviceId, MessageId, MessageText, Mobile, MobileInFrame, StreamId, UnixMs, described
from protocol.salvage import divide

_Epoch = Annotated[
    str, described("A name for the stored state of one person; another one: storage lost something.", "e1")
]
_ReceiptKind = Annotated[str, described("What became of the chats.", enum=["delivered", "read", "expired"])]
_Told = Annotated[str, described("A sentence for people; it may be reworded.")]

_Numbers = Annotated[list[MobileInFrame], described("At most 200 may be watched.", minItems=1)]


class _Frame(msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True):
    pass


class ChatIn(_Frame, frozen=True, tag="chat"):
    """A chat to be sent."""

    to: MobileInFrame
    message_id: MessageId
    message: MessageText


class AckIn(_Frame, frozen=True, tag="ack"):
    """Acknowledges entries, by ``streamIds``, or chats, by ``to`` (who sent them) and ``messageIds``."""

    ack_type: Literal["delivered", "read"]
    to: MobileInFrame | None = None
    stream_id: StreamId | None = None
    stream_ids: Annotated[list[StreamId], described("At most 1,000.", maxItems=1000)] = []
    message_id: MessageId | None = None
    message_ids: Annotated[list[MessageId], described("At most 1,000.", maxItems=1000)] = []


class PingIn(_Frame, frozen=True, tag="ping"):
    """A heartbeat in text, for clients that cannot send WebSocket pings."""


class WatchIn(_Frame, frozen=True, tag="watch"):
    """``wm.v1``: from now on the presence of these people is wanted, and each change of it."""

    mobile_nos: _Numbers


class UnwatchIn(_Frame, frozen=True, tag="unwatch"):
    """``wm.v1``: it is not wanted any more."""

    mobile_nos: _Numbers


class TypingIn(_Frame, frozen=True, tag="typing"):
    """``wm.v1``: the client's user types to somebody, or has stopped."""

    to: MobileInFrame
    active: bool


class SystemOut(_Frame, frozen=True, tag="system"):
    """Seed dialect: a message of the server itself; with ``status`` it confirms a chat."""

    message: _Told
    code: str | None = None
    message_id: MessageId | None = None
    to: Mobile | None = None
    status: str | None = None
    timestamp: UnixMs | None = None
    epoch: _Epoch | None = None


class HelloOut(_Frame, frozen=True, tag="hello"):
    """First frame of ``wm.v1``."""

    server_id: Annotated[str, described("Which server process, in this run of it; for reports of faults.")]
    connection_id: Annotated[str, described("Which connection; for reports of faults.")]
    device_id: DeviceId
    mobile_no: Mobile
    epoch: _Epoch
    window: Annotated[int, described("Entries that are in flight and not acknowledged, at most.", 256)]
    max_message_bytes: Annotated[int, described("Of a chat's text, in UTF-8.", 16384)]
    ping_seconds: Annotated[float, described("The time between two pings of the server.", 20.0)]
    protocol: Annotated[str, described("The subprotocol.", "wm.v1")]


class ResyncOut(_Frame, frozen=True, tag="resync"):
    """The server may have lost entries: the client forgets its streamIds, and sends unanswered chats again."""

    epoch: _Epoch
    reason: _Told


class SyncedOut(_Frame, frozen=True, tag="synced"):
    """All ``count`` entries that waited when the connection was claimed have been sent."""

    count: int


class SentOut(_Frame, frozen=True, tag="sent"):
    """The single tick: the chat was stored at ``timestamp``, in unix ms."""

    message_id: MessageId
    to: Mobile
    timestamp: UnixMs


class ChatOut(_Frame, frozen=True, tag="chat"):
    """A chat for its recipient; ``mode`` is ``offline`` for one that waited before this connection."""

    to: Mobile
    sender: Mobile = msgspec.field(name="from")
    message_id: MessageId
    message: MessageText
    mode: Literal["online", "offline"]
    timestamp: UnixMs
    stream_id: StreamId


class ReceiptOut(_Frame, frozen=True, tag="ack"):
    """A receipt in ``wm.v1``, of one chat or several."""

    to: Mobile
    sender: Mobile = msgspec.field(name="from")
    message_ids: list[MessageId]
    ack_type: _ReceiptKind
    timestamp: UnixMs
    stream_id: StreamId


class SeedReceiptOut(_Frame, frozen=True, tag="ack"):
    """A receipt in the seed dialect, of one chat."""

    to: Mobile
    sender: Mobile = msgspec.field(name="from")
    message_id: MessageId
    ack_type: _ReceiptKind
    timestamp: UnixMs
    stream_id: StreamId


class PresenceOut(_Frame, frozen=True, tag="presence"):
    """``wm.v1``: what the client may know of a watched person. ``lastSeen`` is absent while they are online, and when
    it is unknown or hidden."""

    mobile_no: Mobile
    online: bool
    last_seen: UnixMs | None = None


class TypingOut(_Frame, frozen=True, tag="typing"):
    """``wm.v1``: somebody types to the client's user, or has stopped. It ends by itself after 10 s, or with a chat."""

    sender: Mobile = msgspec.field(name="from")
    active: bool


class OwnOut(_Frame, frozen=True, tag="own"):
    """A chat that another device of this person sent; ``timestamp`` is that of its ``sent``."""

    to: Mobile
    message_id: MessageId
    message: MessageText
    timestamp: UnixMs
    stream_id: StreamId


class OwnReadOut(_Frame, frozen=True, tag="ownRead"):
    """Chats of ``from`` that this person read on another device."""

    sender: Mobile = msgspec.field(name="from")
    message_ids: list[MessageId]
    timestamp: UnixMs
    stream_id: StreamId


class ErrorOut(_Frame, frozen=True, tag="error", omit_defaults=True):
    """A refusal. ``retryAfter`` is in seconds. ``messageId`` is a chat's; the ids of an ack, and
    the numbers of a watch, are in the lists."""

    code: str
    component: Annotated[
        str, described("What was refused: chat, ack, watch, unwatch, typing, frame or server.", "chat")
    ]
    message: _Told
    retryable: Annotated[bool, described("Whether the same frame can succeed when it is sent again later.")]
    message_id: Annotated[str | int, described("Of the chat, as the client wrote it.")] | None = None
    to: Annotated[str, described("As in ``sent``; if it is no number, as the client wrote it.")] | None = None
    message_ids: tuple[str, ...] = ()
    stream_ids: tuple[str, ...] = ()
    retry_after: Annotated[float, described("Seconds to wait.")] | None = None
    mobile_nos: tuple[str, ...] = ()


class PongOut(_Frame, frozen=True, tag="pong"):
    """The answer to a ping."""


SeedFrameIn = ChatIn | AckIn | PingIn
FrameIn = SeedFrameIn | WatchIn | UnwatchIn | TypingIn
_DECODER: Final = msgspec.json.Decoder(FrameIn)
_SEED_DECODER: Final = msgspec.json.Decoder(SeedFrameIn)
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
    """Decode one frame of ``wm.v1``.

    :raises BadFrame: ``bad_json``, ``unknown_type`` or ``bad_frame``
    """
    try:
        return cast("FrameIn", _DECODER.decode(data))
    except _DECODE_ERRORS:
        raise explain(data) from None


def decode_seed(data: msgspec.Raw | bytes) -> FrameIn:
    """Decode one frame of the seed dialect, whose types are those of the original.

    :raises BadFrame: as :func:`decode`
    """
    try:
        return cast("FrameIn", _SEED_DECODER.decode(data))
    except _DECODE_ERRORS:
        raise explain(data, SEED_TYPES) from None


encode = msgspec.json.Encoder().encode
