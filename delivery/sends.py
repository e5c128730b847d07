"""The chats of one connection on their way into mailboxes."""

from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol

from delivery.messenger import Messenger
from protocol.dialects import Dialect
from protocol.identifiers import place_of
from protocol.refusals import Refusal

MOST: Final = 64
"""Chats in one script: what a script does, all others wait for."""


class Desk(Protocol):
    """What is needed of the connection."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    def say(self, frames: Sequence[bytes]) -> None: ...


class Sends:
    """For each recipient one deposit at a time, which keeps the chats of a pair in order; what comes meanwhile goes
    together in the next. Recipients do not wait for each other."""

    __slots__ = ("_desk", "_dialect", "_messenger", "_queues", "_sender", "characters", "pending")

    def __init__(self, desk: Desk, sender: str, dialect: Dialect, messenger: Messenger) -> None:
        self._desk = desk
        self._sender = sender
        self._dialect = dialect
        self._messenger = messenger
        self._queues: dict[str, list[tuple[str, str]]] = {}
        self.pending = 0
        """Chats not answered yet."""
        self.characters = 0
        """Of their texts."""

    def put(self, to: str, message_id: str, message: str) -> None:
        """Deposit this chat and answer it."""
        self.pending += 1
        self.characters += len(message)
        queue = self._queues.get(to)
        if queue is not None:
            queue.append((message_id, message))
            return
        self._queues[to] = [(message_id, message)]
        self._desk.spawn(self._work(to))

    def drop(self) -> None:
        """What is not on its way yet is neither stored nor answered."""
        for queue in self._queues.values():
            self._count_down(queue)
            queue.clear()

    async def _work(self, to: str) -> None:
        queue = self._queues[to]
        try:
            while queue:
                chats = queue[:MOST]
                del queue[:MOST]
                try:
                    self._desk.say(await self._deposit(to, chats))
                finally:
                    self._count_down(chats)
        except Refusal as refusal:
            # The same holds for all that wait behind: nobody waits for one timeout after the other.
            chats += queue
            self._desk.say([frame for name, _ in chats for frame in self._dialect.error(refusal, "chat", name)])
        finally:
            self._count_down(queue)
            del self._queues[to]

    def _count_down(self, chats: Sequence[tuple[str, str]]) -> None:
        self.pending -= len(chats)
        self.characters -= sum(len(message) for _, message in chats)

    async def _deposit(self, to: str, chats: Sequence[tuple[str, str]]) -> list[bytes]:
        stream_ids = await self._messenger.send(self._sender, to, chats)
        return [
            frame
            for (message_id, _), stream_id in zip(chats, stream_ids, strict=True)
            for frame in self._answer(to, message_id, stream_id)
        ]

    def _answer(self, to: str, message_id: str, stream_id: str | None) -> list[bytes]:
        if stream_id is None:
            return self._dialect.error(Refusal("mailbox_full"), "chat", message_id)
        timestamp, _ = place_of(stream_id)
        return self._dialect.sent(message_id, to, timestamp)
