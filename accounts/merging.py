"""Merges repeated session events of one device into one row.

Without it two tabs that replace each other, or a client that reconnects in a loop, would write two rows a connection:
4,800 a second. The first event of a kind is written at once; those that follow within a minute become one row with
their number.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec

from models import EventKind

WINDOW_SECONDS: Final = 60.0
"""For so long after an event was written, others like it are held."""
QUIET_SECONDS: Final = 10.0
"""A held disconnect is written when no other one followed for so long: "last seen" is rebuilt from it."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a session.

    :param account_id: None when it is unknown
    :param server_id: empty: the server whose :class:`SessionEvents` takes it
    :param reason: of the error or the close; 64 characters of it are stored
    :param times: how many events it stands for; all else is of the first one, and for disconnects of the last one
    """

    kind: EventKind
    mobile: str
    account_id: str | None = None
    session_id: str | None = None
    device_id: str = ""
    reason: str = ""
    server_id: str = ""
    times: int = 1
    at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


Key: TypeAlias = tuple[EventKind, str, str]


@dataclass(slots=True)
class _Window:
    """The minute after an event that was written.

    :param until: when it ends
    :param touched: when the last event came
    :param held: the events since then, merged
    """

    until: float
    touched: float = 0.0
    held: Event | None = None


class Merger:
    """Holds events that are to be merged.

    :param most: windows at once; beyond that events are not merged
    :param clock: seconds, never jumps
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._windows: dict[Key, _Window] = {}  # in the order of their ends
        self._holding: dict[Key, _Window] = {}  # those of them that hold something

    def __len__(self) -> int:
        return len(self._holding)

    def pass_on(self, event: Event) -> Event | None:
        """The event, if it is to be written now. None: it is held, and :meth:`due` returns it later."""
        key = _key(event)
        if key is None:
            return event
        window, now = self._windows.get(key), self._clock()
        if window is None or (window.until <= now and window.held is None):
            self._windows.pop(key, None)
            if len(self._windows) < self._most:
                self._windows[key] = _Window(now + WINDOW_SECONDS)
            return event
        window.held = event if window.held is None else _merged(window.held, event)
        window.touched = now
        self._holding[key] = window
        return None

    def due(self) -> list[Event]:
        """Events that were held for long enough."""
        now = self._clock()
        return [*self._quiet(now), *self._ended(now)]

    def everything(self) -> list[Event]:
        """All events that are held."""
        held = [window.held for window in self._holding.values() if window.held is not None]
        self._holding.clear()
        self._windows.clear()
        return held

    def _quiet(self, now: float) -> Iterator[Event]:
        for key, window in list(self._holding.items()):
            if key[0] is EventKind.DISCONNECT and now - window.touched >= QUIET_SECONDS and window.held is not None:
                yield window.held
                window.held = None
                del self._holding[key]

    def _ended(self, now: float) -> Iterator[Event]:
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if window.until > now:
                return
            del self._windows[key]
            if window.held is not None:
                yield window.held
                del self._holding[key]
                self._windows[key] = _Window(now + WINDOW_SECONDS)  # there may be more of them


def _key(event: Event) -> Key | None:
    match event.kind:
        case EventKind.CONNECT | EventKind.DISCONNECT:
            return event.kind, event.mobile, event.device_id
        case EventKind.LOGIN_FAILED | EventKind.LIMITED:
            return event.kind, event.mobile, event.reason  # an attacker may name a new device each time
        case _:
            return None


def _merged(before: Event, event: Event) -> Event:
    stays = event if event.kind is EventKind.DISCONNECT else before
    return msgspec.structs.replace(stays, times=before.times + event.times)
