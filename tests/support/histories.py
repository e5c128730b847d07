"""Builds histories by hand, for the tests of the checker."""

from typing import Any, Self

from tools.chaos.frames import V1
from tools.chaos.history import KINDS, Event


class HistoryBuilder:
    """Collects events, each 0.01 s after the one before. People have letters instead of mobile numbers."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.t = 100.0
        self._numbers = 0
        self._server_ms = 5_000
        self._stored: dict[str, int] = {}
        self.connections: dict[str, int] = {}
        self.sessions: dict[str, int] = {}
        self.epoch = "e1"

    def wait(self, seconds: float) -> Self:
        """Let so many seconds pass."""
        self.t += seconds
        return self

    def record(self, kind: str, **fields: Any) -> Event:
        """Add one event, with all fields that a client would record."""
        assert not KINDS.get(kind, frozenset()) - fields.keys(), (kind, fields)
        self.t += 0.01
        self.events.append(Event(n=len(self.events) + 1, t=self.t, kind=kind, **fields))
        return self.events[-1]

    def number(self) -> int:
        """A number that was not used before."""
        self._numbers += 1
        return self._numbers

    # ---- connections

    def connect(self, *people: str, dialect: str = V1, device: str = "primary") -> Self:
        """Each logs in, unless they have a session, and connects. What they do then is done on this device."""
        for mobile in people:
            self.sessions.setdefault(mobile, self.number())
            self.connections[mobile] = self.number()
            here = {"mobile": mobile, "connection": self.connections[mobile], "session": self.sessions[mobile]}
            self.record("connecting", **here, dialect=dialect, device=device)
            self.record("connected", **here, epoch=self.epoch if dialect == V1 else "")
        return self

    def leave(self, mobile: str, *, by_client: bool = False, code: int = 1006) -> Self:
        """The socket ends."""
        number = self.connections.pop(mobile)
        self.record("disconnected", mobile=mobile, connection=number, code=code, reason="", by_client=by_client)
        return self

    # ---- chats

    def stored_ms(self, message_id: str) -> int:
        """The server's time of the chat's entry, in ms; the first half of its streamId."""
        if message_id not in self._stored:
            self._stored[message_id] = self._ms()
        return self._stored[message_id]

    def _ms(self) -> int:
        self._server_ms += 10
        return self._server_ms

    def send(self, mobile: str, peer: str, message_id: str, *, attempt: int = 1) -> Event:
        """``mobile`` sends a chat."""
        return self.record("send", **self._chat(mobile, peer, message_id), attempt=attempt, digest=f"d-{message_id}")

    def sent(self, mobile: str, peer: str, message_id: str, **change: Any) -> Event:
        """The server answers ``sent``."""
        fields = {"result": "sent", "retryable": False, "timestamp": self.stored_ms(message_id)}
        return self.record("answer", **(self._chat(mobile, peer, message_id) | fields | change))

    def refused(self, mobile: str, peer: str, message_id: str, code: str = "unavailable") -> Event:
        """The server refuses, and the client may try again."""
        return self.record("answer", **self._chat(mobile, peer, message_id), result=code, retryable=True)

    def delivered(self, mobile: str, peer: str, message_id: str, **change: Any) -> Event:
        """A chat of ``mobile`` arrives at ``peer``."""
        fields = {
            "stream_id": f"{self.stored_ms(message_id)}-0",
            "digest": f"d-{message_id}",
            "epoch": "",
            "duplicate": False,
        }
        return self.record("delivery", **(self._chat(peer, mobile, message_id) | fields | change))

    def ack(self, peer: str, message_id: str, **change: Any) -> Event:
        """``peer`` acknowledges a chat."""
        here = self.connections.get(peer, 0)
        return self.record(
            "ack", mobile=peer, connection=here, **({"stream_ids": [f"{self.stored_ms(message_id)}-0"]} | change)
        )

    def read(self, mobile: str, peer: str, message_id: str) -> Event:
        """``peer`` read a chat of ``mobile``."""
        return self.record(
            "read", mobile=peer, peer=mobile, message_ids=[message_id], connection=self.connections.get(peer, 0)
        )

    def receipt(
        self, mobile: str, peer: str, message_id: str, ack_type: str = "delivered", stored_ms: int = 0
    ) -> Event:
        """``mobile`` gets a receipt of ``peer``.

        :param stored_ms: the time of its entry; 0: now
        """
        here = {"connection": self.connections.get(mobile, 0), "stream_id": f"{stored_ms or self.next_stored_ms()}-0"}
        return self.record("receipt", mobile=mobile, peer=peer, message_ids=[message_id], ack_type=ack_type, **here)

    def next_stored_ms(self) -> int:
        """The server stores an entry now; its time in ms."""
        return self._ms()

    def chat(self, mobile: str, peer: str, *message_ids: str) -> Self:
        """Each chat is sent, answered, delivered, acknowledged and receipted."""
        for each in message_ids:
            self.send(mobile, peer, each)
            self.sent(mobile, peer, each)
            self.delivered(mobile, peer, each)
            self.ack(peer, each)
            self.receipt(mobile, peer, each)
        return self

    def _chat(self, mobile: str, peer: str, message_id: str) -> dict[str, Any]:
        here = {"connection": self.connections.get(mobile, 0), "session": self.sessions.get(mobile, 0)}
        return {"mobile": mobile, "peer": peer, "message_id": message_id, **here}

    # ---- all the rest

    def request(self, what: str, mobile: str, *, seconds: float = 0.01, status: int = 200, **more: Any) -> Event:
        """An HTTP request, and its response after ``seconds``. ``presence`` belongs to the response."""
        response = {key: more.pop(key) for key in ("presence",) if key in more}
        common = {"mobile": mobile, "request": self.number(), **more}
        self.record(f"{what} request", **common)
        self.wait(seconds)
        return self.record(f"{what} response", **common, **response, status=status, seconds=seconds)

    def fault(self, name: str, seconds: float, **more: Any) -> Self:
        """A fault begins, and ends after ``seconds``."""
        self.record("fault start", fault=name, **more)
        self.wait(seconds)
        self.record("fault end", fault=name)
        return self

    def drained(self, *, ok: bool = True) -> list[Event]:
        """The scenario ends; all events."""
        self.record("drained", ok=ok, waiting=0)
        return self.events
