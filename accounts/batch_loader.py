"""Many who ask singly, and one question for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

V = TypeVar("V")
MOST: Final = 200
"""In one question: what one takes, the answers to all of it wait for."""


class BatchLoader(Generic[V]):
    """What is asked in one tick of the loop is one question: of thousands who come at once, each costs part of a trip.

    Not to be used within a transaction, for the question would become part of it.

    :param ask: answers for many names; one that is not in the answer has none
    """

    def __init__(self, ask: Callable[[list[str]], Awaitable[dict[str, V]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[str, asyncio.Future[V | None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, name: str) -> "asyncio.Future[V | None]":
        """The answer for one name; the question's exception, when it failed."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._go)
        answer: asyncio.Future[V | None] = loop.create_future()
        self._waiting.append((name, answer))
        return answer

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), MOST):
            task = asyncio.get_running_loop().create_task(self._answer(waiting[start : start + MOST]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, waiting: Sequence[tuple[str, "asyncio.Future[V | None]"]]) -> None:
        try:
            found = await self._ask(list(dict.fromkeys(name for name, _ in waiting)))
        except Exception as error:  # noqa: BLE001 - it is for whoever asked
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for name, answer in waiting:
                if not answer.done():  # whoever asked was cancelled
                    answer.set_result(found.get(name))
