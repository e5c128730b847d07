"""Waiting for what a client does: for a condition, never for a time."""

import asyncio
import os
from collections.abc import Callable
from typing import Final

PATIENCE: Final = float(os.environ.get("CONFORMANCE_PATIENCE", "15"))
"""So many real seconds is waited for what must come. A busy machine may need more; nobody waits when it comes."""


class Changes:
    """Somebody is told that something has changed, and looks again."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Something has changed."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def until(
        self, condition: Callable[[], bool], what: Callable[[], str] = lambda: "a condition", seconds: float = PATIENCE
    ) -> None:
        """Wait until the condition holds.

        :param what: says what is waited for, and what there is in its place
        :raises AssertionError: it does not within so many seconds
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise AssertionError(f"waited {seconds:g} s for {what()}")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            await asyncio.wait([waiter], timeout=left)
            self._waiters.discard(waiter)
