"""What one person has to say, until it is answered: always the same messageId, and each conversation in order."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Letter:
    """A chat on its way to the server.

    :param resting: monotonic seconds before which it is not tried again
    :param acknowledged: it got ``sent`` before
    :param begun: monotonic seconds of the attempt that is under way; 0: none is
    """

    peer: str
    message_id: str
    text: str
    digest: str
    attempts: int = 0
    resting: float = 0.0
    begun: float = 0.0
    acknowledged: bool = False


@dataclass(slots=True)
class Outbox:
    """Per recipient a queue of which the first ``pipelined`` may be under way. With one, a chat begins only when the
    one before it got ``sent``: the order I3 speaks of."""

    pipelined: int = 1
    _queues: dict[str, deque[Letter]] = field(default_factory=dict)
    _by_id: dict[str, Letter] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_id)

    def put(self, letter: Letter) -> None:
        """One more to be sent."""
        self._queues.setdefault(letter.peer, deque()).append(letter)
        self._by_id[letter.message_id] = letter

    def ready(self, now: float) -> list[Letter]:
        """Those whose turn it is, oldest first in each conversation."""
        return [letter for letter in self._first() if not letter.begun and letter.resting <= now]

    def begin(self, letter: Letter, now: float) -> None:
        """It is being written to a socket."""
        letter.attempts += 1
        letter.begun = now

    @property
    def trying(self) -> bool:
        """Whether anything was ever begun and is not answered yet."""
        return any(letter.attempts for letter in self._first())

    def overdue(self, begun_before: float) -> list[Letter]:
        """Under way since before this moment."""
        return [letter for letter in self._first() if 0 < letter.begun <= begun_before]

    def find(self, message_id: str) -> Letter | None:
        """If it is not answered yet."""
        return self._by_id.get(message_id)

    def answered(self, message_id: str) -> Letter | None:
        """For good. None: it had been before."""
        letter = self._by_id.pop(message_id, None)
        if letter is not None:
            queue = self._queues[letter.peer]
            queue.remove(letter)
            if not queue:
                del self._queues[letter.peer]
        return letter

    def refused(self, message_id: str, resting: float) -> None:
        """For now: it is tried again, not before ``resting``."""
        if (letter := self._by_id.get(message_id)) is not None:
            letter.begun, letter.resting = 0.0, resting

    def again(self) -> None:
        """Whatever was under way is lost or forgotten: everything begins once more."""
        for letter in self._by_id.values():
            letter.begun = 0.0

    def _first(self) -> Iterator[Letter]:
        for queue in self._queues.values():
            for place, letter in enumerate(queue):
                if place >= self.pipelined:
                    break
                yield letter
