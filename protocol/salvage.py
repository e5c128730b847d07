"""What can still be read of invalid JSON: the frames of an array, and the fields that name a frame.

Only for errors. Every expression here is possessive, so that its time grows only linearly with the length of the input;
input that would take too many steps is given up.
"""

import re
from itertools import islice
from typing import Any, Final

import msgspec

_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_LEAF: Final = rb'\[(?:[^\[\]{}"]++|' + _STRING + rb")*+\]"
_FLAT: Final = rb'\{(?:[^\[\]{}"]++|' + _STRING + rb"|" + _LEAF + rb")*+\}"
_PIECE: Final = re.compile(rb"(" + _STRING + rb"|" + _LEAF + rb"|" + _FLAT + rb')|[\[\]{},"]', re.DOTALL)
_FIELD: Final = re.compile(
    rb"(" + _STRING + rb")\s*+:\s*+(" + _STRING + rb"|" + _LEAF + rb"|[0-9-]++)?+"
    rb"|" + _STRING + rb"|" + _LEAF + rb"|" + _FLAT + rb'|[\[\]{}"]',
    re.DOTALL,
)
_CLOSES: Final = {b"[": b"]", b"{": b"}"}
MAX_PIECES: Final = 10_000
"""Twice as many as 256 KiB of short chats have; a few milliseconds."""


def divide(data: bytes) -> list[bytes] | None:
    """The elements of an array, each as it was written. None when brackets or quotation marks do not match, so that the
    end of an element cannot be found.

    :param data: begins with ``[``, but for white space
    """
    start = data.index(b"[") + 1
    parts: list[bytes] = []
    open_: list[bytes] = []
    for piece in islice(_PIECE.finditer(data, start), MAX_PIECES):
        if piece[1] is not None:
            continue
        mark = piece[0]
        if mark in _CLOSES:
            open_.append(_CLOSES[mark])
        elif mark == b",":
            if not open_:
                parts.append(data[start : piece.start()].strip())
                start = piece.end()
        elif open_ and mark == open_[-1]:
            open_.pop()
        else:
            whole = mark == b"]" and not open_ and not data[piece.end() :].strip()
            return [*parts, data[start : piece.start()].strip()] if whole else None
    return None


def fields_of(data: bytes) -> dict[str, Any]:
    """The readable fields of a JSON object, valid or not: those whose values are strings, whole numbers, or arrays of
    such."""
    found: dict[str, Any] = {}
    data = data.strip()
    if data[:1] != b"{":
        return found
    depth = 1
    for piece in islice(_FIELD.finditer(data, 1), MAX_PIECES):
        mark = piece[0]
        if mark == b'"':
            break
        if mark in _CLOSES:
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
            if not depth:
                break
        elif depth == 1 and piece[2] is not None:
            try:
                found[msgspec.json.decode(piece[1])] = msgspec.json.decode(piece[2])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return found
