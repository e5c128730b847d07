"""Every frame, as a typed struct. ``decode`` makes frames of what a client sent, ``encode`` bytes of what we say.

Field names on the wire are the seed's camelCase. Unknown fields are ignored; ``from``, ``mode``, ``timestamp`` and a
chat's ``streamId`` are not even read: the sender is the token's, the time is the server's.
"""

from typing import Any, Final, Literal, cast

import msgspec

from protocol.refusals import Refusal


class _Frame(msgspec.Struct, frozen=True, rename="camel", tag_field="type", omit_defaults=True):
    pass


class ChatIn(_Frame, frozen=True, tag="chat"):
    """A chat to be sent."""

    to: str
    message_id: str
    message: str


class AckIn(_Frame, frozen=True, tag="ack"):
    """Delivered: names entries by ``streamIds``. Read: names chats by ``to`` (their sender) and ``messageIds``."""

    ack_type: Literal["delivered", "read"]
    to: str | None = None
    stream_id: str | None = None
    stream_ids: list[str] = []
    message_id: str | None = None
    message_ids: list[str] = []


class SystemOut(_Frame, frozen=True, tag="system"):
    """Seed dialect: anything the server has to say; with ``status`` it confirms a chat."""

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
    """Storage lost something: forget streamIds, send unanswered chats again."""

    epoch: str
    reason: str


class SyncedOut(_Frame, frozen=True, tag="synced"):
    """All ``count`` entries that waited when the connection was claimed have been sent."""

    count: int


class SentOut(_Frame, frozen=True, tag="sent"):
    """The single tick: stored durably at ``timestamp`` ms."""

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
    """A receipt in ``wm.v1``: may speak for several chats."""

    to: str
    sender: str = msgspec.field(name="from")
    message_ids: list[str]
    ack_type: str
    timestamp: int
    stream_id: str


class SeedReceiptOut(_Frame, frozen=True, tag="ack"):
    """A receipt in the seed dialect: one chat."""

    to: str
    sender: str = msgspec.field(name="from")
    message_id: str
    ack_type: str
    timestamp: int
    stream_id: str


class ErrorOut(_Frame, frozen=True, tag="error", omit_defaults=True):
    """A refusal on the socket. ``retry_after`` is in seconds."""

    code: str
    component: str
    message: str
    retryable: bool
    message_id: str | None = None
    retry_after: float | None = None


FrameIn = ChatIn | AckIn
_DECODER: Final = msgspec.json.Decoder(FrameIn)
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_ANY: Final = msgspec.json.Decoder(dict[str, Any])
_TYPES: Final = ("chat", "ack")
_OWN_WORDS: Final = ("Expected `", "Object missing required field `")
"""So begin msgspec's sentences that hold nothing of the client's."""


class BadFrame(Exception):
    """A frame that is refused, with what of it can be named in the answer."""

    def __init__(self, code: str, kind: str = "frame", message_id: str | None = None, detail: str = "") -> None:
        errors = [{"field": kind, "message": detail}] if detail else None
        super().__init__(code)
        self.refusal = Refusal(code, errors)
        self.kind = kind
        self.message_id = message_id


def split(data: bytes) -> list[msgspec.Raw | bytes]:
    """One message as the frames it holds: one JSON object, or an array of them.

    :raises BadFrame: ``bad_json``
    """
    if data.lstrip()[:1] != b"[":
        return [data]
    try:
        return list(_LIST.decode(data))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadFrame("bad_json") from None


def decode(data: msgspec.Raw | bytes) -> FrameIn:
    """One frame.

    :raises BadFrame: ``bad_json``, ``unknown_type`` or ``bad_frame``
    """
    try:
        return cast("FrameIn", _DECODER.decode(data))
    except msgspec.ValidationError as error:
        raise _explain(data, str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadFrame("bad_json") from None


def _explain(data: msgspec.Raw | bytes, detail: str) -> BadFrame:
    """What can be said of what is no frame of ours. msgspec's other sentences quote the client: a word where
    few are allowed, or the first of two types. Of them only the place is told."""
    try:
        found = _ANY.decode(data)
    except msgspec.ValidationError:
        return BadFrame("bad_frame", detail="a frame is a JSON object")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return BadFrame("bad_json")  # the typed decoder gave up before it came to what is no JSON
    kind = found.get("type")
    if kind not in _TYPES:
        return BadFrame("unknown_type")
    message_id = found.get("messageId")
    named = message_id if isinstance(message_id, str) and len(message_id) <= 64 else None
    if not detail.startswith(_OWN_WORDS):
        detail = f"Invalid value - at {detail.rpartition(' - at ')[2]}"
    return BadFrame("bad_frame", str(kind), named, detail)


encode = msgspec.json.Encoder().encode
