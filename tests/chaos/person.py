"""Somebody who chats through everything that breaks, by the rules of docs/PROTOCOL.md, and writes down what he sees."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos import speech
from tests.chaos.crowd import Crowd
from tests.chaos.history import digest
from tests.chaos.line import Line, NoLine, open_line
from tests.chaos.outbox import Letter, Outbox
from tests.chaos.speech import Entry, Frame, Heard

PASSWORD: Final = "correct horse"
PATIENCE: Final = 6.0
"""Seconds a send may stay unanswered: the servers promise to refuse within."""
LONGEST_PAUSE: Final = 1.5
LOGGED_OUT: Final = (4501, 4509)
LINGER: Final = 35.0
"""Seconds a logged out client waits for the server to close its socket before it gives that up."""


@dataclass
class Manners:
    """How one differs from another.

    :param pipelined: chats to one person that may be under way at once
    :param lazy: seconds until an entry is acked, at most
    :param liar: writes somebody else's number into ``from``, and acks what is not his
    """

    dialect: str
    pipelined: int = 1
    lazy: float = 0.0
    liar: bool = False


@dataclass
class Person:
    """One client: one device, one socket at a time."""

    mobile: str
    crowd: Crowd
    manners: Manners
    rng: random.Random
    outbox: Outbox = field(init=False)
    line: Line | None = field(default=None, init=False)
    awaiting: set[tuple[str, str]] = field(default_factory=set, init=False)
    """Chats that got ``sent``, as (whom, messageId), and no receipt yet."""
    longest_outage: float = field(default=0.0, init=False)
    token: str = field(default="", init=False)
    session: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.manners.pipelined)
        self._epoch = ""
        self._seen_chats: set[tuple[str, str]] = set()
        self._seen_places: set[str] = set()
        self._receipted: set[tuple[str, str]] = set()
        self._acks: deque[tuple[float, Entry]] = deque()
        self._reads: deque[tuple[float, str, str]] = deque()
        self._lies: list[Entry] = []
        self._written = 0
        self._tries = 0
        self._trouble_since = 0.0
        self._own = False
        self._away_until = 0.0
        self._logged_out_at = 0.0

    # ---- what the population asks of him

    @property
    def connected(self) -> bool:
        """Whether he has a socket, and may go on with it."""
        return self.line is not None and not self._logged_out_at

    def say(self, whom: str, text: str) -> None:
        """One more chat."""
        self._written += 1
        self.outbox.put(Letter(whom, f"{self.mobile[-4:]}-{self._written}", text, digest(text)))
        self.wake()

    def wake(self) -> None:
        """There may be something to write."""
        if self.line is not None:
            self.line.wake()

    def tick(self, now: float) -> None:
        """A few times a second: what is due, and what has taken too long."""
        if self.line is None:
            return
        for letter in self.outbox.overdue(now - PATIENCE):
            self._note(
                "unanswered", whom=letter.whom, message_id=letter.message_id, seconds=round(now - letter.begun, 3)
            )
        if self.outbox.overdue(now - PATIENCE) or 0 < self._logged_out_at < now - LINGER:
            self.line.abort()
        self.wake()

    def vanish(self, seconds: float = 0.0) -> None:
        """Leave the socket without a goodbye, and stay away for so long."""
        if self.line is not None:
            self._note("away", seconds=round(seconds, 3))
            self._own = True
            self._away_until = time.monotonic() + seconds
            self.line.abort()

    def come_back(self) -> None:
        """If he is away."""
        self._away_until = 0.0

    async def log_out(self) -> None:
        """And let the server end the socket."""
        session, ask = self.session, next(self.crowd.web.asks)
        self.crowd.history.note("logout begun", who=self.mobile, session=session, ask=ask)
        reply = await self.crowd.web.ask("POST", "/auth/logout", self.token)
        told = {"status": reply.status, "seconds": round(reply.seconds, 3)}
        self.crowd.history.note("logout answered", who=self.mobile, session=session, ask=ask, **told)
        if reply.status == 200 and session == self.session:
            self._logged_out_at = time.monotonic()

    # ---- his life

    async def sign_up(self) -> None:
        """Get an account; somebody may have the number already."""
        while True:
            form = {"name": "Somebody", "mobileNo": self.mobile, "password": PASSWORD}
            status = (await self.crowd.web.ask("POST", "/auth/signin", json=form)).status
            if status == 200:
                return
            if status == 409:
                self.mobile = self.crowd.number()
            await self._pause()

    async def live(self) -> None:
        """Log in, be connected, and again, until cancelled."""
        while True:
            if not self.token:
                await self.log_in()
            try:
                await self._talk()
                self._tries = 0
            except NoLine as none:
                if none.status in (401, *LOGGED_OUT):
                    self.token = ""
            await self._pause()
            while time.monotonic() < self._away_until:
                await asyncio.sleep(0.1)

    async def log_in(self) -> None:
        """Until it works."""
        form = {"mobileNo": self.mobile, "password": PASSWORD}
        while (reply := await self.crowd.web.ask("POST", "/auth/login", json=form)).status != 200:
            await self._pause()
        self.token, self.session = str(reply.body["token"]), next(self.crowd.sessions)
        self._logged_out_at, self._tries = 0.0, 0
        self.crowd.history.note("login", who=self.mobile, session=self.session)

    async def _pause(self) -> None:
        self._tries += 1
        await asyncio.sleep(self.rng.uniform(0.02, min(LONGEST_PAUSE, 0.1 * 2**self._tries)))

    async def _talk(self) -> None:
        number, address = next(self.crowd.connections), self.rng.choice(self.crowd.addresses)
        session, told = self.session, {"who": self.mobile, "connection": number}
        note, code, reason = self.crowd.history.note, 0, ""
        note("connecting", **told, session=session, dialect=self.manners.dialect, address=address)
        self._own = False
        try:
            line = await open_line(address, self.token, self.manners.dialect, number, self._outgoing)
            first = await line.welcome()
            self._begin(line, first)
            code, reason = await line.run(self._hear)
        except NoLine as none:
            code, reason = none.status, none.reason
            raise
        finally:
            self.line = None
            self._acks.clear()
            self.outbox.again()
            note("disconnected", **told, code=code, reason=reason, own=self._own)
        if code in LOGGED_OUT or self._logged_out_at:
            self.token = ""
        elif code >= 4500:
            await asyncio.sleep(1)  # the person decided to go on

    def _begin(self, line: Line, first: Sequence[Heard]) -> None:
        epoch = first[0].epoch
        self.crowd.history.note("connected", who=self.mobile, connection=line.number, session=self.session, epoch=epoch)
        if epoch and self._epoch and epoch != self._epoch:
            self._forget()
        self._epoch = epoch or self._epoch
        self.line = line
        self._hear(first[1:])
        line.wake()

    def _forget(self) -> None:
        self._seen_places.clear()
        self.outbox.again()
        self.crowd.storage_lost = True

    # ---- what he hears

    def _hear(self, frames: Sequence[Heard]) -> None:
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
                    self._note("resync", epoch=frame.epoch)
                    self._epoch = frame.epoch
                    self._forget()
        self.wake()

    def _hear_chat(self, frame: Heard) -> None:
        chat = (frame.sender, frame.message_id)
        known = chat in self._seen_chats or frame.stream_id in self._seen_places
        self._note(
            "delivery",
            whom=frame.sender,
            message_id=frame.message_id,
            stream_id=frame.stream_id,
            digest=digest(frame.message),
            session=self.session,
            epoch=self._epoch,
            known=known,
        )
        self._seen_places.add(frame.stream_id)
        self._ack_later(Entry(frame.sender, frame.message_id, frame.stream_id))
        if known:
            return
        self._seen_chats.add(chat)
        self.crowd.count["delivered"] += 1
        if self.rng.random() < 0.2:
            self._reads.append((time.monotonic() + self.rng.uniform(0, 1), *chat))

    def _ack_later(self, entry: Entry) -> None:
        lazy = self.manners.lazy
        self._acks.append((time.monotonic() + self.rng.uniform(0, lazy) if lazy else 0.0, entry))

    def _hear_receipt(self, frame: Heard) -> None:
        named = frame.named
        self._note("receipt", whom=frame.sender, message_ids=named, ack_type=frame.ack_type, stream_id=frame.stream_id)
        if self.manners.dialect == speech.V1:
            self._ack_later(Entry(frame.sender, "", frame.stream_id))
        for message_id in named:
            chat = (frame.sender, message_id)
            self.awaiting.discard(chat)
            if chat not in self._receipted:
                self._receipted.add(chat)
                self.crowd.count["receipts"] += 1

    def _hear_sent(self, frame: Heard) -> None:
        self._answer(frame, "sent", timestamp=frame.timestamp)
        if self.outbox.answered(frame.message_id) is None:
            return
        self.crowd.count["acknowledged"] += 1
        if (frame.to, frame.message_id) not in self._receipted:
            self.awaiting.add((frame.to, frame.message_id))
        now = time.monotonic()
        self.longest_outage = max(self.longest_outage, now - self._trouble_since)
        self._trouble_since = now if self.outbox.trying else 0.0
        if self.manners.liar and self.rng.random() < 0.2:
            self._lies.append(Entry(frame.to, frame.message_id, f"{frame.timestamp}-0"))

    def _hear_refusal(self, frame: Heard) -> None:
        rest = min(frame.retry_after or 0.0, LONGEST_PAUSE)
        if frame.message_id and frame.component != "ack":
            self._answer(frame, frame.code)
            if frame.retryable:
                self.outbox.refused(frame.message_id, time.monotonic() + rest * self.rng.uniform(0.1, 1))
            else:
                self.outbox.answered(frame.message_id)

    def _answer(self, frame: Heard, result: str, **more: int) -> None:
        letter = self.outbox.find(frame.message_id)
        whom = frame.to or (letter.whom if letter else "")
        told = {"message_id": frame.message_id, "session": self.session, "result": result}
        self._note("answer", whom=whom, retryable=frame.retryable, **told, **more)

    # ---- what he says

    def _outgoing(self) -> list[Frame]:
        """Frames for the socket, noted as begun."""
        now = time.monotonic()
        return [*self._acks_due(now), *self._reads_due(now), *self._chats_due(now), *self._lies_due()]

    def _acks_due(self, now: float) -> list[Frame]:
        due = [entry for at, entry in self._acks if at <= now]
        if not due:
            return []
        self._acks = deque(item for item in self._acks if item[0] > now)
        self._note("ack", stream_ids=[entry.stream_id for entry in due])
        return speech.acks(self.manners.dialect, self.mobile, due)

    def _reads_due(self, now: float) -> list[Frame]:
        frames: list[Frame] = []
        while self._reads and self._reads[0][0] <= now:
            _, whom, message_id = self._reads.popleft()
            self._note("read", whom=whom, message_ids=[message_id])
            frames += speech.read(self.manners.dialect, self.mobile, whom, [message_id])
        return frames

    def _chats_due(self, now: float) -> list[Frame]:
        frames = []
        for letter in self.outbox.ready(now):
            self.outbox.begin(letter, now)
            self._trouble_since = self._trouble_since or now
            self.crowd.count["begun"] += letter.attempts == 1
            said = {"whom": letter.whom, "message_id": letter.message_id, "digest": letter.digest}
            self._note("send", **said, attempt=letter.attempts, session=self.session)
            claimed = self.crowd.somebody() if self.manners.liar else self.mobile
            frames.append(speech.chat(claimed, letter.whom, letter.message_id, letter.text))
        return frames

    def _lies_due(self) -> list[Frame]:
        """Acks in another's name, as the original would have believed them."""
        lies, self._lies = self._lies, []
        if lies:
            self._note("ack", stream_ids=[lie.stream_id for lie in lies], forged=True)
        return [speech.seed_ack(lie.sender, lie._replace(sender=self.mobile)) for lie in lies]

    def _note(self, kind: str, **fields: object) -> None:
        number = self.line.number if self.line is not None else 0
        self.crowd.history.note(kind, who=self.mobile, connection=number, **fields)
