"""What one client keeps over all its connections: its outbox, what it has seen, and what it has to acknowledge."""

import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tools.chaos.frames import (
    V1,
    Entry,
    Frame,
    ServerFrame,
    ack_frames,
    chat_frame,
    read_frames,
    seed_ack_frame,
    watch_frame,
)
from tools.chaos.history import digest
from tools.chaos.outbox import Outbox, PendingChat
from tools.chaos.shared import Shared

LONGEST_RETRY_PAUSE: Final = 1.5
"""Seconds after a refusal until the next try, at most."""
READ_SHARE: Final = 0.2
"""The share of the chats that are read."""
PRIMARY: Final = "primary"
FORGED_SHARE: Final = 0.2
"""The share of the chats of a forging client that it acknowledges in the recipient's name."""


@dataclass(frozen=True)
class Behaviour:
    """How one client differs from another.

    :param pipelined: chats to one recipient that may be under way at once
    :param ack_delay: seconds until an entry is acknowledged, at most
    :param sends_before_hello: the client reconnects with a full outbox, and sends it before the server's first frame
    :param forges: the client writes another person's number into ``from``, and acknowledges entries of others
    """

    dialect: str
    device: str = PRIMARY
    pipelined: int = 1
    ack_delay: float = 0.0
    sends_before_hello: bool = False
    forges: bool = False


class ClientState:
    """``connection`` and ``session`` are the numbers of the current socket and login."""

    def __init__(self, mobile: str, shared: Shared, behaviour: Behaviour, rng: random.Random) -> None:
        self.mobile, self.connection, self.session = mobile, 0, 0
        self._shared, self._behaviour, self._rng = shared, behaviour, rng
        self.outbox = Outbox(behaviour.pipelined)
        self._awaiting: set[tuple[str, str]] = set()
        self._of_former_sessions: set[tuple[str, str]] = set()
        self.longest_outage = 0.0
        self._trouble_since = 0.0
        self._epoch = ""
        self._seen_chats: set[tuple[str, str]] = set()
        self._seen_entries: set[str] = set()
        self._receipted: set[tuple[str, str]] = set()
        self._acks: deque[tuple[float, Entry]] = deque()
        self._reads: deque[tuple[float, str, str]] = deque()
        self._forged_acks: list[Entry] = []
        self._answered: deque[PendingChat] = deque(maxlen=50)
        self._written = 0
        self.watched: list[str] = []
        """People whose presence is asked for on each new socket."""
        self._is_watching, self._watch_at = False, 0.0

    def record(self, kind: str, **fields: object) -> None:
        """Add an event on the current socket to the history."""
        self._shared.history.record(kind, mobile=self.mobile, connection=self.connection, **fields)

    def write(self, peer: str, text: str) -> None:
        """Put one more chat into the outbox."""
        self._written += 1
        name = f"{self.mobile[-4:]}{self._behaviour.device[0]}-{self._written}"
        self.outbox.put(PendingChat(peer, name, text, digest(text)))

    def repeat(self) -> None:
        """Send a chat again that has its answer, like a client that lost it. Nothing about the chat is new."""
        if self._answered:
            chat = self._rng.choice(self._answered)
            if self.outbox.find(chat.message_id) is None:
                chat.begun = chat.not_before = 0.0
                self.outbox.put(chat)

    @property
    def awaiting(self) -> list[tuple[str, str]]:
        """Chats with ``sent`` and without a receipt, as (peer, messageId).

        A device that logs in again is a new one: it gets no receipt that came to the person's other device meanwhile.
        """
        missed = {chat for chat in self._of_former_sessions if (self.mobile, *chat) in self._shared.receipted}
        return [chat for chat in self._awaiting if chat not in missed]

    # ---- sockets come and go

    def logged_in(self) -> None:
        """A new session begins."""
        self.session = next(self._shared.sessions)
        self._shared.history.record("login", mobile=self.mobile, session=self.session)
        begun = ((chat.peer, chat.message_id) for chat in self.outbox.current() if chat.attempts)
        self._of_former_sessions.update(self._awaiting, begun)

    def connected(self, epoch: str) -> None:
        """The first frame arrived; ``epoch`` is "" in the seed dialect."""
        self.record("connected", session=self.session, epoch=epoch)
        self._is_watching = False
        if epoch and self._epoch and epoch != self._epoch:
            self._start_anew()
        self._epoch = epoch or self._epoch

    def interrupted(self) -> None:
        """The socket ended. Sends begin again on the next one, and the server sends unacknowledged entries again."""
        self._acks.clear()
        self.outbox.restart()

    def left(self) -> None:
        """The client leaves by itself: that is no outage."""
        self._trouble_since = 0.0

    def _start_anew(self) -> None:
        self._seen_entries.clear()
        self.outbox.restart()
        self._shared.storage_lost = True

    # ---- frames of the server

    def handle(self, frames: Sequence[ServerFrame]) -> None:
        """Handle frames in their order."""
        for frame in frames:
            match frame.kind:
                case "chat":
                    self._handle_chat(frame)
                case "receipt":
                    self._handle_receipt(frame)
                case "own" | "ownRead":
                    self._handle_own(frame)
                case "presence":
                    self.record("presence pushed", peer=frame.mobile_no, presence="online" if frame.online else "")
                case "sent":
                    self._handle_sent(frame)
                case "error":
                    self._handle_refusal(frame)
                case "resync":
                    self.record("resync", epoch=frame.epoch)
                    self._epoch = frame.epoch
                    self._start_anew()

    def _handle_chat(self, frame: ServerFrame) -> None:
        chat = (frame.sender, frame.message_id)
        duplicate = chat in self._seen_chats or frame.stream_id in self._seen_entries
        self.record(
            "delivery",
            peer=frame.sender,
            message_id=frame.message_id,
            stream_id=frame.stream_id,
            digest=digest(frame.message),
            session=self.session,
            epoch=self._epoch,
            duplicate=duplicate,
        )
        self._seen_entries.add(frame.stream_id)
        self._ack_later(Entry(frame.sender, frame.message_id, frame.stream_id))
        if duplicate:
            return
        self._seen_chats.add(chat)
        self._shared.count_delivery(frame.sender, self.mobile, frame.message_id)
        if self._rng.random() < READ_SHARE:
            self._reads.append((time.monotonic() + self._rng.uniform(0, 1), *chat))

    def _ack_later(self, entry: Entry) -> None:
        delay = self._behaviour.ack_delay
        self._acks.append((time.monotonic() + self._rng.uniform(0, delay) if delay else 0.0, entry))

    def _handle_receipt(self, frame: ServerFrame) -> None:
        fields = {"peer": frame.sender, "message_ids": frame.named, "ack_type": frame.ack_type}
        self.record("receipt", **fields, stream_id=frame.stream_id)
        if self._behaviour.dialect == V1:
            self._ack_later(Entry(frame.sender, "", frame.stream_id))
        for message_id in frame.named:
            chat = (frame.sender, message_id)
            self._awaiting.discard(chat)
            self._shared.receipted.add((self.mobile, *chat))
            if chat not in self._receipted:
                self._receipted.add(chat)
                self._shared.counts["receipts"] += 1

    def _handle_own(self, frame: ServerFrame) -> None:
        self._ack_later(Entry("", "", frame.stream_id))
        if frame.kind == "ownRead":
            self.record("own read", peer=frame.sender, message_ids=frame.named, stream_id=frame.stream_id)
            return
        fields = {"peer": frame.to, "message_id": frame.message_id, "digest": digest(frame.message)}
        self.record("own", **fields, stream_id=frame.stream_id, timestamp=frame.timestamp)

    def _handle_sent(self, frame: ServerFrame) -> None:
        self._record_answer(frame, "sent", timestamp=frame.timestamp)
        chat = self.outbox.answered(frame.message_id)
        if chat is None:
            return
        if not chat.acknowledged:
            chat.acknowledged = True
            self._shared.counts["acknowledged"] += 1
            self._answered.append(chat)
        if (frame.to, frame.message_id) not in self._receipted:
            self._awaiting.add((frame.to, frame.message_id))
        now = time.monotonic()
        self.longest_outage = max(self.longest_outage, now - self._trouble_since)
        self._trouble_since = now if self.outbox.trying else 0.0
        if self._behaviour.forges and self._rng.random() < FORGED_SHARE:
            self._forged_acks.append(Entry(frame.to, frame.message_id, f"{frame.timestamp}-0"))

    def _handle_refusal(self, frame: ServerFrame) -> None:
        pause = min(frame.retry_after or 0.0, LONGEST_RETRY_PAUSE)
        if frame.component == "watch":
            self._is_watching, self._watch_at = False, time.monotonic() + max(pause, 0.1)
        elif frame.message_id and frame.component != "ack":
            self._record_answer(frame, frame.code)
            if frame.retryable:
                self.outbox.refused(frame.message_id, time.monotonic() + pause * self._rng.uniform(0.1, 1))
            else:
                self.outbox.answered(frame.message_id)

    def _record_answer(self, frame: ServerFrame, result: str, **more: int) -> None:
        chat = self.outbox.find(frame.message_id)
        fields = {"peer": frame.to or (chat.peer if chat else ""), "message_id": frame.message_id}
        self.record("answer", **fields, session=self.session, result=result, retryable=frame.retryable, **more)

    # ---- frames for the server

    def outgoing(self) -> list[Frame]:
        """The frames to write now. They are recorded as written."""
        now = time.monotonic()
        work = [*self._acks_due(now), *self._reads_due(now), *self._chats_due(now), *self._forged_acks_due()]
        return [*self._watches_due(), *work]

    def _watches_due(self) -> list[Frame]:
        is_asked = self._is_watching or self._behaviour.dialect != V1
        if is_asked or not self.watched or time.monotonic() < self._watch_at:
            return []
        self._is_watching = True
        return [watch_frame(self.watched)]

    def _acks_due(self, now: float) -> list[Frame]:
        due = [entry for at, entry in self._acks if at <= now]
        if not due:
            return []
        self._acks = deque(item for item in self._acks if item[0] > now)
        self.record("ack", stream_ids=[entry.stream_id for entry in due])
        return ack_frames(self._behaviour.dialect, self.mobile, due)

    def _reads_due(self, now: float) -> list[Frame]:
        frames: list[Frame] = []
        while self._reads and self._reads[0][0] <= now:
            _, peer, message_id = self._reads.popleft()
            self.record("read", peer=peer, message_ids=[message_id])
            frames += read_frames(self._behaviour.dialect, self.mobile, peer, [message_id])
        return frames

    def _chats_due(self, now: float) -> list[Frame]:
        frames = []
        for chat in self.outbox.ready(now):
            self.outbox.begin(chat, now)
            self._trouble_since = self._trouble_since or now
            self._shared.counts["begun"] += chat.attempts == 1
            fields = {"peer": chat.peer, "message_id": chat.message_id, "digest": chat.digest}
            self.record("send", **fields, attempt=chat.attempts, session=self.session)
            claimed = self._shared.any_mobile() if self._behaviour.forges else self.mobile
            frames.append(chat_frame(claimed, chat.peer, chat.message_id, chat.text))
        return frames

    def _forged_acks_due(self) -> list[Frame]:
        """Acknowledgements in the name of the recipient. The original project would have believed them."""
        forged, self._forged_acks = self._forged_acks, []
        if forged:
            self.record("ack", stream_ids=[entry.stream_id for entry in forged], forged=True)
        return [seed_ack_frame(entry.sender, entry._replace(sender=self.mobile)) for entry in forged]
