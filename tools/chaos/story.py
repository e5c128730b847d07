"""Hand-made histories, for the tests of the checker."""

from typing import Any

from tools.chaos.history import KINDS, Event
from tools.chaos.speech import V1


class Story:
    """Writes events a hundredth of a second apart, if not told otherwise. People are named by letters."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.t = 100.0
        self._numbers = 0
        self._server_ms = 5_000
        self._places: dict[str, int] = {}
        self.connections: dict[str, int] = {}
        self.sessions: dict[str, int] = {}
        self.epoch = "e1"

    def wait(self, seconds: float) -> "Story":
        """Nothing happens for so long."""
        self.t += seconds
        return self

    def note(self, kind: str, **fields: Any) -> Event:
        """One event, as a client would note it."""
        assert not KINDS.get(kind, frozenset()) - fields.keys(), (kind, fields)
        self.t += 0.01
        self.events.append(Event(n=len(self.events) + 1, t=self.t, kind=kind, **fields))
        return self.events[-1]

    def number(self) -> int:
        """One never used before."""
        self._numbers += 1
        return self._numbers

    # ---- connections

    def connect(self, *people: str, dialect: str = V1) -> "Story":
        """Log in, if need be, and connect."""
        for who in people:
            self.sessions.setdefault(who, self.number())
            self.connections[who] = self.number()
            here = {"who": who, "connection": self.connections[who], "session": self.sessions[who]}
            self.note("connecting", **here, dialect=dialect)
            self.note("connected", **here, epoch=self.epoch if dialect == V1 else "")
        return self

    def leave(self, who: str, *, own: bool = False, code: int = 1006) -> "Story":
        """The socket ends."""
        number = self.connections.pop(who)
        self.note("disconnected", who=who, connection=number, code=code, reason="", own=own)
        return self

    # ---- chats

    def place(self, message_id: str) -> int:
        """When the server stored it, in ms."""
        if message_id not in self._places:
            self._places[message_id] = self._ms()
        return self._places[message_id]

    def _ms(self) -> int:
        self._server_ms += 10
        return self._server_ms

    def send(self, who: str, whom: str, message_id: str, *, attempt: int = 1) -> Event:
        """A chat begun."""
        return self.note("send", **self._chat(who, whom, message_id), attempt=attempt, digest=f"d-{message_id}")

    def sent(self, who: str, whom: str, message_id: str, **change: Any) -> Event:
        """The single tick."""
        said = {"result": "sent", "retryable": False, "timestamp": self.place(message_id)}
        return self.note("answer", **(self._chat(who, whom, message_id) | said | change))

    def refused(self, who: str, whom: str, message_id: str, code: str = "unavailable") -> Event:
        """A refusal that is worth another try."""
        return self.note("answer", **self._chat(who, whom, message_id), result=code, retryable=True)

    def came(self, who: str, whom: str, message_id: str, **change: Any) -> Event:
        """``who`` wrote it, ``whom`` gets it."""
        said = {"stream_id": f"{self.place(message_id)}-0", "digest": f"d-{message_id}", "epoch": "", "known": False}
        return self.note("delivery", **(self._chat(whom, who, message_id) | said | change))

    def ack(self, whom: str, message_id: str, **change: Any) -> Event:
        """``whom`` has it."""
        here = self.connections.get(whom, 0)
        return self.note("ack", who=whom, connection=here, **({"stream_ids": [f"{self.place(message_id)}-0"]} | change))

    def read(self, who: str, whom: str, message_id: str) -> Event:
        """``who`` wrote it, ``whom`` read it."""
        return self.note("read", who=whom, whom=who, message_ids=[message_id], connection=self.connections.get(whom, 0))

    def receipt(self, who: str, whom: str, message_id: str, ack_type: str = "delivered", place: int = 0) -> Event:
        """``who`` wrote it. ``place``: see :meth:`receipt_place`."""
        here = {"connection": self.connections.get(who, 0), "stream_id": f"{place or self.receipt_place()}-0"}
        return self.note("receipt", who=who, whom=whom, message_ids=[message_id], ack_type=ack_type, **here)

    def receipt_place(self) -> int:
        """A receipt is stored now; when, in ms."""
        return self._ms()

    def chat(self, who: str, whom: str, *message_ids: str) -> "Story":
        """The whole journey of each."""
        for each in message_ids:
            self.send(who, whom, each)
            self.sent(who, whom, each)
            self.came(who, whom, each)
            self.ack(whom, each)
            self.receipt(who, whom, each)
        return self

    def _chat(self, who: str, whom: str, message_id: str) -> dict[str, Any]:
        here = {"connection": self.connections.get(who, 0), "session": self.sessions.get(who, 0)}
        return {"who": who, "whom": whom, "message_id": message_id, **here}

    # ---- all the rest

    def ask(self, what: str, who: str, *, seconds: float = 0.01, status: int = 200, **more: Any) -> Event:
        """An HTTP request, and its answer after so long. ``seen`` belongs to the answer."""
        answer = {key: more.pop(key) for key in ("seen",) if key in more}
        told = {"who": who, "ask": self.number(), **more}
        self.note("presence asked" if what == "presence" else f"{what} begun", **told)
        self.wait(seconds)
        return self.note(f"{what} answered", **told, **answer, status=status, seconds=seconds)

    def fault(self, name: str, seconds: float, **more: Any) -> "Story":
        """One strikes, and ends after so long."""
        self.note("fault begun", fault=name, **more)
        self.wait(seconds)
        self.note("fault ended", fault=name)
        return self

    def drained(self, *, ok: bool = True) -> list[Event]:
        """The end; all of it."""
        self.note("drained", ok=ok, waiting=0)
        return self.events
