"""The core of the Python client with a store and a time of its own, and nothing else."""

import json
from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from whatsapp_mini.core import Core
from whatsapp_mini.core.effects import (
    AskUnknown,
    Effect,
    Emit,
    EndSocket,
    ForgetSession,
    HandOver,
    Keep,
    KeepEpoch,
    OpenSocket,
    SendFrame,
    Settle,
)
from whatsapp_mini.events import ConnectionState, Event
from whatsapp_mini.messages import Failure, Message
from whatsapp_mini.store import Kept, MemoryStore

ME, ASHA, BEN = "919100000000", "919100000001", "919100000002"
T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a method of :class:`MemoryStore`, which waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


class Dice(Random):
    """Jitter as a test wants it: ``share`` of what is possible."""

    share = 0.5

    def uniform(self, a: float, b: float) -> float:
        return a + self.share * (b - a)


class Talk:
    """One core, connected to nothing. ``handed``, ``events``, ``outcomes``, ``sent`` collect what it asked for."""

    def __init__(self, store: MemoryStore | None = None, *, handler: bool = False, heard: bool = True) -> None:
        self.now, self.dice, self.store = 1000.0, Dice(1), store or MemoryStore()
        self.core = Core(ME, self.dice)
        self.sent: list[dict[str, Any]] = []
        self.events: list[Event] = []
        self.handed: list[Message] = []
        self.outcomes: dict[str, int | Failure] = {}
        self.opened: list[OpenSocket] = []
        self.ended: list[int | None] = []
        self.forgotten = 0
        self.log: list[Effect] = []
        self.keeps: list[Keep] | None = None
        """While it is a list, the store is slow: it answers at :meth:`answer`."""
        self.asks: list[AskUnknown] | None = None
        """The same for questions; a test answers them itself."""
        self.core.load(at_once(self.store.load()))
        self.core.listened(handler, heard, self.now)
        self.run()

    # ---- what the shell does

    def run(self) -> None:
        while effects := self.core.take():
            for effect in effects:
                self.log.append(effect)
                self._do(effect)

    def _do(self, effect: Effect) -> None:  # noqa: C901 - one case for each effect
        match effect:
            case SendFrame(frame):
                self.sent.append(dict(frame))
            case Emit(event):
                self.events.append(event)
            case HandOver(message):
                self.handed.append(message)
            case Settle(_, id, outcome):
                self.outcomes[id] = outcome
            case OpenSocket():
                self.opened.append(effect)
            case EndSocket(code):
                self.ended.append(code)
            case ForgetSession():
                self.forgotten += 1
            case Keep() if self.keeps is not None:
                self.keeps.append(effect)
            case Keep(number, changes):
                self.core.kept([number], at_once(self.store.apply(changes)), self.now)
            case KeepEpoch(epoch):
                at_once(self.store.save_epoch(epoch))
            case AskUnknown() if self.asks is not None:
                self.asks.append(effect)
            case AskUnknown(number, chats):
                self.core.unknown(number, at_once(self.store.unknown(chats)), self.now)

    def answer(self) -> None:
        """The slow store is done, in one transaction."""
        keeps, self.keeps = self.keeps or [], None
        changes = [change for keep in keeps for change in keep.changes]
        self.core.kept([keep.number for keep in keeps], at_once(self.store.apply(changes)), self.now)
        self.run()

    # ---- what happens

    def connect(self, epoch: str = "e1", **hello: Any) -> "Talk":
        """Be online."""
        if self.core.connection.state.name != "connecting":
            self.core.connect_now()
            self.run()
        self.core.opening(self.round, self.now)
        self.come({"type": "hello", "epoch": epoch, "mobileNo": ME, "pingSeconds": 20, "maxMessageBytes": 100, **hello})
        return self

    @property
    def round(self) -> int:
        return self.core.connection.round

    def come(self, *frames: dict[str, Any]) -> None:
        """An array from the server."""
        self.core.received(self.round, json.dumps(frames), self.now)
        self.run()

    def raw(self, data: str | bytes) -> None:
        """Anything from the server."""
        self.core.received(self.round, data, self.now)
        self.run()

    def close(self, code: int = 1006, reason: str = "") -> None:
        """The socket ends."""
        self.core.closed(self.round, code, reason, self.now)
        self.run()

    def wait(self, seconds: float) -> None:
        """Time passes; what is due is done when it is due."""
        until = self.now + seconds
        while (at := self.core.deadline()) is not None and at <= until:
            assert at >= self.now - 1e-6, "a deadline that passed keeps the processor busy"
            self.now = max(at, self.now)
            before = self.core.deadline()
            self.core.tick(self.now)
            self.run()
            assert self.core.deadline() != before, "the deadline is due for ever"
        self.now = until

    def post(self, to: str, text: str = "hello", id: str | None = None) -> str:
        """The messageId of a message that is kept, and may go."""
        message = self.core.prepared(to, text, id, 1)
        self.core.posted(at_once(self.store.add([message]))[0], self.now)
        self.run()
        return message.id

    def handled(self) -> None:
        """The handler returns."""
        self.core.handled(self.now)
        self.run()

    # ---- what is to be seen

    @property
    def state(self) -> ConnectionState:
        return self.core.connection.state

    def took(self, kind: str) -> list[dict[str, Any]]:
        """The frames of a type since the last time; all others are forgotten, too."""
        frames, self.sent = self.sent, []
        return [frame for frame in frames if frame["type"] == kind]

    def named(self, name: str) -> list[Any]:
        """The events with this name."""
        return [event for event in self.events if event.name == name]

    def kept(self) -> Kept:
        return at_once(self.store.load())


def chat(id: str, place: int = 1, text: str = "hello", peer: str = ASHA) -> dict[str, Any]:
    """A chat that comes."""
    more = {"mode": "online", "timestamp": place, "streamId": f"{place}-0"}
    return {"type": "chat", "to": ME, "from": peer, "messageId": id, "message": text, **more}


def sent(id: str, to: str = ASHA, timestamp: int = 5) -> dict[str, Any]:
    """The answer to a chat."""
    return {"type": "sent", "messageId": id, "to": to, "timestamp": timestamp}


def receipt(state: str, *ids: str, place: int = 9, peer: str = ASHA) -> dict[str, Any]:
    """What became of chats."""
    more = {"timestamp": place, "streamId": f"{place}-0"}
    return {"type": "ack", "to": ME, "from": peer, "messageIds": list(ids), "ackType": state, **more}


def refusal(code: str, retryable: bool, component: str = "chat", **named: Any) -> dict[str, Any]:
    """The server refuses a frame."""
    message = {"message": "It is refused.", "retryable": retryable}
    return {"type": "error", "code": code, "component": component, **message, **named}
