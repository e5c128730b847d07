"""Background loops that survive exceptions.

A plain task ends silently at its first unforeseen exception: a server lost its heartbeat for good that way. Here an
exception is logged and the work is done again after a pause, as long as the process lives.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog

logger = structlog.get_logger(__name__)

PAUSE_SECONDS: Final = 1.0
"""Least pause after a failure."""
REPORT_SECONDS: Final = 60.0
"""A loop that goes on failing is logged this often, with the number of failures since."""

Work = Callable[[], Awaitable[object]]


class Failures:
    """Logs failures: the first one, and then one in :data:`REPORT_SECONDS` with a count."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._unreported = 0
        self._reported: float | None = None

    def failed(self, error: BaseException, *, foreseen: bool) -> None:
        """Log it, or count it. A foreseen one is logged without its traceback."""
        self._unreported += 1
        now = time.monotonic()
        if self._reported is not None and now - self._reported < REPORT_SECONDS:
            return
        fields = {"loop": self._name, "error": type(error).__name__, "detail": str(error), "failures": self._unreported}
        self._unreported, self._reported = 0, now
        if foreseen:
            logger.warning("a background loop failed and goes on", **fields)
        else:
            logger.error("a background loop failed and goes on", **fields, exc_info=error)

    def succeeded(self) -> None:
        """The work was done. If it had failed before, log that it works again."""
        if self._reported is not None:
            self._reported, self._unreported = None, 0
            logger.info("a background loop works again", loop=self._name)


class Loop:
    """Work that is repeated. Made by :func:`forever`."""

    def __init__(self, name: str, work: Work, every: float, foreseen: tuple[type[Exception], ...]) -> None:
        self._work = work
        self._every = every
        self._foreseen = foreseen
        self._failures = Failures(name)
        self._wake = asyncio.Event()
        self._ending = False
        self._done: float | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    @property
    def age(self) -> float | None:
        """Seconds since the work last succeeded; None: not yet."""
        return None if self._done is None else time.monotonic() - self._done

    def soon(self) -> None:
        """Do the work now instead of after the pause."""
        self._wake.set()

    def cancel(self) -> None:
        """End it at once, without waiting. Otherwise: :meth:`stop`."""
        self._task.cancel()

    async def stop(self, patience: float = 0.0) -> None:
        """End it. When this returns, the work is not running any more.

        :param patience: seconds that running work may take to finish
        """
        self._ending = True
        self._wake.set()
        if patience:
            await asyncio.wait([self._task], timeout=patience)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._ending:
            pause = self._every
            try:
                await self._work()
            except asyncio.CancelledError as error:
                if self._cancelled():
                    raise
                # Not a cancellation of this loop: something that the work awaited was cancelled.
                self._failures.failed(error, foreseen=False)
                pause = max(pause, PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - logged, and the loop goes on
                self._failures.failed(error, foreseen=isinstance(error, self._foreseen))
                pause = max(pause, PAUSE_SECONDS)
            else:
                self._done = time.monotonic()
                self._failures.succeeded()
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)  # work that never waits must not stop the event loop
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    def _cancelled(self) -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0


def forever(name: str, work: Work, every: float = 0.0, foreseen: tuple[type[Exception], ...] = ()) -> Loop:
    """Repeat ``work`` until the loop is stopped.

    :param name: for the log
    :param work: one round; its exceptions are logged, not each time, and do not end the loop
    :param every: seconds between the end of one round and the beginning of the next; after a failure at least
        :data:`PAUSE_SECONDS`
    :param foreseen: exceptions that are logged without a traceback: what the work needs is away
    """
    return Loop(name, work, every, foreseen)
