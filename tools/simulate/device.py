"""One client: it writes until it is answered, acknowledges, reads, and connects again, in either dialect."""

import random
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from tools.chaos import frames as wire
from tools.chaos.history import digest
from tools.chaos.outbox import Outbox, PendingChat
from tools.simulate.server import Server
from tools.simulate.shell import Place
from tools.simulate.socket import Socket
from tools.simulate.timeline import Timeline, Timer

PATIENCE: Final = 6.0
"""Seconds a chat may stay unanswered on an open socket."""
UPGRADE_SECONDS: Final = 5.0
"""So long a client waits for its upgrade, or for the first frame."""
UPGRADE_LATENCY: Final = (0.003, 0.03)
LONGEST_PAUSE: Final = 1.5
READ: Final = 0.2
"""Part of the chats that are read."""


@dataclass(frozen=True)
class Manners:
    """How one client differs from another.

    :param pipelined: chats to one person that may be under way at once
    :param lazy: seconds until an entry is acknowledged, at most
    :param hasty: sends without waiting for the first frame
    :param liar: writes another number into ``from``, and acknowledges what it did not get
    """

    pipelined: int = 1
    lazy: float = 0.0
    hasty: bool = False
    liar: bool = False


class World(Protocol):
    """What a client needs of what is around it."""

    timeline: Timeline
    storage_was_lost: bool

    def note(self, kind: str, **fields: object) -> None: ...
    def pick_server(self) -> Server | None: ...
    def next_number(self) -> int: ...
    def progress(self) -> None: ...


class Attempt:
    """A socket that the client wants to open. ``is_abandoned``: it does not want it any more."""

    __slots__ = ("is_abandoned",)

    def __init__(self) -> None:
        self.is_abandoned = False


class Device:
    """Goes on over many sockets."""

    def __init__(self, world: World, place: Place, manners: Manners, rng: random.Random, somebody: list[str]) -> None:
        self.place, self.mobile = place, place.mobile
        self._world, self._timeline, self._manners, self._rng = world, world.timeline, manners, rng
        self._somebody = somebody
        self.outbox = Outbox(manners.pipelined)
        self.awaiting: dict[tuple[str, str], None] = {}
        """Chats that got ``sent``, as (recipient, messageId), and no receipt yet."""
        self.seen: dict[tuple[str, str], None] = {}
        """Chats that came, as (sender, messageId)."""
        self.own: dict[tuple[str, str], None] = {}
        """Chats that another device of this person sent, as (recipient, messageId)."""
        self.longest_outage = 0.0
        self._trouble_since = 0.0
        self._socket: Socket | None = None
        self._attempt: Attempt | None = None
        self._is_welcome = False
        self._connection = 0
        self._session = world.next_number()
        self._tries = 0
        self._is_own = False
        self._away_until = 0.0
        self._blind_until = 0.0
        self._epoch = ""
        self._places: dict[str, None] = {}
        self._receipted: dict[tuple[str, str], None] = {}
        self._acks: deque[tuple[float, wire.Entry]] = deque()
        self._reads: deque[tuple[float, str, str]] = deque()
        self._lies: list[wire.Entry] = []
        self._answered: deque[PendingChat] = deque(maxlen=20)
        self._written = 0
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._stays_away = False

    # ---- what the person does

    def begin(self) -> None:
        """Log in and connect."""
        self._world.note("login", mobile=self.mobile, session=self._session)
        self._connect()

    def write(self, whom: str, text: str) -> None:
        """One more chat."""
        self._written += 1
        name = f"{self.mobile[-3:]}{self.place.device[0]}-{self._written}"
        self.outbox.put(PendingChat(whom, name, text, digest(text)))
        self._wake()

    def repeat(self) -> None:
        """A chat that had its answer and came, once more: there is nothing new in it."""
        if self._answered:
            letter = self._rng.choice(self._answered)
            is_receipted = (letter.peer, letter.message_id) in self._receipted
            if is_receipted and self.outbox.find(letter.message_id) is None:
                letter.begun = letter.not_before = 0.0
                self.outbox.put(letter)
                self._wake()

    def leave(self, seconds: float, *, politely: bool) -> None:
        """Close the socket, and stay away for so long."""
        if (socket := self._socket) is not None:
            self._go(socket, seconds)
            socket.leave(1000, politely=politely)
            self._ended(1006, "")

    def switch(self) -> None:
        """Open another socket while the server still has this one."""
        if (socket := self._socket) is not None:
            self._go(socket, 0.0)
            socket.abandon(self._rng.uniform(0, 2))
            self._ended(1006, "")

    def lose_signal(self, seconds: float, away: float) -> None:
        """The server is not told for so long; the client is back, perhaps earlier, over another network."""
        if (socket := self._socket) is not None:
            self._go(socket, away)
            socket.cut(seconds)
            self._ended(1006, "")

    def look_away(self, seconds: float) -> None:
        """Do not read the socket for so long."""
        if self._blind_until > self._timeline.now:
            return  # a client that answers no pings for long is not connected, whatever it believes
        self._note("away", seconds=round(seconds, 3))
        self._blind_until = self._timeline.now + seconds
        self._timeline.after(seconds, self._read_on)

    def come_back(self) -> None:
        """If it is away."""
        self._away_until = 0.0
        self._blind_until = 0.0
        self._read_on()
        if self._socket is None and self._attempt is None:
            self._connect()

    def end(self) -> None:
        """For good."""
        self._stays_away = True
        self.leave(0.0, politely=True)

    @property
    def is_connected(self) -> bool:
        """Whether it was welcomed."""
        return self._socket is not None and self._is_welcome

    def _go(self, socket: Socket, seconds: float) -> None:
        self._note("away", seconds=round(seconds, 3))
        self._is_own = True
        self._trouble_since = 0.0
        self._away_until = self._timeline.now + seconds

    def _read_on(self) -> None:
        if self._socket is not None:
            self._socket.go_on()

    # ---- sockets come and go

    def _connect(self) -> None:
        now = self._timeline.now
        if self._socket is not None or self._attempt is not None or self._stays_away:
            return
        if self._away_until > now:
            self._timeline.at(self._away_until, self._connect)
            return
        self._connection, self._is_own, self._is_welcome = self._world.next_number(), False, False
        place = self.place
        self._note("connecting", session=self._session, dialect=place.dialect, device=place.device)
        attempt = self._attempt = Attempt()
        server = self._world.pick_server()
        latency = self._rng.uniform(*UPGRADE_LATENCY)
        if server is None:
            self._timeline.after(latency, self._fail, attempt)
            return
        self._timeline.after(latency, server.call, self._accepted, server, attempt)
        self._timeline.after(UPGRADE_SECONDS, self._fail, attempt)

    def _accepted(self, server: Server, attempt: Attempt) -> None:
        """The upgrade came to its server, which may have taken long."""
        if not server.is_accepting:
            self._fail(attempt)
            return
        socket = server.accept(self, self.place)
        if attempt.is_abandoned:
            socket.leave(1006, politely=False)
            return
        self._attempt, self._socket = None, socket
        self._timeline.after(UPGRADE_SECONDS, self._check_welcome, socket)
        if self._manners.hasty:
            self._wake()

    def _fail(self, attempt: Attempt) -> None:
        if self._attempt is attempt:
            attempt.is_abandoned, self._attempt = True, None
            self._ended(0, "no socket")

    def _check_welcome(self, socket: Socket) -> None:
        if self._socket is socket and not self._is_welcome and self._blind_until <= self._timeline.now:
            socket.leave(1006, politely=False)
            self._ended(1006, "no welcome")

    def closed(self, socket: Socket, code: int, reason: str) -> None:
        """The socket is gone."""
        if socket is self._socket:
            self._ended(code, reason)

    def _ended(self, code: int, reason: str) -> None:
        was_welcome, self._socket, self._is_welcome = self._is_welcome, None, False
        self._acks.clear()
        self.outbox.restart()
        self._note("disconnected", code=code, reason=reason, by_client=self._is_own)
        self._tries = 0 if was_welcome else self._tries + 1
        pause = self._rng.uniform(0.02, min(LONGEST_PAUSE, 0.2 * 2 ** min(self._tries, 5)))
        self._timeline.after(pause + (1.0 if code >= 4500 else 0.0), self._connect)

    def _forget(self) -> None:
        self._places.clear()
        self.outbox.restart()
        self._world.storage_was_lost = True

    def _note(self, kind: str, **fields: object) -> None:
        self._world.note(kind, mobile=self.mobile, connection=self._connection, **fields)

    # ---- heard

    @property
    def is_reading(self) -> bool:
        """Whether it reads its socket."""
        return self._blind_until <= self._timeline.now

    def hear(self, socket: Socket, text: str) -> None:
        """A message came."""
        if socket is not self._socket:
            return
        for frame in wire.decode(text):
            match frame.kind:
                case "chat":
                    self._hear_chat(frame)
                case "receipt":
                    self._hear_receipt(frame)
                case "own" | "ownRead":
                    self._hear_own(frame)
                case "sent":
                    self._hear_sent(frame)
                case "error":
                    self._hear_error(frame)
                case "welcome":
                    self._hear_welcome(frame)
                case "resync":
                    self._note("resync", epoch=frame.epoch)
                    self._epoch = frame.epoch
                    self._forget()
        self._wake()

    def _hear_welcome(self, frame: wire.ServerFrame) -> None:
        self._is_welcome = True
        self._note("connected", session=self._session, epoch=frame.epoch)
        if frame.epoch and self._epoch and frame.epoch != self._epoch:
            self._forget()
        self._epoch = frame.epoch or self._epoch

    def _hear_chat(self, frame: wire.ServerFrame) -> None:
        chat = (frame.sender, frame.message_id)
        known = chat in self.seen or frame.stream_id in self._places
        self._note(
            "delivery",
            peer=frame.sender,
            message_id=frame.message_id,
            stream_id=frame.stream_id,
            digest=digest(frame.message),
            session=self._session,
            epoch=self._epoch,
            duplicate=known,
        )
        self._places[frame.stream_id] = None
        self._acknowledge_later(wire.Entry(frame.sender, frame.message_id, frame.stream_id))
        if not known:
            self.seen[chat] = None
            self._world.progress()
            if self._rng.random() < READ:
                self._reads.append((self._timeline.now + self._rng.uniform(0, 1), *chat))

    def _acknowledge_later(self, entry: wire.Entry) -> None:
        lazy = self._manners.lazy
        self._acks.append((self._timeline.now + self._rng.uniform(0, lazy) if lazy else 0.0, entry))

    def _hear_receipt(self, frame: wire.ServerFrame) -> None:
        told = {"peer": frame.sender, "message_ids": frame.named, "ack_type": frame.ack_type}
        self._note("receipt", **told, stream_id=frame.stream_id)
        if self.place.dialect == wire.V1:
            self._acknowledge_later(wire.Entry(frame.sender, "", frame.stream_id))
        for message_id in frame.named:
            chat = (frame.sender, message_id)
            self.awaiting.pop(chat, None)
            if chat not in self._receipted:
                self._receipted[chat] = None
                self._world.progress()

    def _hear_own(self, frame: wire.ServerFrame) -> None:
        self._acknowledge_later(wire.Entry("", "", frame.stream_id))
        if frame.kind == "ownRead":
            self._note("own read", peer=frame.sender, message_ids=frame.named, stream_id=frame.stream_id)
            return
        told = {"peer": frame.to, "message_id": frame.message_id, "timestamp": frame.timestamp}
        self._note("own", **told, stream_id=frame.stream_id, digest=digest(frame.message))
        if (frame.to, frame.message_id) not in self.own:
            self.own[frame.to, frame.message_id] = None
            self._world.progress()

    def _hear_sent(self, frame: wire.ServerFrame) -> None:
        self._answer(frame, "sent", timestamp=frame.timestamp)
        letter = self.outbox.answered(frame.message_id)
        if letter is None:
            return
        self._world.progress()
        if not letter.acknowledged:
            letter.acknowledged = True
            self._answered.append(letter)
        if (frame.to, frame.message_id) not in self._receipted:
            self.awaiting[frame.to, frame.message_id] = None
        now = self._timeline.now
        self.longest_outage = max(self.longest_outage, now - self._trouble_since)
        self._trouble_since = now if self.outbox.trying else 0.0
        if self._manners.liar and self._rng.random() < 0.2:
            self._lies.append(wire.Entry(frame.to, frame.message_id, f"{frame.timestamp}-0"))

    def _hear_error(self, frame: wire.ServerFrame) -> None:
        if frame.component == "ack" and frame.retryable:
            rest = self._timeline.now + (frame.retry_after or 0.0)
            self._reads += [(rest, frame.to, message_id) for message_id in frame.message_ids]
        elif frame.message_id and frame.component != "ack":
            self._answer(frame, frame.code)
            if frame.retryable:
                rest = min(frame.retry_after or 0.0, LONGEST_PAUSE) * self._rng.uniform(0.1, 1)
                self.outbox.refused(frame.message_id, self._timeline.now + rest)
            else:
                self.outbox.answered(frame.message_id)

    def _answer(self, frame: wire.ServerFrame, result: str, **more: object) -> None:
        letter = self.outbox.find(frame.message_id)
        told = {"peer": frame.to or (letter.peer if letter else ""), "message_id": frame.message_id}
        self._note("answer", **told, session=self._session, result=result, retryable=frame.retryable, **more)

    # ---- said

    def _wake(self) -> None:
        self._wake_at(self._timeline.now)

    def _wake_at(self, at: float) -> None:
        if self._timer is None or at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._timeline.at(at, self._speak)

    def _speak(self) -> None:
        """What is due."""
        self._timer = None
        now, socket = self._timeline.now, self._socket
        if socket is None or not (self._is_welcome or self._manners.hasty):
            return
        overdue = self.outbox.overdue(now - PATIENCE) if now >= self._blind_until + PATIENCE else []
        if overdue:
            for letter in overdue:
                told = {"peer": letter.peer, "message_id": letter.message_id}
                self._note("unanswered", **told, seconds=round(now - letter.begun, 3))
            socket.leave(1006, politely=False)
            self._ended(1006, "unanswered")
            return
        frames = [*self._acks_due(now), *self._reads_due(now), *self._chats_due(now), *self._lies_due()]
        if frames:
            socket.say(wire.encode(self.place.dialect, frames))
        due = [each[0] for each in self._acks] + [each[0] for each in self._reads]
        due += [
            max(letter.begun, self._blind_until) + PATIENCE + 0.01 if letter.begun else letter.not_before
            for letter in self.outbox.current()
        ]
        if due:
            self._wake_at(max(min(due), now + 0.001))

    def _acks_due(self, now: float) -> list[wire.Frame]:
        due = [entry for at, entry in self._acks if at <= now]
        if not due:
            return []
        self._acks = deque(item for item in self._acks if item[0] > now)
        self._note("ack", stream_ids=[entry.stream_id for entry in due])
        return wire.ack_frames(self.place.dialect, self.mobile, due)

    def _reads_due(self, now: float) -> list[wire.Frame]:
        frames: list[wire.Frame] = []
        while self._reads and self._reads[0][0] <= now:
            _, whom, message_id = self._reads.popleft()
            self._note("read", peer=whom, message_ids=[message_id])
            frames += wire.read_frames(self.place.dialect, self.mobile, whom, [message_id])
        return frames

    def _chats_due(self, now: float) -> list[wire.Frame]:
        frames = []
        for letter in self.outbox.ready(now):
            self.outbox.begin(letter, now)
            self._trouble_since = self._trouble_since or now
            said = {"peer": letter.peer, "message_id": letter.message_id, "digest": letter.digest}
            self._note("send", **said, attempt=letter.attempts, session=self._session)
            claimed = self._rng.choice(self._somebody) if self._manners.liar else self.mobile
            frames.append(wire.chat_frame(claimed, letter.peer, letter.message_id, letter.text))
        return frames

    def _lies_due(self) -> list[wire.Frame]:
        """Acknowledgements in another's name."""
        lies, self._lies = self._lies, []
        if lies:
            self._note("ack", stream_ids=[lie.stream_id for lie in lies], forged=True)
        return [wire.seed_ack_frame(lie.sender, lie._replace(sender=self.mobile)) for lie in lies]
