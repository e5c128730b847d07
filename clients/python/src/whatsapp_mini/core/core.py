"""The whole client without I/O: which part hears of which frame, and what follows from what the store answered."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Final

from whatsapp_mini.core.connection import Connection
from whatsapp_mini.core.effects import Effect, Emit, Frame, Keep, KeepEpoch, SendFrame, Settle
from whatsapp_mini.core.inbox import Batch, Inbox
from whatsapp_mini.core.outbox import Outbox, Place
from whatsapp_mini.core.presence import OwnTyping, TheirTyping, Watching
from whatsapp_mini.core.reads import Reads
from whatsapp_mini.errors import ApiError, SendFailed
from whatsapp_mini.events import (
    Event,
    Failed,
    FrameSeen,
    MessageCame,
    Notice,
    Own,
    OwnRead,
    Posted,
    Resync,
    Tick,
)
from whatsapp_mini.messages import (
    LATEST_MS,
    MAX_FRAME_BYTES,
    Failure,
    Message,
    State,
    is_message_id,
    is_number,
    seconds_of,
    well_formed,
)
from whatsapp_mini.store import (
    Change,
    Chat,
    HasFailed,
    Kept,
    News,
    OwnChat,
    Read,
    Receipt,
    Sent,
)

encoded: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""A frame as it travels."""
BLAMED: Final = (1002, 1007, 1009, 4503)
"""Close codes that may be the fault of what was sent (C26)."""
PING_SECONDS: Final = 20.0
RECEIPT_STATES: Final = ("expired", "delivered", "read")
DEFAULT_MAX_BYTES: Final = 16 * 1024


class Core:
    """All of the behaviour. After each call :meth:`take` gives the effects.

    :param rng: for jitter and messageIds; of the operating system, but in tests
    """

    def __init__(self, mobile_no: str, rng: Random, watched: Iterable[str] = ()) -> None:
        self.mobile_no = mobile_no
        self.max_message_bytes = DEFAULT_MAX_BYTES
        self.shows_frames = False
        """Whether anybody looks on."""
        self._rng = rng
        self._effects: list[Effect] = []
        self.connection = Connection(self._do, rng)
        self.outbox = Outbox(self._do, rng)
        self.inbox = Inbox(self._do, self._keep_what_came)
        self.watching = Watching(self._do, watched)
        self._own_typing = OwnTyping(self._do)
        self._their_typing = TheirTyping(self._do)
        self.failed: dict[Place, Message] = {}
        self._epoch: str | None = None
        self._numbers = count(1)
        self._jobs: dict[int, _Job] = {}
        self._reads = Reads(self._do)
        self._later: list[Event] = []
        """What is kept, and will be told when it is acknowledged."""
        self._is_stopping = False

    def take(self) -> list[Effect]:
        """What is to be done, in this order."""
        effects, self._effects[:] = self._effects[:], []
        return effects

    # ---- beginning and end

    def load(self, kept: Kept) -> None:
        """What the store had."""
        self._epoch = kept.epoch
        for message in kept.waiting:
            self.outbox.add(message)
        self.failed = {(message.peer, message.id): message for message in kept.failed}
        self._reads.load(kept.reads)

    def connect_now(self) -> None:
        """Begin, or end a pause or ``stopped``. In other states, and when a stop has begun, it does nothing."""
        if not self._is_stopping and self.connection.state.name in ("off", "pausing", "stopped"):
            self.connection.connect()

    def log_in(self) -> None:
        """There is a session again."""
        if self.connection.state.name == "loggedOut" and not self._is_stopping:
            self.connection.connect()
        else:
            self.connect_now()

    def reconnect(self, now: float) -> None:
        """The session is another one: leave the socket of the old one."""
        if self.connection.is_trying:
            self._disconnected(now, blamed=False)
            self.connection.connect()

    def stop_begins(self) -> None:
        """Begin nothing new: nothing is handed over, and sent only as long as a handler may wait for it (C39)."""
        self._is_stopping = self.inbox.is_stopping = True

    def is_quiet(self) -> bool:
        """Whether nothing is on the way, in the handler's hands, or on its way to the store."""
        on_the_way = self.outbox.on_the_way if self.connection.is_online else 0
        return not on_the_way and not self.inbox.is_busy and not self._jobs

    def off(self, now: float) -> None:
        """The end."""
        if self.connection.state.name != "off":
            self._disconnected(now, blamed=False)
            self.connection.end("off")

    def stopped(self, code: str, reason: str, now: float) -> None:
        """It cannot go on: the handler failed (C28), or something else. What fails since it was ended is no news."""
        if self.connection.state.name == "off":
            return
        self.inbox.forget()
        self._disconnected(now, blamed=False)
        self.connection.end("stopped", code, reason)

    def store_failed(self, reason: str, now: float) -> None:
        """What was to be kept is not: there is nothing more to wait for."""
        self._jobs.clear()
        self.stopped("store_failed", reason, now)

    def logged_out(self, code: int | str, reason: str, now: float) -> None:
        """The session has ended, and there is no other one."""
        self._disconnected(now, blamed=False)
        self.connection.end("loggedOut", code, reason)

    # ---- the socket

    def opening(self, round: int, now: float) -> None:
        """The ticket is there."""
        if round == self.connection.round:
            self.connection.opening(now)

    def refused(self, round: int, error: ApiError, now: float) -> None:
        """The ticket, the log-in or the upgrade was refused, or nobody answered."""
        if round == self.connection.round:
            self.connection.refused(error, now)

    def closed(self, round: int, code: int, reason: str, now: float) -> None:
        """The socket ended."""
        if round == self.connection.round:
            self._disconnected(now, blamed=code in BLAMED)
            self.connection.closed(code, reason, now)

    def received(self, round: int, data: str | bytes, now: float) -> None:
        """One message of the server: a frame or an array of frames."""
        if round != self.connection.round:
            return
        self.connection.heard(now)
        frames = _decoded(data)
        if frames is None:
            self._disconnected(now, blamed=False)
            self.connection.give_up("The server sent what is no JSON.", now)
            return
        batch = Batch()
        for frame in frames:
            self._show("in", frame)
            self._handle(frame, batch, now)
        batch.chats.sort(key=_place_in_mailbox)
        if batch.stream_ids:
            self.inbox.take(batch, now)
        self._go_on(now)

    def tick(self, now: float) -> None:
        """Do what is due; to be called at :meth:`deadline`."""
        if self.connection.is_online and self.outbox.is_overdue(now) and not self._is_stopping:
            self._disconnected(now, blamed=True)
            self.connection.give_up("The server did not answer a message.", now)
        if self.connection.tick(now):
            self._disconnected(now, blamed=False)
            self.connection.dead(now)
        if self.connection.wants_ping(now):
            self._send({"type": "ping"})
        for part in (self.watching, self._own_typing, self._their_typing):
            part.tick(now)
        if self.connection.is_online and (told := self._reads.tick(now)):
            self._keep([Read(peer, ids, "told") for peer, ids in told], _Job())
        self._go_on(now)

    def deadline(self) -> float | None:
        """When :meth:`tick` has something to do."""
        times = [self.connection.deadline(), self._their_typing.deadline()]
        if self.connection.is_online:
            times += [self.watching.deadline(), self._own_typing.deadline(), self.inbox.deadline()]
            times.append(self._reads.deadline())
            times += [self.outbox.deadline()] if not self._is_stopping or self.inbox.is_busy else []
        return min((at for at in times if at is not None), default=None)

    # ---- sending

    def prepared(self, to: str, text: str, message_id: str | None, wall_ms: int) -> Message:
        """A message that may be kept (C17, C18).

        :param to: digits
        :raises SendFailed: the server would refuse it in any case
        """
        text = well_formed(text)
        id = f"{self._rng.getrandbits(128):032x}" if message_id is None else message_id
        message = Message(id, to, mine=True, text=text, timestamp=wall_ms, state="waiting")
        if (refusal := self._refusal(message)) is not None:
            raise SendFailed(*refusal, id if is_message_id(id) else "")
        return message

    def _refusal(self, message: Message) -> tuple[str, str] | None:
        if not is_number(message.peer):
            return "bad_mobile", "A mobile number is 10 to 15 digits, with its country code."
        if message.peer == self.mobile_no:
            return "self_message", "A message to oneself goes nowhere."
        if not is_message_id(message.id):
            return "bad_message_id", "messageId takes 1 to 128 printable ASCII characters, without space."
        if not message.text:
            return "message_empty", "The message is empty."
        size = len(message.text.encode())
        if size > self.max_message_bytes or len(encoded(_chat(message)).encode()) > MAX_FRAME_BYTES:
            return "message_too_large", f"The message has {size} bytes; {self.max_message_bytes} are allowed."
        return None

    def posted(self, message: Message, now: float) -> None:
        """The message is kept: it may go."""
        self.failed.pop((message.peer, message.id), None)
        self.outbox.add(message)
        self._do(Emit(Posted(message)))
        if self.connection.is_online:
            self._own_typing.stopped(message.peer)
        self._go_on(now)

    def new_id(self, message: Message) -> str:
        """The messageId with which a person's retry of a failed message goes out (C24)."""
        reused = message.error is not None and message.error.code == "message_id_reused"
        return f"{self._rng.getrandbits(128):032x}" if reused else message.id

    # ---- reading, typing, watching

    def read(self, peer: str, ids: Sequence[str], now: float) -> None:
        """It is kept that these were read here: tell the server (C34)."""
        self._reads.read(peer, ids, self.connection.is_online, now)
        self._go_on(now)

    def typing(self, to: str, active: bool, now: float) -> None:
        """A key was pressed, or the field was left."""
        if self.connection.is_online:
            self._own_typing.typing(to, active, now)

    def watch(self, numbers: Sequence[str]) -> None:
        """Tell the program whether these are online."""
        self.watching.watch(numbers, self.connection.is_online)

    def unwatch(self, numbers: Sequence[str]) -> None:
        """No longer."""
        self.watching.unwatch(numbers, self.connection.is_online)

    # ---- what the store and the handler answered

    def kept(self, numbers: Sequence[int], news: Sequence[News], now: float) -> None:
        """These ``Keep`` are durable."""
        jobs = [self._jobs.pop(number) for number in numbers]
        for job in jobs:
            self.inbox.kept(job.stream_ids, job.one_by_one, now)
        for each in news:
            self._note(each)
        self._go_on(now)
        for job in jobs:
            for peer, id, outcome in job.settled:
                self._do(Settle(peer, id, outcome))

    def unknown(self, number: int, chats: Sequence[Message], now: float) -> None:
        """The reply to ``AskUnknown``."""
        self.inbox.unknown(number, chats, now)
        self._go_on(now)

    def handled(self, now: float) -> None:
        """The handler has returned."""
        self.inbox.handled(now)
        self._go_on(now)

    def given_back(self, now: float) -> None:
        """Who had the message in hand has left without a word."""
        self.inbox.given_back()
        self._go_on(now)

    def listened(self, has_handler: bool, is_heard: bool, now: float) -> None:
        """Whether there is a handler, or somebody else who takes what comes."""
        self.inbox.has_handler, self.inbox.is_heard = has_handler, is_heard
        if has_handler or is_heard:
            self.inbox.handed_again(now)
        self._go_on(now)

    # ---- frames

    def _handle(self, frame: Frame, batch: Batch, now: float) -> None:  # noqa: C901 - one case for each type
        match frame:
            case {"type": "hello", "epoch": str(epoch)}:
                self._hello(frame, epoch, now)
            case {"type": "sent", "to": str(peer), "messageId": id, "timestamp": int(timestamp)}:
                self._sent((peer, str(id)), _whole(timestamp))
            case {"type": "chat", "from": str(peer), "messageId": id, "message": str(text), **more}:
                self._their_typing.ended(peer)
                _note(batch, more, chat=_message(peer, str(id), text, more, mine=False))
            case {"type": "own", "to": str(peer), "messageId": id, "message": str(text), **more}:
                _note(batch, more, OwnChat(_message(peer, str(id), text, more, mine=True)))
            case {"type": "ownRead", "from": str(peer), "messageIds": list(ids), **more}:
                _note(batch, more, Read(peer, _strings(ids), "elsewhere"))
            case {"type": "ack", "from": str(peer), "messageIds": list(ids), "ackType": str(state), **more}:
                self._receipt(peer, _strings(ids), state, more, batch)
            case {"type": "presence", "mobileNo": str(mobile_no), "online": bool(online)}:
                self.watching.came(mobile_no, online, _whole(frame.get("lastSeen")) or None)
            case {"type": "typing", "from": str(peer), "active": bool(active)}:
                self._their_typing.came(peer, active, now)
            case {"type": "resync", "epoch": str(epoch)}:
                self._do(Emit(Resync(str(frame.get("reason", "")))))
                self._has_epoch(epoch)
                self.outbox.again()
            case {"type": "error", "code": str(code)}:
                self._refused(frame, code, now)

    def _hello(self, frame: Frame, epoch: str, now: float) -> None:
        self.max_message_bytes = _whole(frame.get("maxMessageBytes")) or DEFAULT_MAX_BYTES
        self.mobile_no = str(frame.get("mobileNo", self.mobile_no))
        self._has_epoch(epoch)
        self.connection.hello(max(1.0, seconds_of(frame.get("pingSeconds")) or PING_SECONDS), now)
        self.inbox.flush(now)
        self.watching.connected()
        self._reads.connected(now)

    def _has_epoch(self, epoch: str) -> None:
        if epoch != self._epoch:
            self._epoch = epoch
            self._do(KeepEpoch(epoch))

    def _sent(self, place: Place, timestamp: int) -> None:
        if self.outbox.answered(place):
            self._keep([Sent(*place, timestamp)], _Job(settled=[(*place, timestamp)]))

    def _receipt(self, peer: str, ids: tuple[str, ...], state: str, more: Mapping[str, Any], batch: Batch) -> None:
        timestamp = _whole(more.get("timestamp"))
        raised: list[State] = [each for each in RECEIPT_STATES if each == state]
        _note(batch, more, *(Receipt(peer, ids, each, timestamp) for each in raised))
        # The answer itself was lost with a connection. To wait until the receipt is kept could be to wait for the
        # handler, which may wait for this very answer.
        for id in ids:
            if self.outbox.answered((peer, id)):
                self._do(Settle(peer, id, timestamp))

    def _refused(self, frame: Frame, code: str, now: float) -> None:
        failure = Failure(code, str(frame.get("message", "")))
        retryable, retry_after = frame.get("retryable") is True, seconds_of(frame.get("retryAfter"))
        component = str(frame.get("component", ""))
        if code == "draining":
            self.connection.retry_after = retry_after
        elif component == "chat" and "messageId" in frame:
            place = self._named(str(frame.get("to", "")), str(frame["messageId"]))
            self.outbox.refused(place, failure, retry_after, retryable, now)
        else:
            if component in ("chat", "frame"):
                self.outbox.refused_unnamed(failure, retry_after, retryable, now)
            elif component == "ack" and retryable:
                self._reads.refused(retry_after, now)
            elif component == "watch":
                named = frame.get("mobileNos")
                self.watching.refused(named if isinstance(named, list) else (), retry_after, retryable, now)
            self._do(Emit(Notice(code, failure.message, component)))

    def _named(self, to: str, id: str) -> Place:
        """The place of the message that a refusal names: what is no number may be spelled in another way there."""
        return (to, id) if self.outbox.waits((to, id)) else self.outbox.place_of(id) or (to, id)

    # ---- what follows

    def _disconnected(self, now: float, *, blamed: bool) -> None:
        self.outbox.ended(blamed and self.connection.is_online)
        self.inbox.disconnected()
        for part in (self.watching, self._own_typing, self._their_typing, self._reads):
            part.disconnected()
        self._keep_failed()

    def _go_on(self, now: float) -> None:
        if self.connection.is_online:
            self.inbox.flush(now)
            if not self._is_stopping or self.inbox.is_busy:  # the handler may wait for an answer
                self.outbox.pump(now)
        self._keep_failed()
        if not self.inbox.has_acks or not self.connection.is_online:
            for event in self._later:
                self._do(Emit(event))
            self._later.clear()

    def _keep_failed(self) -> None:
        failed, self.outbox.failed = self.outbox.failed, []
        for place, failure in failed:
            self._keep([HasFailed(*place, failure)], _Job(settled=[(*place, failure)]))

    def _keep_what_came(self, changes: Sequence[Change], stream_ids: Sequence[str], one_by_one: bool) -> None:
        self._keep(changes, _Job(stream_ids, one_by_one=one_by_one))

    def _keep(self, changes: Sequence[Change], job: "_Job") -> None:
        number = next(self._numbers)
        self._jobs[number] = job
        self._do(Keep(number, tuple(changes)))

    def _note(self, news: News) -> None:
        self._later += _events(news)
        if isinstance(news.change, HasFailed) and news.message is not None:
            self.failed[news.message.peer, news.message.id] = news.message

    def _send(self, frame: Frame) -> None:
        self._do(SendFrame(frame))

    def _do(self, effect: Effect) -> None:
        self._effects.append(effect)
        if isinstance(effect, SendFrame):
            self._show("out", effect.frame)

    def _show(self, direction: Any, frame: Frame) -> None:
        if self.shows_frames:
            self._effects.append(Emit(FrameSeen(direction, frame)))


@dataclass(frozen=True, slots=True)
class _Job:
    """What follows when a ``Keep`` is durable."""

    stream_ids: Sequence[str] = ()
    settled: Sequence[tuple[str, str, int | Failure]] = ()
    one_by_one: bool = False


def _events(news: News) -> list[Event]:  # noqa: PLR0911 - one case for each change
    message = news.message
    match news.change:
        case Chat() if message is not None:
            return [MessageCame(message)]
        case OwnChat() if message is not None:
            return [Own(message)]
        case HasFailed() if message is not None:
            return [Failed(message)]
        case Sent(peer, _, timestamp):
            return [Tick(peer, news.ids, "sent", timestamp)]
        case Receipt(peer, _, state, timestamp):
            return [Tick(peer, news.ids, state, timestamp)]
        case Read(peer, _, "elsewhere"):
            return [OwnRead(peer, news.ids)]
    return []


def _decoded(data: str | bytes) -> list[Frame] | None:
    """The frames of a message; None: it is no JSON. What is no object is passed over (C16)."""
    try:
        said = json.loads(data) if isinstance(data, str) else None
        if isinstance(data, str) and _HALF_PAIR.search(data):
            said = json.loads(well_formed(encoded(said)))
    except (ValueError, RecursionError):
        return None
    if said is None:
        return None
    return [frame for frame in (said if isinstance(said, list) else [said]) if isinstance(frame, dict)]


def _note(batch: Batch, more: Mapping[str, Any], *changes: Change, chat: Message | None = None) -> None:
    """What has no streamId cannot be acknowledged, and is no entry."""
    if isinstance(stream_id := more.get("streamId"), str):
        batch.stream_ids.append(stream_id)
        batch.others += changes
        batch.chats += [] if chat is None else [chat]


def _message(peer: str, id: str, text: str, more: Mapping[str, Any], *, mine: bool) -> Message:
    stream_id = more.get("streamId")
    state: State = "sent" if mine else "new"
    timestamp = _whole(more.get("timestamp"))
    return Message(
        id, peer, mine, well_formed(text), timestamp, state, stream_id if isinstance(stream_id, str) else None
    )


def _chat(message: Message) -> Frame:
    return {"type": "chat", "to": message.peer, "messageId": message.id, "message": message.text}


_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
"""JSON may hold half a surrogate pair where it is escaped. No store and no socket can take it."""
_STREAM_ID = re.compile(r"(\d{1,20})-(\d{1,20})")


def _place_in_mailbox(message: Message) -> tuple[int, int]:
    found = _STREAM_ID.fullmatch(message.stream_id or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _strings(ids: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(id) for id in ids)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value <= LATEST_MS else 0
