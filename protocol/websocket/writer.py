"""A server's frames as bytes: whole, unmasked, without extensions."""

from typing import Final

from protocol.websocket.reader import CLOSE, CONTROL_BYTES, FIN, NO_STATUS, PING, PONG, TEXT


def text(payload: bytes) -> bytes:
    """A text message; ``payload`` is UTF-8."""
    size = len(payload)
    if size <= CONTROL_BYTES:
        return _SHORT_TEXT[size] + payload
    if size < 2**16:
        return _TEXT_HEAD + size.to_bytes(2, "big") + payload
    return _frame(TEXT, payload)


def ping(payload: bytes) -> bytes:
    """A ping, of at most 125 bytes."""
    return _frame(PING, payload)


def is_ping(frame: bytes) -> bool:
    """Whether :func:`ping` made this frame."""
    return frame[0] == FIN | PING


def pong(payload: bytes) -> bytes:
    """A pong, of at most 125 bytes."""
    return _frame(PONG, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; without a code for 1005. A reason of more than 123 bytes loses its end."""
    if code == NO_STATUS:
        return _frame(CLOSE, b"")
    short = reason.encode()[: CONTROL_BYTES - 2].decode(errors="ignore").encode()  # never half a character
    return _frame(CLOSE, code.to_bytes(2, "big") + short)


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < len(_SHORT[opcode]):
        return _SHORT[opcode][size] + payload
    if size < 2**16:
        return bytes((FIN | opcode, 126, size >> 8, size & 0xFF)) + payload
    return bytes((FIN | opcode, 127)) + size.to_bytes(8, "big") + payload


_SHORT: Final = {
    opcode: [bytes((FIN | opcode, size)) for size in range(CONTROL_BYTES + 1)] for opcode in (TEXT, CLOSE, PING, PONG)
}
"""Heads of short frames, by opcode and size."""
_SHORT_TEXT: Final = _SHORT[TEXT]
_TEXT_HEAD: Final = bytes((FIN | TEXT, 126))
