"""So many at a time, the others in the order they came."""

from collections import deque
from typing import Protocol


class Guest(Protocol):
    """Who wants to pass."""

    def pass_gate(self) -> None:
        """It is your turn; say :meth:`Gate.passed` when you are through."""

    def leave_gate(self) -> None:
        """Go another way."""


class Gate:
    """When thousands come at once, all would be half done for seconds, and each would run into his timeouts.

    With few under way each takes milliseconds, whoever comes first is through first, and who waits costs nothing.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._passing: set[Guest] = set()
        self._waiting: deque[Guest] = deque()
        self._going = False

    def come(self, guest: Guest) -> None:
        """It is called back: at once when there is room, or later."""
        self._waiting.append(guest)
        self._go_on()

    def passed(self, guest: Guest) -> None:
        """It is through, or it gave up; a no-op for one who waits (he is asked again when it is his turn)."""
        if guest in self._passing:
            self._passing.remove(guest)
            self._go_on()

    def disperse(self) -> None:
        """Nobody gets through any more: all who wait go another way."""
        waiting, self._waiting = self._waiting, deque()
        for guest in waiting:
            guest.leave_gate()

    def _go_on(self) -> None:
        if self._going:
            return  # somebody was through at once: the loop below goes on by itself, and not ever deeper
        self._going = True
        try:
            self._call()
        finally:
            self._going = False

    def _call(self) -> None:
        while self._waiting and len(self._passing) < self._width:
            guest = self._waiting.popleft()
            self._passing.add(guest)
            guest.pass_gate()
