"""What a hostile client says: for each flood, the bytes that go onto its WebSocket.

Floods of protocol frames exist in both dialects: arrays of up to 60 kB in ``wm.v1``, one frame a message in the seed
dialect. Floods below the protocol are the same in both.
"""

import itertools
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tools.bench.seed import text_frame

TEXT, BINARY, CONTINUED, PING, PONG = 1, 2, 0, 9, 10
MESSAGE_BYTES: Final = 60_000
"""Of one message; the server takes 64 KiB."""
BIG_TEXT: Final = "x" * 16 * 1024


def small_frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """A client's frame, masked with zeros; at most 125 bytes of payload."""
    return bytes([opcode | (0x80 if last else 0), 0x80 | len(payload)]) + b"\0\0\0\0" + payload


@dataclass(frozen=True, slots=True)
class Target:
    """:param sybil: the number of an account that belongs to the hostile client, too"""

    sybil: str


Say = Callable[[Target, str], str]
"""A protocol frame, given a name that no other has."""


def _chat(to: str, message_id: str, text: str) -> str:
    return f'{{"type":"chat","to":"{to}","messageId":"{message_id}","message":"{text}"}}'


def _ack(fields: str) -> str:
    return f'{{"type":"ack",{fields}}}'


_IDS: Final = '"ackType":"delivered","streamIds":[' + ",".join(['"1-1"'] * 1000) + "]"
_READ: Final = '"ackType":"read","to":"%s",'
_NUMBERS: Final = itertools.count(9_100_000_000)
"""Of people who do not exist."""

PROTOCOL: Final[dict[str, Say]] = {
    "chats": lambda target, name: _chat(target.sybil, name, "hello"),
    "chats-16k": lambda target, name: _chat(target.sybil, name, BIG_TEXT),
    "mailbox-full": lambda target, name: _chat(target.sybil, name, "hello"),
    "nobody": lambda _target, name: _chat(str(next(_NUMBERS)), name, "hello"),
    "fresh-recipients": lambda _target, _name: (
        f'{{"type":"chat","to":"{next(_NUMBERS)}","messageId":"m","message":"x"}}'
    ),
    "repeated": lambda target, _name: _chat(target.sybil, "again", "hello"),
    "acks-1000": lambda _target, _name: _ack(_IDS),
    "acks": lambda _target, _name: _ack('"ackType":"delivered","streamIds":["1-1"]'),
    "reads-1000": lambda target, name: _ack(
        _READ % target.sybil + '"messageIds":["' + '","'.join(f"{name}{n}" for n in range(1000)) + '"]'
    ),
    "reads": lambda target, name: _ack(_READ % target.sybil + f'"messageId":"{name}"'),
    "acks-by-message": lambda target, name: _ack(f'"ackType":"delivered","to":"{target.sybil}","messageId":"{name}"'),
    "unknown-type": lambda _target, _name: '{"type":"?"}',
    "json-ping": lambda _target, _name: '{"type":"ping"}',
    "surrogates": lambda target, name: _chat(target.sybil, name, "\\ud83d"),
    "unread": lambda _target, name: _chat(str(next(_NUMBERS)), name, "hello"),
}
"""Frames of the protocol, by the flood they make. ``unread`` is ``nobody`` from a client that reads no answer."""

BELOW: Final[dict[str, tuple[bytes, int]]] = {
    "bad-json": (text_frame('{"type":') * 2_000, 2_000),
    "binary": (small_frame(BINARY, b"b" * 100) * 500, 500),
    "pings": (small_frame(PING, b"p" * 125) * 500, 500),
    "pongs": (small_frame(PONG, b"p" * 125) * 500, 500),
    "one-byte": (small_frame(TEXT, b"1") * 10_000, 10_000),
    "fragments": (small_frame(TEXT, b"", last=False) + small_frame(CONTINUED, b"", last=False) * 9_999, 10_000),
}
"""What is no frame of the protocol: the same bytes again and again, and how many frames they are."""

SYBIL_LISTENS: Final = frozenset({"chats", "chats-16k"})
"""Floods whose recipient is connected and acks, so that each chat is stored, handed out and receipted."""
SAME_EACH_TIME: Final = frozenset({"repeated", "acks-1000", "acks", "unknown-type", "json-ping"})


def streams(kind: str, target: Target, *, arrays: bool) -> Iterator[tuple[bytes, int]]:
    """Blocks of bytes without end, and how many frames (or messages) are in each.

    :param arrays: join frames of the protocol (``wm.v1``)
    """
    if kind in BELOW:
        return itertools.repeat(BELOW[kind])
    made = _blocks(PROTOCOL[kind], target, arrays=arrays)
    return itertools.repeat(next(made)) if kind in SAME_EACH_TIME else made


def _blocks(say: Say, target: Target, *, arrays: bool) -> Iterator[tuple[bytes, int]]:
    run = secrets.token_hex(4)
    frames = (say(target, f"{run}-{number}") for number in itertools.count())
    waiting: list[str] = []
    size = 0
    for frame in frames:
        if waiting and size + len(frame) + 1 > MESSAGE_BYTES:
            yield _messages(waiting, arrays=arrays), len(waiting)
            waiting, size = [], 0
        waiting.append(frame)
        size += len(frame) + 1


def _messages(frames: list[str], *, arrays: bool) -> bytes:
    return text_frame("[" + ",".join(frames) + "]") if arrays else b"".join(map(text_frame, frames))
