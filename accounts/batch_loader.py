"""Joins many single lookups into one query (the DataLoader pattern)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

V = TypeVar("V")
BATCH_SIZE: Final = 200
"""Keys in one query: every caller of a batch waits for the whole of it."""


class BatchLoader(Generic[V]):
    """Lookups of one tick of the event loop become one query: of thousands who connect at once each costs part of one.

    Not to be used within a transaction, because the query would become part of it.

    :param load: finds the values of many keys; a key that is not in its result has none
    """

    def __init__(self, load: Callable[[list[str]], Awaitable[dict[str, V]]]) -> None:
        self._load = load
        self._waiting: list[tuple[str, asyncio.Future[V | None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, key: str) -> "asyncio.Future[V | None]":
        """The value of one key, or None; raises what the query raises."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._start)
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.append((key, future))
        return future

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), BATCH_SIZE):
            task = asyncio.get_running_loop().create_task(self._run(waiting[start : start + BATCH_SIZE]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, waiting: Sequence[tuple[str, "asyncio.Future[V | None]"]]) -> None:
        try:
            found = await self._load(list(dict.fromkeys(key for key, _ in waiting)))
        except Exception as error:  # noqa: BLE001 - every caller gets it
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
        else:
            for key, future in waiting:
                if not future.done():  # its caller was cancelled
                    future.set_result(found.get(key))
