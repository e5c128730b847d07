"""What one client says and hears, on whatever socket: his outbox, his acks, what he has seen, all written down."""

import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tools.chaos.crowd import Crowd
from tools.chaos.frames import V1, Entry, Frame, ServerFrame, ack_frames, chat_frame, read_frames, seed_ack_frame
from tools.chaos.history import digest
from tools.chaos.outbox import Letter, Outbox

LONGEST_REST: Final = 1.5
"""Seconds after a refusal until the next try, at most."""
READ: Final = 0.2
"""Part of the chats that are read."""


@dataclass(frozen=True)
class Manners:
    """How one differs from another.

    :param pipelined: chats to one person that may be under way at once
    :param lazy: seconds until an entry is acked, at most
    :param hasty: comes back with a full outbox, and sends it without waiting for the server's first frame
    :param liar: writes somebody else's number into ``from``, and acks what is not his
    """

    dialect: str
    pipelined: int = 1
    lazy: float = 0.0
    hasty: bool = False
    liar: bool = False


class Conversation:
    """Goes on over many sockets. ``connection`` and ``session`` are those of the socket of the moment."""

    def __init__(self, mobile: str, crowd: Crowd, manners: Manners, rng: random.Random) -> None:
        self.mobile, self.connection, self.session = mobile, 0, 0
        self._crowd, self._manners, self._rng = crowd, manners, rng
        self.outbox = Outbox(manners.pipelined)
        self.awaiting: set[tuple[str, str]] = set()
        """Chats that got ``sent``, as (whom, messageId), and no receipt yet."""
        self.longest_outage = 0.0
        self._trouble_since = 0.0
        self._epoch = ""
        self._seen_chats: set[tuple[str, str]] = set()
        self._seen_places: set[str] = set()
        self._receipted: set[tuple[str, str]] = set()
        self._acks: deque[tuple[float, Entry]] = deque()
        self._reads: deque[tuple[float, str, str]] = deque()
        self._lies: list[Entry] = []
        self._answered: deque[Letter] = deque(maxlen=50)
        self._written = 0

    def record(self, kind: str, **fields: object) -> None:
        """Something on the socket of the moment."""
        self._crowd.history.record(kind, mobile=self.mobile, connection=self.connection, **fields)

    def write(self, peer: str, text: str) -> None:
        """One more chat for the outbox."""
        self._written += 1
        self.outbox.put(Letter(peer, f"{self.mobile[-4:]}-{self._written}", text, digest(text)))

    def repeat(self) -> None:
        """One more time a chat that had its answer, as a client that forgot it: there is nothing new in it."""
        if self._answered:
            letter = self._rng.choice(self._answered)
            if self.outbox.find(letter.message_id) is None:
                letter.begun = letter.resting = 0.0
                self.outbox.put(letter)

    # ---- sockets come and go

    def connected(self, epoch: str) -> None:
        """The first frame is there; ``epoch`` is empty in the seed dialect."""
        self.record("connected", session=self.session, epoch=epoch)
        if epoch and self._epoch and epoch != self._epoch:
            self._forget()
        self._epoch = epoch or self._epoch

    def interrupted(self) -> None:
        """The socket is gone: what was under way begins again on the next, and entries come again to be acked."""
        self._acks.clear()
        self.outbox.again()

    def left(self) -> None:
        """By his own will: no outage."""
        self._trouble_since = 0.0

    def _forget(self) -> None:
        self._seen_places.clear()
        self.outbox.again()
        self._crowd.storage_lost = True

    # ---- heard

    def hear(self, frames: Sequence[ServerFrame]) -> None:
        """What came, in order."""
        for frame in frames:
            match frame.kind:
                case "chat":
                    self._hear_chat(frame)
                case "receipt":
                    self._hear_receipt(frame)
                case "sent":
                    self._hear_sent(frame)
                case "error":
                    self._hear_refusal(frame)
                case "resync":
                    self.record("resync", epoch=frame.epoch)
                    self._epoch = frame.epoch
                    self._forget()

    def _hear_chat(self, frame: ServerFrame) -> None:
        chat = (frame.sender, frame.message_id)
        known = chat in self._seen_chats or frame.stream_id in self._seen_places
        self.record(
            "delivery",
            peer=frame.sender,
            message_id=frame.message_id,
            stream_id=frame.stream_id,
            digest=digest(frame.message),
            session=self.session,
            epoch=self._epoch,
            duplicate=known,
        )
        self._seen_places.add(frame.stream_id)
        self._ack_later(Entry(frame.sender, frame.message_id, frame.stream_id))
        if known:
            return
        self._seen_chats.add(chat)
        self._crowd.count["delivered"] += 1
        if self._rng.random() < READ:
            self._reads.append((time.monotonic() + self._rng.uniform(0, 1), *chat))

    def _ack_later(self, entry: Entry) -> None:
        lazy = self._manners.lazy
        self._acks.append((time.monotonic() + self._rng.uniform(0, lazy) if lazy else 0.0, entry))

    def _hear_receipt(self, frame: ServerFrame) -> None:
        named = frame.named
        told = {"peer": frame.sender, "message_ids": named, "ack_type": frame.ack_type}
        self.record("receipt", **told, stream_id=frame.stream_id)
        if self._manners.dialect == V1:
            self._ack_later(Entry(frame.sender, "", frame.stream_id))
        for message_id in named:
            chat = (frame.sender, message_id)
            self.awaiting.discard(chat)
            if chat not in self._receipted:
                self._receipted.add(chat)
                self._crowd.count["receipts"] += 1

    def _hear_sent(self, frame: ServerFrame) -> None:
        self._answer(frame, "sent", timestamp=frame.timestamp)
        letter = self.outbox.answered(frame.message_id)
        if letter is None:
            return
        if not letter.acknowledged:
            letter.acknowledged = True
            self._crowd.count["acknowledged"] += 1
            self._answered.append(letter)
        if (frame.to, frame.message_id) not in self._receipted:
            self.awaiting.add((frame.to, frame.message_id))
        now = time.monotonic()
        self.longest_outage = max(self.longest_outage, now - self._trouble_since)
        self._trouble_since = now if self.outbox.trying else 0.0
        if self._manners.liar and self._rng.random() < 0.2:
            self._lies.append(Entry(frame.to, frame.message_id, f"{frame.timestamp}-0"))

    def _hear_refusal(self, frame: ServerFrame) -> None:
        rest = min(frame.retry_after or 0.0, LONGEST_REST)
        if frame.message_id and frame.component != "ack":
            self._answer(frame, frame.code)
            if frame.retryable:
                self.outbox.refused(frame.message_id, time.monotonic() + rest * self._rng.uniform(0.1, 1))
            else:
                self.outbox.answered(frame.message_id)

    def _answer(self, frame: ServerFrame, result: str, **more: int) -> None:
        letter = self.outbox.find(frame.message_id)
        told = {"peer": frame.to or (letter.peer if letter else ""), "message_id": frame.message_id}
        self.record("answer", **told, session=self.session, result=result, retryable=frame.retryable, **more)

    # ---- said

    def outgoing(self) -> list[Frame]:
        """What is due, noted as begun."""
        now = time.monotonic()
        return [*self._acks_due(now), *self._reads_due(now), *self._chats_due(now), *self._lies_due()]

    def _acks_due(self, now: float) -> list[Frame]:
        due = [entry for at, entry in self._acks if at <= now]
        if not due:
            return []
        self._acks = deque(item for item in self._acks if item[0] > now)
        self.record("ack", stream_ids=[entry.stream_id for entry in due])
        return ack_frames(self._manners.dialect, self.mobile, due)

    def _reads_due(self, now: float) -> list[Frame]:
        frames: list[Frame] = []
        while self._reads and self._reads[0][0] <= now:
            _, peer, message_id = self._reads.popleft()
            self.record("read", peer=peer, message_ids=[message_id])
            frames += read_frames(self._manners.dialect, self.mobile, peer, [message_id])
        return frames

    def _chats_due(self, now: float) -> list[Frame]:
        frames = []
        for letter in self.outbox.ready(now):
            self.outbox.begin(letter, now)
            self._trouble_since = self._trouble_since or now
            self._crowd.count["begun"] += letter.attempts == 1
            said = {"peer": letter.peer, "message_id": letter.message_id, "digest": letter.digest}
            self.record("send", **said, attempt=letter.attempts, session=self.session)
            claimed = self._crowd.somebody() if self._manners.liar else self.mobile
            frames.append(chat_frame(claimed, letter.peer, letter.message_id, letter.text))
        return frames

    def _lies_due(self) -> list[Frame]:
        """Acks in another's name, as the original would have believed them."""
        lies, self._lies = self._lies, []
        if lies:
            self.record("ack", stream_ids=[lie.stream_id for lie in lies], forged=True)
        return [seed_ack_frame(lie.sender, lie._replace(sender=self.mobile)) for lie in lies]
