"""The only one that writes messages to the store: one thing after the other, in the order in which it was asked."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol, TypeVar

from whatsapp_mini.core.effects import AskUnknown, Keep, KeepEpoch
from whatsapp_mini.errors import ClientError, NotStarted
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


@dataclass(frozen=True, slots=True)
class _Add:
    message: Message
    then: Callable[[Message], Message]
    result: asyncio.Future[Message]


class StoreWorker:
    """A queue, and a task that works on it. What is to be kept at the same time is kept in one transaction."""

    def __init__(self, store: Store, replies: Replies) -> None:
        self._store, self._replies = store, replies
        self._jobs: deque[Keep | AskUnknown | KeepEpoch | _Add | Task] = deque()
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
            self._queue(job)

    async def add(self, message: Message, then: Callable[[Message], Message]) -> Message:
        """Keep a message to be sent. A caller that is cancelled ends neither this nor what follows.

        :param then: gets what is kept, in the order in which it was asked; what it gives or raises is the result
        :raises NotStarted: there is no worker
        """
        result: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._queue(_Add(message, then, result))
        return await result

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """The same for any other work; its result. A caller that is cancelled does not end it.

        :raises NotStarted: there is no worker
        """
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def run() -> None:
            try:
                value = await work()
            except Exception as error:  # noqa: BLE001 - the one who asked gets it
                _fail(result, error)
            else:
                _succeed(result, value)

        self._queue(run)
        return await result

    def _queue(self, job: Keep | AskUnknown | KeepEpoch | _Add | Task) -> None:
        if self._task is None:
            raise NotStarted
        self._jobs.append(job)
        self._news.set()

    async def _run(self) -> None:
        while self._task is not None or self._jobs:
            await self._news.wait()
            self._news.clear()
            while self._jobs:
                try:
                    await self._next()
                except Exception as error:  # noqa: BLE001 - anybody may write a store
                    # Those who wait for a result of their own get one all the same.
                    asked = [job for job in self._jobs if not isinstance(job, Keep | AskUnknown | KeepEpoch)]
                    self._jobs = deque(asked)
                    self._replies.store_failed(error)

    async def _next(self) -> None:
        match self._jobs[0]:
            case Keep() | _Add():
                await self._keep_and_add()
            case AskUnknown(number, chats):
                self._jobs.popleft()
                self._replies.unknown(number, await self._store.unknown(chats))
            case KeepEpoch(epoch):
                self._jobs.popleft()
                await self._store.save_epoch(epoch)
            case work:
                self._jobs.popleft()
                await work()

    async def _keep_and_add(self) -> None:
        """All that stand in a row: each transaction waits for the disk, however much is in it.

        No change is about a message that is still to be added, so the changes may go first.
        """
        row = list(takewhile(lambda job: isinstance(job, Keep | _Add), self._jobs))
        keeps, adds = [job for job in row if isinstance(job, Keep)], [job for job in row if isinstance(job, _Add)]
        for _ in row:
            self._jobs.popleft()
        try:
            if keeps:
                changes = [change for each in keeps for change in each.changes]
                news = await self._store.apply(changes) if changes else []
                self._replies.kept([each.number for each in keeps], news)
        finally:
            if adds:
                await self._add(adds)

    async def _add(self, adds: Sequence[_Add]) -> None:
        try:
            kept = await self._store.add([each.message for each in adds])
        except Exception as error:  # noqa: BLE001 - those who asked get it
            for each in adds:
                _fail(each.result, error)
            return
        for each, message in zip(adds, kept, strict=True):
            try:
                _succeed(each.result, each.then(message))
            except ClientError as refused:
                _fail(each.result, refused)


def _succeed(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)


def _fail(result: asyncio.Future[T], error: Exception) -> None:
    if not result.done():
        result.set_exception(error)
