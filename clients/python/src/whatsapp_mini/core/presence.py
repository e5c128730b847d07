"""Who is watched and online, and who types to whom (C36–C38). Nothing of it is kept."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from whatsapp_mini.core.effects import Do, Emit, SendFrame
from whatsapp_mini.events import Presence, Typing

WATCH_AT_ONCE: Final = 200
NAMED: Final = 16
"""A refusal names the first so many numbers of a watch."""
FIRST_RETRY: Final = 1.0
REPEAT_SECONDS: Final = 3.0
PAUSE_SECONDS: Final = 5.0
"""Somebody who has not called ``typing`` for so long has stopped."""
SHOWN_SECONDS: Final = 10.0


class Watching:
    """The numbers whose presence is asked for on each connection."""

    def __init__(self, do: Do, numbers: Iterable[str] = ()) -> None:
        self._do = do
        self.numbers: dict[str, None] = dict.fromkeys(numbers)
        self._online: set[str] = set()
        self._asked: list[tuple[str, ...]] = []
        self._again: list[tuple[float, tuple[str, ...]]] = []

    def connected(self) -> None:
        """Ask for all of them."""
        self._asked, self._again = [], []
        self._ask(list(self.numbers))

    def watch(self, numbers: Sequence[str], is_online: bool) -> None:
        """Ask for these, too."""
        new = [number for number in dict.fromkeys(numbers) if number not in self.numbers]
        self.numbers.update(dict.fromkeys(new))
        if is_online:
            self._ask(new)

    def unwatch(self, numbers: Sequence[str], is_online: bool) -> None:
        """Ask for these no longer."""
        known = [number for number in dict.fromkeys(numbers) if number in self.numbers]
        self._forget(known)
        for start in range(0, len(known) if is_online else 0, WATCH_AT_ONCE):
            self._do(SendFrame({"type": "unwatch", "mobileNos": known[start : start + WATCH_AT_ONCE]}))

    def came(self, mobile_no: str, online: bool, last_seen: int | None) -> None:
        """The server says how it is."""
        self._asked = [chunk for chunk in self._asked if chunk[0] != mobile_no]  # it was answered, so it is not refused
        (self._online.add if online else self._online.discard)(mobile_no)
        self._do(Emit(Presence(mobile_no, online, last_seen)))

    def refused(self, named: Sequence[Any], retry_after: float | None, retryable: bool, now: float) -> None:
        """None of the frame that begins with these numbers is watched."""
        asked = next((chunk for chunk in self._asked if list(chunk[:NAMED]) == list(named[:NAMED])), None)
        if asked is None:
            return
        self._asked.remove(asked)
        if retryable:
            self._again.append((now + (retry_after or FIRST_RETRY), asked))
        else:
            self._forget(asked)

    def tick(self, now: float) -> None:
        """Ask again for what was refused for a while."""
        due = [chunk for at, chunk in self._again if at <= now]
        self._again = [(at, chunk) for at, chunk in self._again if at > now]
        for chunk in due:
            self._ask([number for number in chunk if number in self.numbers])

    def disconnected(self) -> None:
        """Nobody is shown as online while nothing is known."""
        for mobile_no in self._online:
            self._do(Emit(Presence(mobile_no, online=False)))
        self._online.clear()
        self._asked, self._again = [], []

    def deadline(self) -> float | None:
        """When there is something to ask again."""
        return min((at for at, _ in self._again), default=None)

    def _ask(self, numbers: Sequence[str]) -> None:
        for start in range(0, len(numbers), WATCH_AT_ONCE):
            chunk = tuple(numbers[start : start + WATCH_AT_ONCE])
            self._asked.append(chunk)
            self._do(SendFrame({"type": "watch", "mobileNos": list(chunk)}))

    def _forget(self, numbers: Iterable[str]) -> None:
        for number in numbers:
            self.numbers.pop(number, None)
            self._online.discard(number)


class OwnTyping:
    """To whom this person types."""

    def __init__(self, do: Do) -> None:
        self._do = do
        self._told: dict[str, float] = {}
        self._called: dict[str, float] = {}

    def typing(self, to: str, active: bool, now: float) -> None:
        """A key was pressed, or the field was left."""
        if not active:
            self.stopped(to)
            return
        self._called[to] = now
        if to not in self._told or now >= self._told[to] + REPEAT_SECONDS:
            self._told[to] = now
            self._do(SendFrame({"type": "typing", "to": to, "active": True}))

    def stopped(self, to: str) -> None:
        """They sent it, or gave up."""
        if self._called.pop(to, None) is not None:
            self._do(SendFrame({"type": "typing", "to": to, "active": False}))

    def tick(self, now: float) -> None:
        """End what nobody goes on with."""
        for to in [to for to, at in self._called.items() if at + PAUSE_SECONDS <= now]:
            self.stopped(to)
        self._told = {to: at for to, at in self._told.items() if to in self._called or at + REPEAT_SECONDS > now}

    def disconnected(self) -> None:
        """The server has forgotten it, too."""
        self._told.clear()
        self._called.clear()

    def deadline(self) -> float | None:
        """When somebody has stopped."""
        return min((at + PAUSE_SECONDS for at in self._called.values()), default=None)


class TheirTyping:
    """Who types to this person."""

    def __init__(self, do: Do) -> None:
        self._do = do
        self._until: dict[str, float] = {}

    def came(self, peer: str, active: bool, now: float) -> None:
        """The server says so."""
        if not active:
            self.ended(peer)
            return
        is_new = peer not in self._until
        self._until[peer] = now + SHOWN_SECONDS
        if is_new:
            self._do(Emit(Typing(peer, active=True)))

    def ended(self, peer: str) -> None:
        """They stopped, or their chat is here."""
        if self._until.pop(peer, None) is not None:
            self._do(Emit(Typing(peer, active=False)))

    def tick(self, now: float) -> None:
        """End what nobody repeated."""
        for peer in [peer for peer, at in self._until.items() if at <= now]:
            self.ended(peer)

    def disconnected(self) -> None:
        """Nothing is known any more."""
        for peer in list(self._until):
            self.ended(peer)

    def deadline(self) -> float | None:
        """When somebody has stopped."""
        return min(self._until.values(), default=None)
