"""The two dialects from the client's side: frames to send, and frames of the server."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

SEED: Final = "seed"
V1: Final = "wm.v1"
Frame = dict[str, Any]


class ServerFrame(msgspec.Struct, rename="camel"):
    """A frame of the server in either dialect, with the fields that a client uses."""

    type: str
    sender: str = msgspec.field(name="from", default="")
    to: str = ""
    message_id: str = ""
    message_ids: list[str] = []
    message: str = ""
    stream_id: str = ""
    timestamp: int = 0
    ack_type: str = ""
    epoch: str = ""
    status: str = ""
    code: str = ""
    component: str = ""
    retryable: bool = False
    retry_after: float | None = None
    mobile_no: str = ""
    online: bool = False

    @property
    def named(self) -> list[str]:
        """The messageIds in a receipt."""
        return self.message_ids or [self.message_id]

    @property
    def kind(self) -> str:
        """``sent``, ``chat``, ``receipt``, ``resync``, ``error``, ``welcome`` or the frame's type."""
        if self.type == "system":
            return "sent" if self.status == "sent" else self.code or "welcome"
        return {"hello": "welcome", "ack": "receipt"}.get(self.type, self.type)


class Entry(NamedTuple):
    """An entry to be acknowledged."""

    sender: str
    message_id: str
    stream_id: str


_ONE: Final = msgspec.json.Decoder(ServerFrame)
_MANY: Final = msgspec.json.Decoder(list[ServerFrame])
_ENCODE: Final = msgspec.json.Encoder().encode


def decode(message: str | bytes) -> list[ServerFrame]:
    """The frames of one WebSocket message.

    :raises msgspec.DecodeError: it is not one of the protocol
    """
    return _MANY.decode(message) if message[:1] in ("[", b"[") else [_ONE.decode(message)]


def encode(dialect: str, frames: Sequence[Frame]) -> list[str]:
    """Frames as WebSocket messages: together in ``wm.v1``, one each in the seed dialect."""
    if dialect == V1 and len(frames) > 1:
        return [_ENCODE(frames).decode()]
    return [_ENCODE(frame).decode() for frame in frames]


def chat_frame(claimed: str, to: str, message_id: str, text: str) -> Frame:
    """A chat of an original client. The server must ignore ``claimed``, ``timestamp`` and ``streamId``."""
    return {
        "type": "chat",
        "to": to,
        "from": claimed,
        "messageId": message_id,
        "message": text,
        "mode": "online",
        "timestamp": 1,
        "streamId": "1-1",
    }


def ack_frames(dialect: str, me: str, entries: Sequence[Entry]) -> list[Frame]:
    """Acknowledgements of these entries."""
    if dialect == V1:
        return [{"type": "ack", "ackType": "delivered", "streamIds": [entry.stream_id for entry in entries]}]
    return [seed_ack_frame(me, entry) for entry in entries]


def seed_ack_frame(me: str, entry: Entry) -> Frame:
    """An acknowledgement as an original client writes it."""
    return {
        "type": "ack",
        "ackType": "delivered",
        "from": me,
        "to": entry.sender,
        "messageId": entry.message_id,
        "streamId": entry.stream_id,
        "timestamp": 1,
    }


def watch_frame(mobiles: Sequence[str]) -> Frame:
    """``wm.v1``: ask for the presence of these people."""
    return {"type": "watch", "mobileNos": list(mobiles)}


def read_frames(dialect: str, me: str, peer: str, message_ids: Sequence[str]) -> list[Frame]:
    """``me`` read these chats of ``peer``."""
    if dialect == V1:
        return [{"type": "ack", "ackType": "read", "to": peer, "messageIds": list(message_ids)}]
    return [{"type": "ack", "ackType": "read", "from": me, "to": peer, "messageId": each} for each in message_ids]
