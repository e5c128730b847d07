"""What is to be done when: each thing once, at a second that may be put off or brought forward."""

import time
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Timetable(Generic[T]):
    """Whole seconds of ``clock``. A look costs what is due, not what there is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: dict[T, int] = {}
        self._due: dict[int, dict[T, None]] = {}
        self._passed = int(clock())
        """What is due before this second was given out."""

    def __len__(self) -> int:
        return len(self._seconds)

    def put(self, each: T, seconds: float) -> None:
        """It is due after so many seconds, and not when it was before; with 0, at the next look."""
        self.drop(each)
        second = max(int(self._clock() + seconds), self._passed + (seconds > 0))
        self._seconds[each] = second
        self._due.setdefault(second, {})[each] = None

    def drop(self, each: T) -> None:
        """It is never due."""
        second = self._seconds.pop(each, None)
        if second is not None:
            del self._due[second][each]

    def take_due(self, most: int) -> Iterator[T]:
        """What is due now, at most so many; they leave the table."""
        now = int(self._clock())
        while most > 0 and self._passed <= now:
            due = self._due.get(self._passed)
            if not due:
                self._due.pop(self._passed, None)
                self._passed += 1
                continue
            each = next(iter(due))
            self.drop(each)
            most -= 1
            yield each
