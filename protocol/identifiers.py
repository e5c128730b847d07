"""Which strings are valid mobile numbers, messageIds, deviceIds and streamIds.

The patterns spell out ``[0-9]`` and ``[A-Za-z]``: ``\\d`` and ``str.isdigit`` also accept Arabic and full-width
digits, and what is valid here becomes part of Redis keys.
"""

import re
from typing import Final

from protocol.errors import ApiError

DIGITS: Final = re.compile(r"[1-9][0-9]{9,14}\Z")
_PUNCTUATION: Final = re.compile(r"[ \-.()\[\]/]")
# Invisible, or changing the direction of writing: copied along from address books, web pages and chats.
_INVISIBLE: Final = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_SPACES: Final = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_DASHES: Final = re.compile("[\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]")
_TRUNK_ZERO: Final = re.compile(r"(?<=[0-9])[ \-.\])]*\(0\)")
_MAX_WRITTEN: Final = 64
"""Characters of a number as a person writes it."""
_DEVICE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
_MESSAGE_ID: Final = re.compile(r"[!-~]{1,128}\Z")
_STREAM_ID: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})\Z")
_U64: Final = 2**64 - 1

PRIMARY: Final = "primary"
"""The deviceId of a log-in that names none."""


def clean_mobile(raw: str) -> str:
    """Drop punctuation and one leading plus or ``00``; what remains must be 10 to 15 ASCII digits, the first no 0.

    Punctuation is spaces, dashes, dots, slashes, brackets, ``(0)`` behind a digit and invisible marks. A leading
    space counts as a plus: ``?mobileNo=+91…`` arrives that way.

    :raises ApiError: ``bad_mobile``
    """
    digits = _PUNCTUATION.sub("", _TRUNK_ZERO.sub("", plain_writing(raw)))
    digits = digits.removeprefix("+")
    if not DIGITS.match(digits := digits.removeprefix("00")):
        raise ApiError("bad_mobile")
    return digits


def plain_writing(raw: str) -> str:
    """A number as a person wrote it, without invisible marks, and with ASCII spaces and dashes.

    :raises ApiError: ``bad_mobile`` over 64 characters
    """
    if len(raw) > _MAX_WRITTEN:
        raise ApiError("bad_mobile")
    if raw.isascii():
        return raw
    return _DASHES.sub("-", _SPACES.sub(" ", _INVISIBLE.sub("", raw)))


def is_message_id(value: str) -> bool:
    """Whether it has 1 to 128 printable ASCII characters without space: receipts join ids by spaces."""
    return _MESSAGE_ID.match(value) is not None


def check_device(value: str) -> str:
    """Return it when it has 1 to 64 of ``A-Z a-z 0-9 _ - .``.

    :raises ApiError: ``bad_device``
    """
    if not _DEVICE.match(value):
        raise ApiError("bad_device")
    return value


def parse_stream_id(stream_id: str) -> tuple[int, int]:
    """``"<ms>-<seq>"`` as two numbers, for an id that came from Redis. Others: :func:`check_stream_id`."""
    ms, _, seq = stream_id.partition("-")
    return int(ms), int(seq)


def check_stream_id(value: str) -> tuple[int, int]:
    """``"<ms>-<seq>"`` as two numbers, so that ids compare as numbers.

    :raises ApiError: ``bad_stream_id`` for ``*``, ``0-0``, anything over 64 bits or not of that shape
    """
    match = _STREAM_ID.match(value)
    if match is None:
        raise ApiError("bad_stream_id")
    ms, seq = int(match[1]), int(match[2])
    if ms > _U64 or seq > _U64 or (ms, seq) == (0, 0):
        raise ApiError("bad_stream_id")
    return ms, seq
