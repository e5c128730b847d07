"""A client's frames from bytes. Knows no loop and no transport: it is fed, and asked for the next frame.

One call of :meth:`FrameReader.next` takes one frame, so that the caller can count frames and stop between two: a read
of the transport may hold tens of thousands.
"""

from dataclasses import dataclass
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # where there is no compiled one
    from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN: Final = 0x80
WHOLE_TEXT: Final = FIN | TEXT
CONTROL_BYTES: Final = 125

PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
NOT_UTF8: Final = "text that is not UTF-8"
_STANDARD_CODES: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class Violation(Exception):
    """The client broke the protocol: nothing more can be read from it.

    :param code: the close code the standard gives for it
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment of a message that has more of them."""


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered with the same payload, at most 125 bytes."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """An answer, or unasked for."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """The client's close frame; code 1005 means that it gave none."""

    code: int
    reason: str


Event = str | bytes | Fragment | Ping | Pong | CloseFrame
"""One frame's meaning. ``str`` and ``bytes`` are whole messages, text and binary."""

_FRAGMENT: Final = Fragment()


class FrameReader:
    """Reads one client's frames. After a :class:`Violation` or a :class:`CloseFrame` there is nothing more to ask."""

    __slots__ = ("_at", "_data", "_max_bytes", "_opcode", "_parts")

    def __init__(self, max_bytes: int) -> None:
        """:param max_bytes: the largest message, all its fragments together"""
        self._max_bytes = max_bytes
        self._data = b""
        self._at = 0
        self._opcode = 0
        self._parts: bytearray | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        left = len(self._data) - self._at
        self._data = self._data[self._at :] + data if left else data
        self._at = 0

    def clear(self) -> None:
        """Keep nothing of what arrived."""
        self._data, self._at, self._parts = b"", 0, None

    def next(self) -> Event | None:
        """The next frame's meaning; None when the rest of it has not come.

        :raises Violation: as soon as the bytes at hand show it, before the rest of the frame has come
        """
        data, at = self._data, self._at
        have = len(data) - at
        if have < 2:
            if at:
                self._data, self._at = data[at:], 0
            return None
        first, second = data[at], data[at + 1]
        if first != WHOLE_TEXT or second < FIN or self._parts is not None:
            self._check(first, second)
        size, at = second & 0x7F, at + 2
        if size > CONTROL_BYTES:
            width = 2 if size == 126 else 8
            if have < 2 + width:
                return self._wait()
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        if size > self._max_bytes - (0 if self._parts is None or first & 8 else len(self._parts)):
            raise Violation(TOO_BIG, "message too large")
        start = at + 4
        if len(data) < start + size:
            return self._wait()
        payload = apply_mask(data[start : start + size], data[at:start])
        self._at = start + size
        if first != WHOLE_TEXT:
            return self._meaning(first, payload)
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise Violation(INVALID_DATA, NOT_UTF8) from None

    def _wait(self) -> Event | None:
        self._data = self._data[self._at :]  # a few bytes must not keep a read of 256 KiB alive
        self._at = 0
        return None

    def _check(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise Violation(PROTOCOL_ERROR, "reserved bits are set")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise Violation(PROTOCOL_ERROR, "unknown opcode")
        if not second & 0x80:
            raise Violation(PROTOCOL_ERROR, "frames of a client are masked")
        if opcode >= CLOSE:
            if not first & FIN or second & 0x7F > CONTROL_BYTES:
                raise Violation(PROTOCOL_ERROR, "control frames are whole and of at most 125 bytes")
        elif (opcode == CONTINUATION) != (self._parts is not None):
            raise Violation(PROTOCOL_ERROR, "a fragment out of order")

    def _meaning(self, first: int, payload: bytes) -> Event:
        opcode = first & 0x0F
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        if opcode == CLOSE:
            return _close_frame(payload)
        if opcode != CONTINUATION:
            if first & FIN:
                return payload  # a whole text was taken before
            self._opcode, self._parts = opcode, bytearray()
        return self._joined(payload, whole=bool(first & FIN))

    def _joined(self, payload: bytes, *, whole: bool) -> Event:
        parts = self._parts
        if parts is None:
            raise AssertionError("checked before")
        parts += payload
        if not whole:
            return _FRAGMENT
        self._parts = None
        return _text(bytes(parts)) if self._opcode == TEXT else bytes(parts)


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_DATA, NOT_UTF8) from None


def _close_frame(payload: bytes) -> CloseFrame:
    if not payload:
        return CloseFrame(NO_STATUS, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _STANDARD_CODES or 3000 <= code < 5000):
        raise Violation(PROTOCOL_ERROR, "no valid close code")
    return CloseFrame(code, _text(payload[2:]))
