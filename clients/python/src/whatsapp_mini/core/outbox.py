"""Messages to be sent: in their order, with the same messageId, until the server has answered (C19–C26)."""

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

from whatsapp_mini.core.effects import Do, SendFrame
from whatsapp_mini.messages import Failure, Message

ON_THE_WAY: Final = 32
ANSWER_SECONDS: Final = 10.0
FIRST_HOLD: Final = 1.0
LONGEST_HOLD: Final = 60.0
JITTER: Final = 0.25
"""A hold is longer by up to this share."""
ALONE_AFTER: Final = 2
FAILED_AFTER: Final = 5
DOUBT_SECONDS: Final = 2.0
"""After a refusal without a name: time for the answers that are still on their way."""
NO_ANSWER: Final = Failure("no_answer", "The server gave no answer to it.")

Place = tuple[str, str]
"""Peer and messageId."""


@dataclass(slots=True)
class _Waiting:
    """``blamed``: how many connections ended, perhaps by its fault, while it was unanswered."""

    order: int
    message: Message
    blamed: int = 0
    suspect: bool = False

    @property
    def alone(self) -> bool:
        return self.suspect or self.blamed >= ALONE_AFTER


@dataclass(slots=True)
class _Hold:
    until: float
    times: int


class Outbox:
    """A queue for each recipient, whose first message is on the way. ``failed`` collects what has failed."""

    def __init__(self, do: Do, rng: Random) -> None:
        self._do, self._rng = do, rng
        self._queues: dict[str, deque[_Waiting]] = {}
        self._waiting: dict[Place, _Waiting] = {}
        self._ready: list[tuple[int, str]] = []
        """A heap of recipients whose first message may go, by the order in which those were written. It may hold some
        that are not ready any more."""
        self._flights: dict[Place, float] = {}
        self._holds: dict[str, _Hold] = {}
        self._paused_until = self._doubt_until = 0.0
        self._orders = count()
        self.failed: list[tuple[Place, Failure]] = []

    @property
    def on_the_way(self) -> int:
        """How many messages are sent and not answered."""
        return len(self._flights)

    def add(self, message: Message) -> None:
        """A message that is kept."""
        queue = self._queues.setdefault(message.peer, deque())
        waiting = self._waiting[message.peer, message.id] = _Waiting(next(self._orders), message)
        queue.append(waiting)
        if len(queue) == 1:
            self._is_ready(message.peer)

    def waits(self, place: Place) -> bool:
        """Whether it has no final answer."""
        return place in self._waiting

    def place_of(self, message_id: str) -> Place | None:
        """Where a message is of which only the id is known."""
        return next((place for place in self._flights if place[1] == message_id), None)

    def pump(self, now: float) -> None:
        """Send what may be sent now."""
        if now < self._paused_until or (now < self._doubt_until and self._flights):
            return
        self._paused_until = 0.0
        if self._doubt_until:
            self._recall()
        for peer in [peer for peer, hold in self._holds.items() if 0 < hold.until <= now]:
            self._holds[peer].until = 0.0
            self._is_ready(peer)
        while self._ready and len(self._flights) < ON_THE_WAY:
            waiting = self._first(self._ready[0])
            if waiting is None:
                heappop(self._ready)
            elif self._flights and (waiting.alone or self._one_is_alone()):
                return
            else:
                heappop(self._ready)
                self._send(waiting.message, now)

    def answered(self, place: Place) -> bool:
        """It is stored by the server. False: it did not wait any more."""
        waiting = self._waiting.get(place)
        if waiting is not None:
            self._remove(waiting)
        return waiting is not None

    def refused(self, place: Place, failure: Failure, retry_after: float | None, retryable: bool, now: float) -> None:
        """A refusal that names it."""
        waiting = self._waiting.get(place)
        if waiting is None:
            return
        if not retryable:
            self._fail(waiting, failure)
        elif self._flights.pop(place, None) is not None:
            self._hold(place[0], retry_after or FIRST_HOLD, now)

    def refused_unnamed(self, failure: Failure, retry_after: float | None, retryable: bool, now: float) -> None:
        """A refusal of a chat that names none (C25)."""
        if retryable:
            self._recall()
            self._paused_until = now + (retry_after or FIRST_HOLD)
            return
        if now < self._doubt_until:
            return
        flying = [waiting for place in self._flights if (waiting := self._waiting.get(place)) is not None]
        if len(flying) == 1 and flying[0].suspect:
            self._fail(flying[0], failure)
            return
        for waiting in flying:
            waiting.suspect = True
        self._doubt_until = now + DOUBT_SECONDS if flying else 0.0

    def ended(self, blamed: bool) -> None:
        """The connection ended, perhaps by the fault of something unanswered (C26)."""
        if blamed:
            for place in list(self._flights):
                if (waiting := self._waiting.get(place)) is not None:
                    waiting.blamed += 1
                    if waiting.blamed >= FAILED_AFTER:
                        self._fail(waiting, NO_ANSWER)
        self.again()

    def again(self) -> None:
        """What is unanswered is sent again (C21)."""
        self._recall()

    def is_overdue(self, now: float) -> bool:
        """Whether an answer should have come."""
        return bool(self._flights) and now >= next(iter(self._flights.values())) + ANSWER_SECONDS

    def deadline(self) -> float | None:
        """When there is something to do without an answer: to send, or to find one overdue."""
        times = [hold.until for hold in self._holds.values() if hold.until]
        times += [at for at in (self._paused_until, self._doubt_until) if at]
        if self._flights:
            times.append(next(iter(self._flights.values())) + ANSWER_SECONDS)
        return min(times, default=None)

    def _send(self, message: Message, now: float) -> None:
        self._flights[message.peer, message.id] = now
        chat = {"type": "chat", "to": message.peer, "messageId": message.id, "message": message.text}
        self._do(SendFrame(chat))

    def _first(self, ready: tuple[int, str]) -> _Waiting | None:
        """The first message of this recipient, if it is still the one that was ready."""
        order, peer = ready
        waiting = self._queues[peer][0] if peer in self._queues else None
        if waiting is None or waiting.order != order or (peer, waiting.message.id) in self._flights:
            return None
        hold = self._holds.get(peer)
        return None if hold and hold.until else waiting

    def _is_ready(self, peer: str) -> None:
        if queue := self._queues.get(peer):
            heappush(self._ready, (queue[0].order, peer))

    def _one_is_alone(self) -> bool:
        if len(self._flights) != 1:
            return False
        waiting = self._waiting.get(next(iter(self._flights)))
        return waiting is not None and waiting.alone

    def _recall(self) -> None:
        """Nothing is on the way any more."""
        self._doubt_until = 0.0
        peers = [peer for peer, _ in self._flights]
        self._flights.clear()
        for peer in peers:
            self._is_ready(peer)

    def _hold(self, peer: str, seconds: float, now: float) -> None:
        times = self._holds[peer].times if peer in self._holds else 0
        length = max(seconds, min(LONGEST_HOLD, seconds * 2 ** min(times, 16)))
        self._holds[peer] = _Hold(now + length * (1 + self._rng.uniform(0, JITTER)), times + 1)

    def _fail(self, waiting: _Waiting, failure: Failure) -> None:
        self._remove(waiting)
        self.failed.append(((waiting.message.peer, waiting.message.id), failure))

    def _remove(self, waiting: _Waiting) -> None:
        peer = waiting.message.peer
        del self._waiting[peer, waiting.message.id]
        self._flights.pop((peer, waiting.message.id), None)
        queue = self._queues[peer]
        was_first = queue[0] is waiting
        if was_first:
            queue.popleft()
            self._holds.pop(peer, None)
        else:
            queue.remove(waiting)
        if not queue:
            del self._queues[peer]
        elif was_first:
            self._is_ready(peer)
