"""What came: handed over, then kept, then acknowledged, then told (C27–C32).

An array of the server is a batch. With a handler, batches with chats wait for each other: each chat that is news is
handed over, and kept when the handler has returned, before the next one is handed over. So a process that dies has at
most one chat handled and not kept. Without a handler, a batch is kept in one step.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from whatsapp_mini.core.effects import AskUnknown, Do, HandOver, SendFrame
from whatsapp_mini.messages import Message
from whatsapp_mini.store import Change, Chat, Read

ACK_IDS: Final = 1_000
JOIN_SECONDS: Final = 1.0
"""Acknowledgements of a batch are joined, but wait no longer than this for a slow handler."""


@dataclass(slots=True)
class Batch:
    """What one array held, but for answers.

    :param chats: in the order of their streamIds
    :param stream_ids: of everything in it
    """

    chats: list[Message] = field(default_factory=list)
    others: list[Change] = field(default_factory=list)
    stream_ids: list[str] = field(default_factory=list)

    def done(self, message: Message) -> None:
        """It is no longer part of what is still to be kept."""
        if message in self.chats:
            self.chats.remove(message)
        if message.stream_id in self.stream_ids:
            self.stream_ids.remove(message.stream_id)

    def taken(self) -> "Batch":
        """What is still in it, which is in it no longer."""
        rest = Batch(self.chats, self.others, self.stream_ids)
        self.chats, self.others, self.stream_ids = [], [], []
        return rest

    @property
    def changes(self) -> list[Change]:
        """All of it."""
        return [*(Chat(message) for message in self.chats), *self.others]

    @property
    def may_overtake(self) -> bool:
        """Whether it may be kept before chats that came before it: receipts and own chats may."""
        return not self.chats and not any(isinstance(change, Read) for change in self.others)


Keep = Callable[[Sequence[Change], Sequence[str], bool], None]
"""Keep changes, and call :meth:`Inbox.kept` with the other two when they are durable."""


class Inbox:
    """The batches that wait, the one at work, and the acknowledgements that may go."""

    def __init__(self, do: Do, keep: Keep) -> None:
        self._do, self._keep = do, keep
        self.has_handler = False
        self.is_heard = False
        """Whether anybody takes what comes. If not, chats are left with the server."""
        self.is_stopping = False
        self._queue: deque[Batch] = deque()
        self._batch: Batch | None = None
        self._todo: deque[Message] = deque()
        self._asked = 0
        self._in_hand: Message | None = None
        self._keeping = False
        """Whether the chat that the handler returned is being kept."""
        self._acks: list[str] = []
        self._joined_since = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether something was handed over and is not kept yet."""
        return self._in_hand is not None or self._keeping

    @property
    def has_acks(self) -> bool:
        """Whether something is kept and not acknowledged yet."""
        return bool(self._acks)

    def take(self, batch: Batch, now: float) -> None:
        """One array came."""
        if batch.may_overtake:
            self._keep(batch.others, batch.stream_ids, False)
        else:
            self._queue.append(batch)
            self.go_on(now)

    def go_on(self, now: float) -> None:
        """Begin with the next batch, if there is one and it may begin."""
        while self._batch is None and self._queue and not self.is_stopping:
            has_chats = bool(self._queue[0].chats)
            if has_chats and not (self.is_heard or self.has_handler):
                return
            batch = self._queue.popleft()
            if has_chats and self.has_handler:
                self._batch, self._joined_since = batch, now
                self._asked += 1
                self._do(AskUnknown(self._asked, tuple(batch.chats)))
            else:
                self._keep(batch.changes, batch.stream_ids, False)

    def unknown(self, number: int, chats: Sequence[Message], now: float) -> None:
        """These chats of the batch are news."""
        if self._batch is not None and number == self._asked:
            self._todo = deque(chats)
            self._next(now)

    def handled(self, now: float) -> None:
        """The handler has returned."""
        message, self._in_hand = self._in_hand, None
        if message is not None and self._batch is not None:
            self._keeping = True
            self._batch.done(message)
            # The last one takes with it what the array held besides: it is acknowledged in one frame.
            rest = Batch() if self._todo else self._batch.taken()
            ids = [] if message.stream_id is None else [message.stream_id]
            self._keep([Chat(message), *rest.changes], [*ids, *rest.stream_ids], True)

    def given_back(self) -> None:
        """The program does not want what it was handed. It is handed over again to the next one that asks."""
        if self._in_hand is not None:
            self._todo.appendleft(self._in_hand)
            self._in_hand = None

    def kept(self, stream_ids: Sequence[str], one_by_one: bool, now: float) -> None:
        """These may be acknowledged now. ``one_by_one``: it was what the handler had returned."""
        self._acks += stream_ids
        if one_by_one:
            self._keeping = False
            self._next(now)

    def handed_again(self, now: float) -> None:
        """Somebody takes messages again: go on where it stopped."""
        if self._batch is not None and not self.is_busy:
            self._next(now)
        self.go_on(now)

    def flush(self, now: float) -> None:
        """Acknowledge what may be, while online. Joined: not while a batch is at work, unless that takes long. A batch
        of which the rest will not be handed over, because the client stops, is waited for by nobody."""
        is_at_work = self._batch is not None and not self.is_stopping
        if not self._acks or (is_at_work and now < self._joined_since + JOIN_SECONDS):
            return
        self._joined_since = now
        for start in range(0, len(self._acks), ACK_IDS):
            ids = list(dict.fromkeys(self._acks[start : start + ACK_IDS]))
            self._do(SendFrame({"type": "ack", "ackType": "delivered", "streamIds": ids}))
        self._acks.clear()

    def disconnected(self) -> None:
        """What was not begun comes again on the next connection. What is handed over stays so."""
        self._queue.clear()
        self._todo.clear()
        if self._batch is not None:
            self._batch = Batch() if self.is_busy else None

    def forget(self) -> None:
        """The handler failed: acknowledge nothing more (C28)."""
        self._in_hand = None
        self._keeping = False
        self.disconnected()
        self._acks.clear()

    def deadline(self) -> float | None:
        """When acknowledgements have waited for long enough."""
        return self._joined_since + JOIN_SECONDS if self._acks and self._batch is not None else None

    def _next(self, now: float) -> None:
        if self.is_stopping or self._batch is None:
            return
        if self._todo and self.has_handler:
            self._in_hand = self._todo.popleft()
            self._do(HandOver(self._in_hand))
            return
        if self._todo and not self.is_heard:
            return
        self._todo.clear()
        batch, self._batch = self._batch, None
        if batch.stream_ids:
            self._keep(batch.changes, batch.stream_ids, False)
        self.go_on(now)
