"""The state of the connection in words: a sign beside one's own name, and a line above everything while it is lost."""

from math import ceil

from whatsapp_mini.events import ConnectionState
from whatsapp_mini.terminal import words


def status(state: ConnectionState) -> tuple[str, str]:
    """A sign with a word, and its style."""
    match state.name:
        case "online":
            return "● online", "$online"
        case "connecting":
            return "◌ connecting", "$muted"
        case _:
            return "○ offline", "$warning"


def banner(state: ConnectionState, url: str, *, was_online: bool, now: float) -> str:
    """The line, or "" while there is nothing to say.

    :param now: seconds of Unix time
    """
    match state.name:
        case "pausing":
            left = max(1, ceil((state.until or now) - now))
            what = "Connection lost." if was_online else f"No connection to {url}."
            return f"{what} Next try in {left} s (F5: now). What you write goes out then."
        case "stopped" if state.code == 4508:
            return "This account is open elsewhere as the same device. F5: use it here."
        case "stopped":
            return f"{words.one_line(state.reason or 'The connection was ended')} ({state.code}). F5: try again."
    return ""
