"""Messages, and their states."""

import re
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, Literal

State = Literal["waiting", "failed", "sent", "expired", "delivered", "read", "new"]
RANKS: Final = {"waiting": 0, "failed": 0, "sent": 1, "expired": 2, "delivered": 3, "read": 4}
"""Ticks only go forward (C33)."""
MAX_FRAME_BYTES: Final = 64 * 1024
LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: later times are none that Python, or a database, can take."""
_MESSAGE_ID: Final = re.compile(r"[!-~]{1,128}")
_FORMATTING: Final = re.compile(r"[\s().\-/\u00ad\u2010-\u2015\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    :param peer: the other one's number, of one's own messages, too
    :param timestamp: milliseconds of Unix time; the server's, but of a message that waits this machine's
    :param text: is left out of the ``repr``, which may end in a log
    """

    id: str
    peer: str
    mine: bool
    text: str = field(repr=False)
    timestamp: int
    state: State
    stream_id: str | None = None
    error: Failure | None = None


def digits(number: str) -> str:
    """The digits of a number that was written with ``+``, spaces, dashes or brackets."""
    plain = _FORMATTING.sub("", number.replace("(0)", ""))
    return plain.removeprefix("+") if plain.startswith("+") else plain.removeprefix("00")


def well_formed(text: str) -> str:
    """The text with U+FFFD in place of each half of a surrogate pair (C17), which no UTF-8 can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def seconds_of(value: Any) -> float | None:
    """A number of seconds as the other side wrote it; None if nobody can wait for so long, or it is no number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None


def is_number(number: str) -> bool:
    """Whether it is 10 to 15 digits that do not begin with 0."""
    return number.isascii() and number.isdigit() and 10 <= len(number) <= 15 and number[0] != "0"


def is_message_id(message_id: str) -> bool:
    """Whether it has 1 to 128 printable ASCII characters without space."""
    return _MESSAGE_ID.fullmatch(message_id) is not None
