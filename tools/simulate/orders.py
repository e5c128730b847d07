"""What a session promises its shell, as seen from outside of it: the three orders, and the order of copies."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from delivery.keys import OWN_CHATS
from delivery.results import Claimed
from delivery.session import effects as do
from delivery.session.session import Session
from protocol.errors import ApiError
from tools.chaos import frames as wire

MOST_STORED: Final = 64
"""Replies to StoreChats that are remembered: more than can be under way."""
Report = Callable[[str], None]


class Orders:
    """The three orders. What breaks them is reported."""

    def __init__(self, session: Session, report: Report) -> None:
        self._report = report
        self._copies = Copies(session, report)
        self._is_claimed = self._has_left = self._is_released = False
        self._told: set[str] = set()
        self._fetches = 0

    def emitted(self, effect: do.Effect) -> None:
        """About to be run."""
        self._copies.emitted(effect)
        if self._has_left and not isinstance(effect, (do.ReleaseLease, do.RecordEvent)):
            self._report(f"{type(effect).__name__} after LeaveHub")
        if isinstance(effect, do.FetchEntries):
            self._fetches += 1
            if not self._is_claimed:
                self._report("FetchEntries before the lease was claimed")
            if self._fetches > 1:
                self._report("two fetches under way")
            self._check_settled(effect.settled)
        elif isinstance(effect, do.Settle):
            self._check_settled(effect.settled)
        elif isinstance(effect, do.LeaveHub):
            self._has_left = True
            if not self._is_released:
                self._report("LeaveHub before the lease was released")

    def answered(self, effect: do.Effect, result: Any) -> None:
        """Not told to the session yet."""
        self._copies.answered(effect, result)
        if isinstance(effect, do.ClaimLease):
            self._is_claimed = self._is_claimed or isinstance(result, Claimed)
        elif isinstance(effect, do.ReleaseLease):
            self._is_released = True
        elif isinstance(effect, do.FetchEntries):
            self._fetches -= 1
        elif isinstance(effect, do.NoteDelivered) and effect.state == "a" and not isinstance(result, Exception):
            self._told.update(effect.receipt.ids)  # what other devices told needs no receipt
        elif isinstance(effect, do.SendReceipt) and effect.kind == "delivered":
            if result is None or (isinstance(result, ApiError) and result.code == "no_such_person"):
                self._told.update(effect.ids)
        elif isinstance(effect, do.LoadUser) and isinstance(effect.then, do.SendReceipt) and result is not None:
            self._told.update(effect.then.ids)

    def _check_settled(self, settled: list[Any]) -> None:
        for entry in settled:
            if entry.sender not in ("", OWN_CHATS) and entry.stream_id not in self._told:
                self._report(f"{entry.stream_id} is settled, and its sender was not told")


class Copies:
    """A chat is stored for its recipient, then copied for the sender's other devices, and then it is `sent`."""

    def __init__(self, session: Session, report: Report) -> None:
        self._session = session
        self._report = report
        self._stored: deque[do.StoreChats] = deque(maxlen=MOST_STORED)
        self._uncopied: set[str] = set()

    def emitted(self, effect: do.Effect) -> None:
        """About to be run."""
        if isinstance(effect, do.StoreOwn):
            if not any(effect.store is store for store in self._stored):
                self._report("StoreOwn before the chats were stored for their recipient")
        elif isinstance(effect, do.SendFrames) and self._uncopied:
            for frame in [frame for each in effect.frames for frame in wire.decode(each)]:
                if frame.kind == "sent" and frame.message_id in self._uncopied:
                    self._report(f"{frame.message_id} is `sent` before the other devices have it")

    def answered(self, effect: do.Effect, result: Any) -> None:
        """Not told to the session yet."""
        if isinstance(effect, do.StoreChats) and isinstance(result, list):
            self._stored.append(effect)
            stored = {name for (name, _), at in zip(effect.chats, result, strict=True) if isinstance(at, str)}
            self._uncopied = self._uncopied | stored if self._session._window.shared else self._uncopied - stored
        elif isinstance(effect, do.StoreOwn) and isinstance(result, bool):
            self._uncopied.difference_update(name for name, *_ in effect.chats)
