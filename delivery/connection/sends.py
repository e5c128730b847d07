"""The chats of one connection on their way into mailboxes."""

from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol

from delivery.mailbox import Unloaded
from delivery.messenger import Messenger
from delivery.redis.failures import CommandFailed
from protocol.bad_frames import FrameNames
from protocol.dialects import Dialect
from protocol.entries import size_of
from protocol.errors import ApiError
from protocol.identifiers import parse_stream_id

MOST: Final = 64
"""Chats in one script: what a script does, all others wait for."""


class Desk(Protocol):
    """What is needed of the connection."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    def done(self, error: BaseException | None = None) -> None: ...
    def say(self, frames: Sequence[bytes]) -> None: ...


class Sends:
    """For each recipient one deposit at a time, which keeps the chats of a pair in order; what comes meanwhile goes
    together in the next. Recipients do not wait for each other."""

    __slots__ = ("_desk", "_dialect", "_fresh", "_messenger", "_queues", "_sender", "characters", "pending")

    def __init__(self, desk: Desk, sender: str, dialect: Dialect, messenger: Messenger) -> None:
        self._desk = desk
        self._sender = sender
        self._dialect = dialect
        self._messenger = messenger
        self._queues: dict[str, list[tuple[str, str]]] = {}
        self._fresh: list[str] = []  # recipients of whose queue nothing is on its way
        self.pending = 0
        """Chats not answered yet."""
        self.characters = 0
        """Of their texts."""

    def put(self, to: str, message_id: str, message: str) -> None:
        """Take this chat, to be deposited and answered; :meth:`go` when there are no more for the moment.

        :raises ApiError: ``rate_limited``
        """
        if (admit := self._messenger.mailbox.admit) is not None:
            admit(self._sender, to, size_of(message))
        self.pending += 1
        self.characters += len(message)
        queue = self._queues.get(to)
        if queue is not None:
            queue.append((message_id, message))
            return
        self._queues[to] = [(message_id, message)]
        self._fresh.append(to)

    def go(self) -> None:
        """Send what may leave."""
        if self._fresh:
            fresh, self._fresh = self._fresh, []
            for to in fresh:
                self._go_on(to)

    def drop(self) -> None:
        """What is not on its way yet is neither stored nor answered."""
        for queue in self._queues.values():
            self._count_down(queue)
            queue.clear()

    def _go_on(self, to: str) -> None:
        queue = self._queues[to]
        if not queue:
            del self._queues[to]
            return
        chats, self._queues[to] = queue[:MOST], queue[MOST:]
        self._messenger.send_soon(self._sender, to, chats, partial(self._answered, to, chats))

    def _answered(self, to: str, chats: list[tuple[str, str]], answer: list[str | ApiError] | Exception) -> None:
        if isinstance(answer, Unloaded):
            self._desk.spawn(self._slowly(to, chats))
            return
        if isinstance(answer, CommandFailed):
            answer = ApiError("internal")  # of these chats; what is for others goes on
        elif isinstance(answer, Exception):
            # The same holds for all that wait behind: nobody waits for one timeout after the other.
            chats += self._queues[to]
            self._queues[to] = []
        elif isinstance(answer[-1], ApiError) and answer[-1].code == "rate_limited":
            # What waits behind would overtake it. More of this pair is not even put into the queue for a while.
            chats, answer = [*chats, *self._queues[to]], [*answer, *[answer[-1]] * len(self._queues[to])]
            self._queues[to] = []
        error = answer if isinstance(answer, Exception) and not isinstance(answer, ApiError) else None
        try:
            self._desk.say(self._answers(to, chats, answer))
        finally:
            self._count_down(chats)
            self._go_on(to)
            self._desk.done(error)

    async def _slowly(self, to: str, chats: list[tuple[str, str]]) -> None:
        answer: list[str | ApiError] | Exception
        try:
            answer = await self._messenger.send(self._sender, to, chats)
        except Exception as error:  # noqa: BLE001 - told like any other answer
            answer = error
        self._answered(to, chats, answer)

    def _answers(
        self, to: str, chats: Sequence[tuple[str, str]], answer: list[str | ApiError] | Exception
    ) -> list[bytes]:
        if isinstance(answer, ApiError):
            return [frame for name, _ in chats for frame in self._dialect.error(answer, "chat", FrameNames(name, to))]
        if isinstance(answer, Exception):
            return []
        return [
            frame
            for (message_id, _), one in zip(chats, answer, strict=True)
            for frame in self._answer(to, message_id, one)
        ]

    def _count_down(self, chats: Sequence[tuple[str, str]]) -> None:
        self.pending -= len(chats)
        self.characters -= sum(len(message) for _, message in chats)

    def _answer(self, to: str, message_id: str, answer: str | ApiError) -> list[bytes]:
        if isinstance(answer, ApiError):
            return self._dialect.error(answer, "chat", FrameNames(message_id, to))
        timestamp, _ = parse_stream_id(answer)
        return self._dialect.sent(message_id, to, timestamp)
