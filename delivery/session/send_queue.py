"""The client's chats on their way into mailboxes."""

from collections.abc import Callable
from typing import Final, TypeAlias

from delivery.session.effects import StoreChats
from protocol.errors import ApiError

MOST_CHATS: Final = 64
"""In one script: everybody else waits for Redis meanwhile."""

Admit: TypeAlias = Callable[[str, str, int], None]
"""Whether a chat of this sender, to this recipient, of so many bytes may be stored; raises ``ApiError`` if not."""
Answers: TypeAlias = list[tuple[str, str | ApiError]]
"""The messageId of each chat, and the streamId of its entry, or why it has none."""


class SendQueue:
    """At most one :class:`StoreChats` for each recipient is under way, which keeps the chats of a pair in order. What
    comes meanwhile goes together in the next one. Recipients do not wait for each other."""

    __slots__ = ("_admit", "_queues", "_sender", "characters", "pending", "ready")

    def __init__(self, sender: str, admit: Admit | None) -> None:
        """:param admit: None: there are no limits"""
        self._sender = sender
        self._admit = admit
        self._queues: dict[str, list[tuple[str, str]]] = {}
        self.ready: list[str] = []
        """Recipients for whom nothing is under way."""
        self.pending = 0
        """Chats without an answer."""
        self.characters = 0
        """Of their texts."""

    def put(self, to: str, message_id: str, message: str, size: int) -> None:
        """Queue a chat, whose text has ``size`` bytes.

        :raises ApiError: ``rate_limited``
        """
        if self._admit is not None:
            self._admit(self._sender, to, size)
        self.pending += 1
        self.characters += len(message)
        queue = self._queues.get(to)
        if queue is not None:
            queue.append((message_id, message))
        else:
            self._queues[to] = [(message_id, message)]
            self.ready.append(to)

    def take_ready(self) -> list[StoreChats]:
        """What can be stored now."""
        ready, self.ready = self.ready, []
        return [*filter(None, map(self._next, ready))]

    def answered(self, store: StoreChats, result: list[str | ApiError] | ApiError) -> tuple[Answers, StoreChats | None]:
        """The reply to ``store``; :returns: what to answer the client, and what can be stored next."""
        queue, chats = self._queues[store.to], store.chats
        if isinstance(result, ApiError):
            results: list[str | ApiError] = [result] * len(chats)
            # ``internal`` is about these chats only. Any other error holds for all: they must not wait for one timeout
            # after another.
            all_of_them = result.code != "internal"
        else:
            results = result
            last = result[-1]
            # What waits behind a limited chat must not overtake it.
            all_of_them = isinstance(last, ApiError) and last.code == "rate_limited"
        if all_of_them and queue:
            chats, results = [*chats, *queue], [*results, *[results[-1]] * len(queue)]
            queue.clear()
        self._count_down(chats)
        answers = [(message_id, result) for (message_id, _), result in zip(chats, results, strict=True)]
        return answers, self._next(store.to)

    def failed(self, store: StoreChats) -> None:
        """Our own code failed: these chats and those behind them get no answer."""
        self._count_down([*store.chats, *self._queues.pop(store.to, ())])

    def drop(self) -> None:
        """Chats that are not under way are neither stored nor answered."""
        for queue in self._queues.values():
            self._count_down(queue)
            queue.clear()

    def _next(self, to: str) -> StoreChats | None:
        queue = self._queues[to]
        if not queue:
            del self._queues[to]
            return None
        if len(queue) <= MOST_CHATS:
            self._queues[to] = []
            return StoreChats(to, queue)
        self._queues[to] = queue[MOST_CHATS:]
        return StoreChats(to, queue[:MOST_CHATS])

    def _count_down(self, chats: list[tuple[str, str]]) -> None:
        self.pending -= len(chats)
        self.characters -= sum([len(message) for _, message in chats])
