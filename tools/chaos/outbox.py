"""The chats of one client until they are answered: the same messageId each time, and each conversation in order."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class PendingChat:
    """A chat that has no final answer yet. Times are monotonic seconds.

    :param not_before: it is not tried again before this time
    :param acknowledged: it got ``sent`` before
    :param begun: when the current attempt began; 0: there is none
    """

    peer: str
    message_id: str
    text: str
    digest: str
    attempts: int = 0
    not_before: float = 0.0
    begun: float = 0.0
    acknowledged: bool = False


@dataclass(slots=True)
class Outbox:
    """A queue for each recipient, of which the first ``pipelined`` chats may be under way. With one, a chat begins only
    after the one before it got ``sent``: the order of I3."""

    pipelined: int = 1
    _queues: dict[str, deque[PendingChat]] = field(default_factory=dict)
    _by_id: dict[str, PendingChat] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_id)

    def put(self, chat: PendingChat) -> None:
        """Queue a chat."""
        self._queues.setdefault(chat.peer, deque()).append(chat)
        self._by_id[chat.message_id] = chat

    def ready(self, now: float) -> list[PendingChat]:
        """The chats to be sent now, in the order of each conversation."""
        return [chat for chat in self.current() if not chat.begun and chat.not_before <= now]

    def begin(self, chat: PendingChat, now: float) -> None:
        """The chat is being written to a socket."""
        chat.attempts += 1
        chat.begun = now

    @property
    def trying(self) -> bool:
        """Whether a chat was begun at least once and is not answered yet."""
        return any(chat.attempts for chat in self.current())

    def overdue(self, begun_before: float) -> list[PendingChat]:
        """The chats whose attempt has been under way since before this time."""
        return [chat for chat in self.current() if 0 < chat.begun <= begun_before]

    def find(self, message_id: str) -> PendingChat | None:
        """The chat, if it is not answered yet."""
        return self._by_id.get(message_id)

    def answered(self, message_id: str) -> PendingChat | None:
        """Remove a chat that has its final answer. None: it had one before."""
        chat = self._by_id.pop(message_id, None)
        if chat is not None:
            queue = self._queues[chat.peer]
            queue.remove(chat)
            if not queue:
                del self._queues[chat.peer]
        return chat

    def refused(self, message_id: str, not_before: float) -> None:
        """The chat was refused for now. It is tried again, but not before this time."""
        if (chat := self._by_id.get(message_id)) is not None:
            chat.begun, chat.not_before = 0.0, not_before

    def restart(self) -> None:
        """Every attempt that was under way is lost: all chats begin again."""
        for chat in self._by_id.values():
            chat.begun = 0.0

    def current(self) -> Iterator[PendingChat]:
        """The chats that may be under way."""
        for queue in self._queues.values():
            for index, chat in enumerate(queue):
                if index >= self.pipelined:
                    break
                yield chat
