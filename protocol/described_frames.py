"""What machines are told of each frame: who sends it, in which dialect, with an example; and the codes around them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from protocol import frames
from protocol.dialects import SUBPROTOCOL
from protocol.errors import ApiError
from protocol.json_schemas import Schema, schemas_of

SEED: Final = "seed"
DIALECTS: Final = (SUBPROTOCOL, SEED)
Sender = Literal["client", "server"]

_MOBILES: Final = ("919800000001", "919800000002")
_TIME: Final = 1795502489474
_ENTRY: Final = f"{_TIME}-0"


@dataclass(frozen=True, slots=True)
class FrameKind:
    """One kind of frame.

    :param sender: who sends it
    :param dialects: those in which it exists
    :param examples: the first is the plainest
    :param answers: the structs of which one may answer it
    """

    sender: Sender
    dialects: tuple[str, ...]
    examples: tuple[Struct, ...]
    answers: tuple[type[Struct], ...] = ()

    @property
    def struct(self) -> type[Struct]:
        """The struct of this frame."""
        return type(self.examples[0])

    @property
    def name(self) -> str:
        """The name of its schema."""
        return self.struct.__name__

    @property
    def type(self) -> str:
        """Its ``type`` on the wire."""
        return str(self.struct.__struct_config__.tag)


ON_THE_SOCKET: Final = (
    "bad_json", "bad_frame", "unknown_type", "binary_frame", "bad_mobile", "bad_message_id", "bad_stream_id",
    "message_empty", "message_too_large", "self_message", "no_such_person", "message_id_reused", "mailbox_full",
    "too_many_watched", "rate_limited", "storage_full", "unavailable", "draining", "internal",
)  # fmt: skip
"""Codes of ``error`` frames."""
_COMPONENTS: Final = {
    "bad_json": "frame",
    "bad_frame": "frame",
    "unknown_type": "frame",
    "binary_frame": "frame",
    "bad_stream_id": "ack",
    "too_many_watched": "watch",
    "draining": "server",
}
"""What is refused with a code, in its example; else a chat."""


def _refusal(code: str) -> frames.ErrorOut:
    error, component = ApiError(code), _COMPONENTS.get(code, "chat")
    named = (_MOBILES[1], "m7") if component == "chat" else (None, None)
    return frames.ErrorOut(
        code=code,
        component=component,
        message=error.message,
        retryable=error.spec.retryable,
        to=named[0],
        message_id=named[1],
        retry_after=error.retry_after,
    )


KINDS: Final = (
    FrameKind(
        "client",
        DIALECTS,
        (frames.ChatIn(to=_MOBILES[1], message_id="m7", message="hello"),),
        (frames.SentOut, frames.SystemOut, frames.ErrorOut),
    ),
    FrameKind(
        "client",
        DIALECTS,
        (
            frames.AckIn(ack_type="delivered", stream_ids=[_ENTRY]),
            frames.AckIn(ack_type="delivered", to=_MOBILES[1], message_ids=["m7"]),
            frames.AckIn(ack_type="read", to=_MOBILES[1], message_ids=["m7", "m8"]),
        ),
        (frames.ErrorOut,),
    ),
    FrameKind("client", DIALECTS, (frames.PingIn(),), (frames.PongOut,)),
    FrameKind(
        "client",
        (SUBPROTOCOL,),
        (frames.WatchIn(mobile_nos=[*_MOBILES[1:]]),),
        (frames.PresenceOut, frames.ErrorOut),
    ),
    FrameKind("client", (SUBPROTOCOL,), (frames.UnwatchIn(mobile_nos=[*_MOBILES[1:]]),), (frames.ErrorOut,)),
    FrameKind("client", (SUBPROTOCOL,), (frames.TypingIn(to=_MOBILES[1], active=True),), (frames.ErrorOut,)),
    FrameKind(
        "server",
        (SUBPROTOCOL,),
        (
            frames.HelloOut(
                server_id="host.alone.1f0c9a7e",
                connection_id="5c2e",
                device_id="primary",
                mobile_no=_MOBILES[0],
                epoch="e1",
                window=256,
                max_message_bytes=16384,
                ping_seconds=20.0,
                protocol=SUBPROTOCOL,
            ),
        ),
    ),
    FrameKind("server", (SUBPROTOCOL,), (frames.SentOut(message_id="m7", to=_MOBILES[1], timestamp=_TIME),)),
    FrameKind(
        "server",
        DIALECTS,
        (
            frames.ChatOut(
                to=_MOBILES[0],
                sender=_MOBILES[1],
                message_id="m1",
                message="hello",
                mode="online",
                timestamp=_TIME,
                stream_id=_ENTRY,
            ),
        ),
    ),
    FrameKind(
        "server",
        (SUBPROTOCOL,),
        (
            frames.ReceiptOut(
                to=_MOBILES[0],
                sender=_MOBILES[1],
                message_ids=["m7", "m8"],
                ack_type="delivered",
                timestamp=_TIME,
                stream_id=_ENTRY,
            ),
        ),
    ),
    FrameKind(
        "server",
        (SEED,),
        (
            frames.SeedReceiptOut(
                to=_MOBILES[0],
                sender=_MOBILES[1],
                message_id="m7",
                ack_type="delivered",
                timestamp=_TIME,
                stream_id=_ENTRY,
            ),
        ),
    ),
    FrameKind(
        "server",
        (SUBPROTOCOL,),
        (
            frames.PresenceOut(mobile_no=_MOBILES[1], online=True),
            frames.PresenceOut(mobile_no=_MOBILES[1], online=False, last_seen=_TIME),
        ),
    ),
    FrameKind("server", (SUBPROTOCOL,), (frames.TypingOut(sender=_MOBILES[1], active=True),)),
    FrameKind(
        "server",
        (SUBPROTOCOL,),
        (frames.OwnOut(to=_MOBILES[1], message_id="m7", message="hello", timestamp=_TIME - 3, stream_id=_ENTRY),),
    ),
    FrameKind(
        "server",
        (SUBPROTOCOL,),
        (frames.OwnReadOut(sender=_MOBILES[1], message_ids=["m1"], timestamp=_TIME, stream_id=_ENTRY),),
    ),
    FrameKind("server", (SUBPROTOCOL,), (frames.SyncedOut(count=1),)),
    FrameKind("server", (SUBPROTOCOL,), (frames.ResyncOut(epoch="e2", reason="the storage lost something"),)),
    FrameKind(
        "server",
        (SEED,),
        (
            frames.SystemOut(message="dear user:Asha you are connected to the server!"),
            frames.SystemOut(message="message stored", message_id="m7", to=_MOBILES[1], status="sent", timestamp=_TIME),
            frames.SystemOut(message="the storage lost something", code="resync", epoch="e2"),
        ),
    ),
    FrameKind("server", DIALECTS, tuple(map(_refusal, ON_THE_SOCKET))),
    FrameKind("server", DIALECTS, (frames.PongOut(),)),
)

NOT_IN_SEED: Final = frozenset({"too_many_watched"})
"""Of these, those of frames that the seed dialect does not have."""
BEFORE_THE_UPGRADE: Final = (
    "bad_request", "request_timeout", "uri_too_long", "head_too_large", "upgrade_required", "token_missing",
    "token_invalid", "token_expired", "session_revoked", "ticket_invalid", "too_many_connections", "too_many_requests",
    "rate_limited", "unavailable", "draining", "internal",
)  # fmt: skip
"""Codes of refused upgrades. They are answers of HTTP."""
NOT_SENT: Final = {"bad_subprotocol": "no offer of subprotocols is refused any more", "forbidden": "nothing is, so far"}
"""Codes that no answer has, and why they stay in the table: clients may rely on codes for ever."""

_NAMED: Final = [
    {"required": ["streamId"]},
    {"required": ["streamIds"]},
    {"required": ["to", "messageId"]},
    {"required": ["to", "messageIds"]},
]
_MORE: Final[dict[str, Schema]] = {
    "AckIn": {
        "anyOf": _NAMED,
        "if": {"properties": {"ackType": {"const": "read"}}},
        "then": {"anyOf": _NAMED[2:]},
    }
}
"""What a struct cannot say, by its name."""


def kinds(sender: Sender, dialect: str) -> Iterator[FrameKind]:
    """The frames that one side sends in a dialect."""
    return (kind for kind in KINDS if kind.sender == sender and dialect in kind.dialects)


def schemas(ref: str) -> dict[str, Schema]:
    """The schema of each frame and of what it holds, by the name of its struct.

    :param ref: how one refers to another, with ``{name}`` in it
    """
    read = schemas_of([kind.struct for kind in KINDS if kind.sender == "client"], "read", ref)
    sent = schemas_of([kind.struct for kind in KINDS if kind.sender == "server"], "sent", ref)
    sent["ErrorOut"]["properties"]["code"] |= {"enum": list(ON_THE_SOCKET)}
    return {name: schema | _MORE.get(name, {}) for name, schema in (read | sent).items()}


def as_sent(frame: Struct) -> dict[str, Any]:
    """A frame as its JSON says it."""
    decoded: dict[str, Any] = msgspec.json.decode(frames.encode(frame))
    return decoded
