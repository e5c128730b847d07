"""The two ways of saying the same: the seed dialect, frozen for ever, and ``wm.v1``.

Both turn what the server means into encoded frames, each a complete JSON object. The connection joins them into
messages: arrays in ``wm.v1``, one frame a message in the seed dialect.
"""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from protocol import frames
from protocol.bad_frames import NOTHING, Named
from protocol.entries import Chat, Receipt
from protocol.errors import ApiError

SUBPROTOCOL: Final = "wm.v1"
_SEED_COMPONENTS: Final = {"no_such_person": "user does not exists"}
"""Spelled as the original's clients know it."""
_PONG: Final = frames.encode(frames.PongOut())


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a connection is told when it stands."""

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
    """What a connection needs to say, whatever its client understands."""

    acks_receipts: bool
    joins_frames: bool

    def welcome(self, welcome: Welcome) -> list[bytes]: ...
    def sent(self, message_id: str, to: str, timestamp: int) -> list[bytes]: ...
    def chat(self, chat: Chat, to: str, mode: Mode) -> list[bytes]: ...
    def receipt(self, receipt: Receipt, to: str) -> list[bytes]: ...
    def synced(self, count: int) -> list[bytes]: ...
    def resync(self, epoch: str, reason: str) -> list[bytes]: ...
    def error(self, refusal: ApiError, component: str, named: Named = NOTHING) -> list[bytes]: ...
    def pong(self) -> list[bytes]: ...


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


def _error(refusal: ApiError, component: str, named: Named) -> list[bytes]:
    out = frames.ErrorOut(
        code=refusal.code,
        component=component,
        message=refusal.body()["message"],
        retryable=refusal.rule.retryable,
        message_id=named.message_id,
        to=named.to,
        message_ids=named.message_ids,
        stream_ids=named.stream_ids,
        retry_after=refusal.retry_after,
    )
    return [frames.encode(out)]


class Seed:
    """No subprotocol: what the original's clients expect, to the letter."""

    acks_receipts = False
    joins_frames = False

    def welcome(self, welcome: Welcome) -> list[bytes]:
        """The sentence every client of the original waits for."""
        message = f"dear user:{welcome.name} you are connected to the server!"
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
        """One frame for each chat the receipt speaks for."""
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

    def synced(self, count: int) -> list[bytes]:
        """Nothing: the seed has no such frame."""
        return []

    def resync(self, epoch: str, reason: str) -> list[bytes]:
        """A system frame with ``code: resync``."""
        return [frames.encode(frames.SystemOut(message=reason, code="resync", epoch=epoch))]

    def error(self, refusal: ApiError, component: str, named: Named = NOTHING) -> list[bytes]:
        """A refusal, under the component name the original used where it had one."""
        return _error(refusal, _SEED_COMPONENTS.get(refusal.code, component), named)

    def pong(self) -> list[bytes]:
        """The answer to a heartbeat in text."""
        return [_PONG]


class V1:
    """Subprotocol ``wm.v1``."""

    acks_receipts = True
    joins_frames = True

    def welcome(self, welcome: Welcome) -> list[bytes]:
        """The hello."""
        out = frames.HelloOut(
            server_id=welcome.server_id,
            connection_id=welcome.connection_id,
            device_id=welcome.device_id,
            mobile_no=welcome.mobile,
            epoch=welcome.epoch,
            window=welcome.window,
            max_message_bytes=welcome.max_message_bytes,
            ping_seconds=welcome.ping_seconds,
            protocol=SUBPROTOCOL,
        )
        return [frames.encode(out)]

    def sent(self, message_id: str, to: str, timestamp: int) -> list[bytes]:
        """The single tick."""
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

    def synced(self, count: int) -> list[bytes]:
        """The backlog is through."""
        return [frames.encode(frames.SyncedOut(count=count))]

    def resync(self, epoch: str, reason: str) -> list[bytes]:
        """Storage lost something."""
        return [frames.encode(frames.ResyncOut(epoch=epoch, reason=reason))]

    def error(self, refusal: ApiError, component: str, named: Named = NOTHING) -> list[bytes]:
        """A refusal."""
        return _error(refusal, component, named)

    def pong(self) -> list[bytes]:
        """The answer to a heartbeat in text."""
        return [_PONG]
