"""The only one that writes messages to the store: one thing after the other, in the order in which it was asked."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from whatsapp_mini.core.effects import AskUnknown, Keep, KeepEpoch
from whatsapp_mini.errors import ClientError
from whatsapp_mini.messages import Message
from whatsapp_mini.store import News, Store

T = TypeVar("T")
Task = Callable[[], Awaitable[None]]


class Replies(Protocol):
    """Hears what the store answered."""

    def kept(self, numbers: Sequence[int], news: Sequence[News]) -> None:
        """These are durable."""

    def unknown(self, number: int, chats: Sequence[Message]) -> None:
        """These are not known."""

    def store_failed(self, error: Exception) -> None:
        """The store cannot be used."""


class StoreWorker:
    """A queue, and a task that works on it. What is to be kept at the same time is kept in one transaction."""

    def __init__(self, store: Store, replies: Replies) -> None:
        self._store, self._replies = store, replies
        self._jobs: deque[Keep | AskUnknown | KeepEpoch | Task] = deque()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work."""
        self._jobs.clear()
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Do what is queued, and end."""
        task, self._task = self._task, None
        self._news.set()
        if task is not None:
            await task

    def put(self, job: Keep | AskUnknown | KeepEpoch) -> None:
        """Do it after what was put before. The replies hear of it."""
        if self._task is not None:
            self._jobs.append(job)
            self._news.set()

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """The same for any other work; its result. A caller that is cancelled does not end it.

        :raises ClientError: there is no worker any more
        """
        if self._task is None:
            raise ClientError("The client has been stopped.")
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                value = await work()
            except Exception as error:  # noqa: BLE001 - the one who asked gets it
                if not result.done():
                    result.set_exception(error)
            else:
                if not result.done():
                    result.set_result(value)

        self._jobs.append(run)
        self._news.set()
        return await result

    async def _run(self) -> None:
        while self._task is not None or self._jobs:
            await self._news.wait()
            self._news.clear()
            try:
                while self._jobs:
                    await self._next()
            except Exception as error:  # noqa: BLE001 - anybody may write a store
                self._jobs.clear()
                self._replies.store_failed(error)

    async def _next(self) -> None:
        job = self._jobs.popleft()
        match job:
            case Keep():
                jobs = [job]
                while self._jobs and isinstance(self._jobs[0], Keep):
                    jobs.append(self._jobs.popleft())  # type: ignore[arg-type] # it was asked just now
                changes = [change for each in jobs for change in each.changes]
                news = await self._store.apply(changes) if changes else []
                self._replies.kept([each.number for each in jobs], news)
            case AskUnknown(number, chats):
                self._replies.unknown(number, await self._store.unknown(chats))
            case KeepEpoch(epoch):
                await self._store.save_epoch(epoch)
            case _:
                await job()
