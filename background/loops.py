"""Background loops: one supervisor for all of them.

A task that is only created ends at its first unforeseen exception, and nothing says so: the heartbeat of a server was
lost for good that way. Here an exception is logged, and the work is done again after a pause, for as long as the
process lives.
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
    """Says when a failure is to be logged: the first one, and then one in :data:`REPORT_SECONDS` with a count."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._unreported = 0
        self._reported: float | None = None

    def failed(self, error: BaseException, *, foreseen: bool) -> None:
        """Log it, or count it. A foreseen one comes without its traceback."""
        self._unreported += 1
        now = time.monotonic()
        if self._reported is not None and now - self._reported < REPORT_SECONDS:
            return
        said = {"loop": self._name, "error": type(error).__name__, "detail": str(error), "failures": self._unreported}
        self._unreported, self._reported = 0, now
        if foreseen:
            logger.warning("a background loop failed and goes on", **said)
        else:
            logger.error("a background loop failed and goes on", **said, exc_info=error)

    def succeeded(self) -> None:
        """The work was done; if it had failed before, say that it works again."""
        if self._reported is not None:
            self._reported, self._unreported = None, 0
            logger.info("a background loop works again", loop=self._name)


class Loop:
    """Work that is done again and again. Made by :func:`forever`."""

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
        """Seconds since the work was last done without an exception; None: not once yet. Costs nothing to ask."""
        return None if self._done is None else time.monotonic() - self._done

    def soon(self) -> None:
        """Do the work once more now instead of when the pause is over."""
        self._wake.set()

    def cancel(self) -> None:
        """End it wherever it is. For those who cannot wait; :meth:`stop` otherwise."""
        self._task.cancel()

    async def stop(self, patience: float = 0.0) -> None:
        """End it. When this returns, the work is not under way any more.

        :param patience: seconds that work under way may take to end by itself
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
                # Not ours: something that the work awaited was cancelled by somebody else.
                self._failures.failed(error, foreseen=False)
                pause = max(pause, PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - logged, and the loop goes on
                self._failures.failed(error, foreseen=isinstance(error, self._foreseen))
                pause = max(pause, PAUSE_SECONDS)
            else:
                self._done = time.monotonic()
                self._failures.succeeded()
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
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
    """Do ``work`` from now on, again and again, until the loop is stopped.

    :param name: for the log
    :param work: one round; what it raises is logged (not each time) and does not end the loop
    :param every: seconds between the end of one round and the beginning of the next; after a failure at least
        :data:`PAUSE_SECONDS`
    :param foreseen: exceptions that are logged without a traceback: what the work stands on is away
    """
    return Loop(name, work, every, foreseen)
