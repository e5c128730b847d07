"""What is said to a person: times, ticks, presence, refusals. Times are given."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from whatsapp_mini.errors import ApiError, Ended, SendFailed

TICKS: Final[Mapping[str, str]] = {
    "waiting": "◷ waiting",
    "sent": "✓ sent",
    "expired": "✓ expired",
    "delivered": "✓✓ delivered",
    "read": "✓✓ read",
    "failed": "✕ not sent",
}
"""A sign and a word for each state of one's own message. The word is for those who do not know the sign."""

_REFUSALS: Final[Mapping[str, str]] = {
    "credentials_wrong": "The password is wrong, or nobody has this number.",
    "unreachable": "The server does not answer.",
    "rate_limited": "That was too often. Try again in a moment.",
    "unknown_recipient": "Nobody has this number.",
    "self_message": "That is your own number.",
    "message_too_large": "The message is too long.",
    "message_empty": "The message is empty.",
    "no_answer": "The server gave no answer to it.",
    "session_revoked": "You were logged out. Log in again.",
    "refresh_invalid": "You were logged out. Log in again.",
    "refresh_reused": "You were logged out for safety: somebody used an old key of yours. Log in again.",
    "token_expired": "Your session is over. Log in again.",
    "token_invalid": "Your session is over. Log in again.",
}


def refusal(code: str, message: str = "") -> str:
    """One sentence for a refusal: ours where we have a better one, else the server's."""
    text = _REFUSALS.get(code) or one_line(message) or f"The server refused it ({one_line(code)})."
    return text if text.endswith((".", "!", "?")) else f"{text}."


def why(error: ApiError | Ended | SendFailed) -> str:
    """One sentence for an error of the client."""
    return refusal(str(error.code), error.reason if isinstance(error, Ended) else error.message)


def spaced(mobile: str) -> str:
    """A number that is easier to read aloud: ``+9198 0000 0001`` for ``919800000001``."""
    groups = re.findall(r".{1,4}", mobile[::-1])
    return "+" + " ".join(group[::-1] for group in reversed(groups))


def clock(when_ms: int) -> str:
    """The hour and minute here."""
    return f"{_local(when_ms):%H:%M}"


def day(when_ms: int, now: datetime) -> str:
    """The day of a message, for the line above it."""
    when = _local(when_ms).date()
    if when == now.date():
        return "Today"
    if when == now.date() - timedelta(days=1):
        return "Yesterday"
    shown = f"{when:%A} {when.day} {when:%B}"
    return shown if when.year == now.year else f"{shown} {when.year}"


def short(when_ms: int, now: datetime) -> str:
    """When, in at most eight characters, for the list of chats."""
    when = _local(when_ms)
    if when.date() == now.date():
        return f"{when:%H:%M}"
    if timedelta(0) < now.date() - when.date() < timedelta(days=7):
        return f"{when:%a}"
    return f"{when.day} {when:%b}" if when.year == now.year else f"{when:%d.%m.%y}"


def presence(online: bool | None, last_seen_ms: int | None, now: datetime) -> str:
    """What the other one's presence is; ``online`` is None while it is not known."""
    if online is None:
        return ""
    if online:
        return "● online"
    if last_seen_ms is None:
        return "last seen not shown"
    when = _local(last_seen_ms)
    if when.date() == now.date():
        return f"last seen {when:%H:%M}"
    return (
        f"last seen {day(last_seen_ms, now).lower() if _recent(when, now) else short(last_seen_ms, now)}, {when:%H:%M}"
    )


def one_line(text: str) -> str:
    """A text for a place that has one line."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """A text that can do nothing to a terminal: control characters, and marks that turn the direction of what follows
    them, are shown as U+FFFD. Tabs and line ends stay."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "\ufffd", text.replace("\r\n", "\n"))


def excerpt(text: str, searched: str) -> str:
    """The part of a text around what was searched in it, for one line."""
    text = one_line(text)
    place = max(0, text.lower().find(searched.strip().lower()) - 20)
    return f"{'…' if place else ''}{text[place : place + 70]}"


def count(many: int, thing: str) -> str:
    """``1 message``, ``2 messages``."""
    return f"{many:,} {thing}" if many == 1 else f"{many:,} {thing}s"


def _recent(when: datetime, now: datetime) -> bool:
    return now.date() - when.date() <= timedelta(days=1)


def _local(when_ms: int) -> datetime:
    return datetime.fromtimestamp(when_ms / 1000).astimezone()
