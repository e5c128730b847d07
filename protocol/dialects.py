"""The two dialects: the seed dialect, which never changes any more, and ``wm.v1``.

Both encode the same things as frames, each a complete JSON object. :mod:`protocol.messages` joins frames into WebSocket
messages.
"""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from protocol import frames
from protocol.bad_frames import NO_NAMES, FrameNames
from protocol.entries import Chat, OwnChat, OwnRead, Receipt
from protocol.errors import ApiError

SUBPROTOCOL: Final = "wm.v1"
_SEED_COMPONENTS: Final = {"no_such_person": "user does not exists"}
"""Spelled as the original's clients know it."""
_PONG: Final = frames.encode(frames.PongOut())


@dataclass(frozen=True, slots=True)
class Hello:
    """The first thing a client gets: where it is connected, and as whom."""

    server_id: str
    connection_id: str
    device_id: str
    mobile: str
    name: str
    epoch: str
    window: int
    max_message_bytes: int
    ping_seconds: float


Mode = Literal["online", "offline"]


class Dialect(Protocol):
    """What the server can send, encoded for one kind of client. Each method returns complete frames.

    ``acks_receipts``: clients acknowledge receipts as well as chats. ``joins_frames``: a message may be an array.
    """

    acks_receipts: bool
    joins_frames: bool

    def decode(self, data: bytes) -> frames.FrameIn: ...
    def hello(self, hello: Hello) -> list[bytes]: ...
    def sent(self, message_id: str, to: str, timestamp: int) -> list[bytes]: ...
    def chat(self, chat: Chat, to: str, mode: Mode) -> list[bytes]: ...
    def receipt(self, receipt: Receipt, to: str) -> list[bytes]: ...
    def own_chat(self, chat: OwnChat) -> list[bytes]: ...
    def own_read(self, read: OwnRead) -> list[bytes]: ...
    def synced(self, count: int) -> list[bytes]: ...
    def resync(self, epoch: str, reason: str) -> list[bytes]: ...
    def error(self, error: ApiError, component: str, names: FrameNames = NO_NAMES) -> list[bytes]: ...
    def pong(self) -> list[bytes]: ...
    def presence(self, mobile: str, online: bool, last_seen: int | None) -> list[bytes]: ...
    def typing(self, sender: str, active: bool) -> list[bytes]: ...


def _chat(chat: Chat, to: str, mode: Mode) -> list[bytes]:
    return [
        frames.encode(
            frames.ChatOut(
                to=to,
                sender=chat.sender,
                message_id=chat.message_id,
                message=chat.message,
                mode=mode,
                timestamp=chat.timestamp,
                stream_id=chat.stream_id,
            )
        )
    ]


def _error(error: ApiError, component: str, names: FrameNames) -> list[bytes]:
    out = frames.ErrorOut(
        code=error.code,
        component=component,
        message=error.body()["message"],
        retryable=error.spec.retryable,
        message_id=names.message_id,
        to=names.to,
        message_ids=names.message_ids,
        stream_ids=names.stream_ids,
        retry_after=error.retry_after,
        mobile_nos=names.mobile_nos,
    )
    return [frames.encode(out)]


class Seed:
    """No subprotocol: what the original's clients expect, to the letter."""

    acks_receipts = False
    joins_frames = False
    decode = staticmethod(frames.decode_seed)

    def hello(self, hello: Hello) -> list[bytes]:
        """The system frame every client of the original waits for."""
        message = f"dear user:{hello.name} you are connected to the server!"
        return [frames.encode(frames.SystemOut(message=message))]

    def sent(self, message_id: str, to: str, timestamp: int) -> list[bytes]:
        """A system frame that also names the chat."""
        out = frames.SystemOut(
            message="message stored", message_id=message_id, to=to, status="sent", timestamp=timestamp
        )
        return [frames.encode(out)]

    def chat(self, chat: Chat, to: str, mode: Mode) -> list[bytes]:
        """A chat."""
        return _chat(chat, to, mode)

    def receipt(self, receipt: Receipt, to: str) -> list[bytes]:
        """One frame for each chat of the receipt."""
        return [
            frames.encode(
                frames.SeedReceiptOut(
                    to=to,
                    sender=receipt.sender,
                    message_id=message_id,
                    ack_type=receipt.ack_type,
                    timestamp=receipt.timestamp,
                    stream_id=receipt.stream_id,
                )
            )
            for message_id in receipt.message_ids
        ]

    def own_chat(self, chat: OwnChat) -> list[bytes]:
        """Nothing: to clients of the original, a chat is one that they received."""
        return []

    def own_read(self, read: OwnRead) -> list[bytes]:
        """Nothing: the seed has no such frame."""
        return []

    def synced(self, count: int) -> list[bytes]:
        """Nothing: the seed has no such frame."""
        return []

    def resync(self, epoch: str, reason: str) -> list[bytes]:
        """A system frame with ``code: resync``."""
        return [frames.encode(frames.SystemOut(message=reason, code="resync", epoch=epoch))]

    def error(self, error: ApiError, component: str, names: FrameNames = NO_NAMES) -> list[bytes]:
        """An error, with the component name of the original where that had one."""
        return _error(error, _SEED_COMPONENTS.get(error.code, component), names)

    def pong(self) -> list[bytes]:
        """The answer to a ``ping`` frame."""
        return [_PONG]

    def presence(self, mobile: str, online: bool, last_seen: int | None) -> list[bytes]:
        """Nothing: the seed has no such frame."""
        return []

    def typing(self, sender: str, active: bool) -> list[bytes]:
        """Nothing: the seed has no such frame."""
        return []


class V1:
    """Subprotocol ``wm.v1``."""

    acks_receipts = True
    joins_frames = True
    decode = staticmethod(frames.decode)

    def hello(self, hello: Hello) -> list[bytes]:
        """The ``hello`` frame."""
        out = frames.HelloOut(
            server_id=hello.server_id,
            connection_id=hello.connection_id,
            device_id=hello.device_id,
            mobile_no=hello.mobile,
            epoch=hello.epoch,
            window=hello.window,
            max_message_bytes=hello.max_message_bytes,
            ping_seconds=hello.ping_seconds,
            protocol=SUBPROTOCOL,
        )
        return [frames.encode(out)]

    def sent(self, message_id: str, to: str, timestamp: int) -> list[bytes]:
        """The chat is stored: the single tick."""
        return [frames.encode(frames.SentOut(message_id=message_id, to=to, timestamp=timestamp))]

    def chat(self, chat: Chat, to: str, mode: Mode) -> list[bytes]:
        """A chat."""
        return _chat(chat, to, mode)

    def receipt(self, receipt: Receipt, to: str) -> list[bytes]:
        """One frame, whatever the number of chats."""
        out = frames.ReceiptOut(
            to=to,
            sender=receipt.sender,
            message_ids=receipt.message_ids,
            ack_type=receipt.ack_type,
            timestamp=receipt.timestamp,
            stream_id=receipt.stream_id,
        )
        return [frames.encode(out)]

    def own_chat(self, chat: OwnChat) -> list[bytes]:
        """What another device of this person sent."""
        out = frames.OwnOut(
            to=chat.to,
            message_id=chat.message_id,
            message=chat.message,
            timestamp=chat.sent_at,
            stream_id=chat.stream_id,
        )
        return [frames.encode(out)]

    def own_read(self, read: OwnRead) -> list[bytes]:
        """What was read on another device of this person."""
        out = frames.OwnReadOut(
            sender=read.sender, message_ids=read.message_ids, timestamp=read.timestamp, stream_id=read.stream_id
        )
        return [frames.encode(out)]

    def synced(self, count: int) -> list[bytes]:
        """Everything that waited when the client connected has been sent."""
        return [frames.encode(frames.SyncedOut(count=count))]

    def resync(self, epoch: str, reason: str) -> list[bytes]:
        """The server may have lost entries: the client must not rely on what it knew."""
        return [frames.encode(frames.ResyncOut(epoch=epoch, reason=reason))]

    def error(self, error: ApiError, component: str, names: FrameNames = NO_NAMES) -> list[bytes]:
        """An error."""
        return _error(error, component, names)

    def pong(self) -> list[bytes]:
        """The answer to a ``ping`` frame."""
        return [_PONG]

    def presence(self, mobile: str, online: bool, last_seen: int | None) -> list[bytes]:
        """What the client may know of a watched person."""
        return [frames.encode(frames.PresenceOut(mobile_no=mobile, online=online, last_seen=last_seen))]

    def typing(self, sender: str, active: bool) -> list[bytes]:
        """Somebody types, or has stopped."""
        return [frames.encode(frames.TypingOut(sender=sender, active=active))]
