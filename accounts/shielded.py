"""Work that must be finished even when the client disconnects."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import structlog

logger = structlog.get_logger(__name__)
T = TypeVar("T")

_running: Final[set[asyncio.Task[Any]]] = set()  # the event loop itself keeps only weak references


async def run_shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``. When the caller is cancelled, the work goes on to its end.

    A client that disconnects cancels its handler at any await: for example between a commit and the write to Redis.
    """
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_note)
        raise


def _note(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.warning("work whose client disconnected has failed", error=type(error).__name__, detail=str(error))
