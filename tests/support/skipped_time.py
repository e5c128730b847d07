"""An event loop that skips waiting: its time moves on by itself to the next timer, and otherwise stands still.

For what depends on timers alone. A test of seconds takes milliseconds, and a busy machine cannot make it late.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Skipping(selectors.DefaultSelector):
    """Where the loop would wait for so many seconds, so many seconds have passed."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if ready := super().select(0):
            return ready
        if timeout is None:
            raise RuntimeError("nothing is left to wait for: the test would hang")
        self.skipped += timeout
        return []


class SkippingLoop(asyncio.SelectorEventLoop):
    """Its ``time`` is the sum of what was skipped and of what :meth:`stand_still` was told, in seconds."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.skipped

    def stand_still(self, seconds: float) -> None:
        """What runs now takes so long, and holds everything else up."""
        self._skipping.skipped += seconds


def loop_now() -> SkippingLoop:
    """The loop that runs this."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SkippingLoop)
    return loop


def run_skipping(work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work`` on a loop that skips waiting."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(work)
