"""One accepted WebSocket with its client at the other end: what protocol/websocket/interface.py says of it."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

from protocol.errors import SLOW_CONSUMER, UNREACHABLE, Close
from tools.simulate.timeline import Timeline

LATENCY: Final = (0.0005, 0.01)
"""Seconds in each direction."""
KERNEL_BYTES: Final = 2048
"""So much the transport takes of what a client does not read."""
MOST_UNSENT: Final = 64 * 1024
LITTLE_UNSENT: Final = 1024
MOST_UNREAD: Final = 8
"""Messages that are kept while the handler is full. What lies behind them is not read, and is no sign of life."""
WRITE_SECONDS: Final = 10.0
Item = tuple[Literal["text", "ping", "pong", "close"], Any]


class Handler(Protocol):
    """The connection above."""

    @property
    def is_full(self) -> bool: ...
    def handle_message(self, data: str) -> float: ...
    def handle_batch_end(self) -> None: ...
    def handle_sign_of_life(self) -> None: ...
    def handle_pong(self, mark: int) -> None: ...
    def handle_lost(self, code: int, reason: str) -> None: ...


class Client(Protocol):
    """The other end."""

    @property
    def is_reading(self) -> bool: ...
    def hear(self, socket: "Socket", text: str) -> None: ...
    def closed(self, socket: "Socket", code: int, reason: str) -> None: ...


class Owner(Protocol):
    """The server."""

    def call(self, run: Callable[..., object], *args: Any) -> None: ...


class Socket:
    """Both directions keep their order. ``is_cut``: nothing passes, and nobody is told."""

    def __init__(
        self, owner: Owner, client: Client, timeline: Timeline, rng: random.Random, ping_seconds: float
    ) -> None:
        self._owner, self._client, self._timeline, self._rng = owner, client, timeline, rng
        self._ping_seconds = ping_seconds
        self.handler: Handler | None = None
        self.is_cut = False
        self.is_closing = False
        self._is_over = False  # for the server
        self._client_is_over = False
        self._to_client: deque[Item] = deque()
        self._bytes_to_client = 0
        self._is_delivering = False
        self._reaches_client_at = self._reaches_server_at = 0.0
        self._unread: deque[Item] = deque()
        self._is_handing_over = False
        self._mark = 0
        self._pinged_at = timeline.now
        self._unanswered = 0
        self._blocked_since: float | None = None
        self._when_drained: Callable[[], None] | None = None

    # ---- what the connection calls

    @property
    def unsent_bytes(self) -> int:
        """What the transport has not taken; nothing any more when it is gone."""
        return 0 if self._is_over else max(0, self._bytes_to_client - KERNEL_BYTES)

    @property
    def has_unread_messages(self) -> bool:
        """Of a client that did not close behind them."""
        return bool(self._unread) and not self.is_closing

    def send(self, text: bytes) -> None:
        """One text message."""
        if not self.is_closing:
            self._bytes_to_client += len(text)
            self._queue(("text", text))
            if self.unsent_bytes > MOST_UNSENT:
                self._to_client.clear()
                self._bytes_to_client = 0
                self.close(SLOW_CONSUMER)

    def ping(self) -> int:
        """A ping behind what is queued; returns its mark."""
        self._mark += 1
        if not self.is_closing:
            self._queue(("ping", self._mark))
        return self._mark

    def close(self, close: Close) -> None:
        """The close frame goes behind what is queued."""
        if not self.is_closing:
            self.is_closing = True
            self._queue(("close", close))
            self._timeline.after(WRITE_SECONDS, self._owner.call, self._lose, close.code, close.reason)

    def resume_reading(self) -> None:
        """The handler has room."""
        self._hand_over()

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back once, later, when little is unsent."""
        self._when_drained = callback
        self._timeline.at(self._timeline.now, self._owner.call, self._check_drained)

    def tick(self) -> None:
        """Once a second: heartbeats, and writes that take too long."""
        now = self._timeline.now
        if self._is_over or self.is_closing:
            return
        if self.unsent_bytes == 0:
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = now
        elif now - self._blocked_since >= WRITE_SECONDS:
            self.close(SLOW_CONSUMER)
            self._lose(SLOW_CONSUMER.code, SLOW_CONSUMER.reason)
            return
        if now - self._pinged_at >= self._ping_seconds:
            if self._unanswered >= 2:
                self.close(UNREACHABLE)
                return
            self._pinged_at = now
            self._unanswered += 1
            self.ping()

    # ---- to the client

    def _queue(self, item: Item) -> None:
        self._to_client.append(item)
        self.go_on()

    def go_on(self) -> None:
        """The client reads, perhaps again."""
        if not self._is_delivering and self._to_client and self._client.is_reading:
            self._is_delivering = True
            at = max(self._reaches_client_at, self._timeline.now + self._rng.uniform(*LATENCY))
            self._reaches_client_at = at
            self._timeline.at(at, self._deliver)

    def _deliver(self) -> None:
        self._is_delivering = False
        if not self._client.is_reading or not self._to_client:
            return
        while self._to_client and self._client.is_reading:
            kind, value = self._to_client.popleft()
            if kind == "text":
                self._bytes_to_client -= len(value)
            if not self.is_cut and not self._client_is_over:
                self._reach_client(kind, value)
        if self._when_drained is not None:
            self._owner.call(self._check_drained)
        self.go_on()

    def _reach_client(self, kind: str, value: Any) -> None:
        if kind == "text":
            self._client.hear(self, value.decode())
        elif kind == "ping":
            self._to_server([("pong", value)])
        else:
            self._to_server([("close", (value.code, value.reason))])
            self._end_client(value.code, value.reason)

    def _check_drained(self) -> None:
        callback = self._when_drained
        if callback is not None and self.unsent_bytes <= LITTLE_UNSENT:
            self._when_drained = None
            callback()

    def _end_client(self, code: int, reason: str) -> None:
        if not self._client_is_over:
            self._client_is_over = True
            self._client.closed(self, code, reason)

    def server_died(self) -> None:
        """The kernel ends the connection."""
        self._is_over = self.is_closing = True
        if not self.is_cut:
            self._timeline.after(self._rng.uniform(*LATENCY), self._end_client, 1006, "")

    # ---- from the client

    def say(self, texts: Sequence[str]) -> None:
        """The client sends messages."""
        self._to_server([("text", text) for text in texts])

    def leave(self, code: int, *, politely: bool) -> None:
        """The client ends the connection: with a close frame, or without. What it sent before may arrive."""
        self._client_is_over = True
        self._to_server([("close", (code if politely else 1006, ""))])

    def abandon(self, seconds: float) -> None:
        """The client hears this connection no more, and ends it so much later."""
        self._client_is_over = True
        self._timeline.after(seconds, self._to_server, [("close", (1006, ""))])

    def cut(self, seconds: float) -> None:
        """The client is out of reach, and its end of the connection is closed so much later."""
        self.is_cut = self._client_is_over = True
        self._timeline.after(seconds, self._owner.call, self._lose, 1006, "")

    def _to_server(self, items: list[Item]) -> None:
        if not self.is_cut and not self._is_over:
            at = max(self._reaches_server_at, self._timeline.now + self._rng.uniform(*LATENCY))
            self._reaches_server_at = at
            self._timeline.at(at, self._owner.call, self._arrive, items)

    def _arrive(self, items: list[Item]) -> None:
        handler = self.handler
        if self._is_over or handler is None:
            return
        if len(self._unread) < MOST_UNREAD:
            handler.handle_sign_of_life()
        for kind, value in items:
            if kind == "close":
                self.is_closing = True
                # Not before the bytes that came with it were looked at.
                self._timeline.at(self._timeline.now, self._owner.call, self._lose, *value)
            elif not self.is_closing or kind == "text":
                self._unread.append((kind, value))
        self._hand_over()

    def _hand_over(self) -> None:
        handler = self.handler
        if self._is_handing_over or handler is None or self._is_over:
            return
        self._is_handing_over = True
        has_message = False
        while self._unread and not (handler.is_full and self._unread[0][0] == "text"):
            kind, value = self._unread.popleft()
            if kind == "text":
                handler.handle_message(value)
                has_message = True
            else:
                self._unanswered = 0
                handler.handle_pong(value)
        if has_message:
            handler.handle_batch_end()
        self._is_handing_over = False

    def _lose(self, code: int, reason: str) -> None:
        handler = self.handler
        if self._is_over or handler is None:
            return
        self._is_over = self.is_closing = True
        while self._unread:
            kind, value = self._unread.popleft()
            if kind == "text":
                handler.handle_message(value)
        handler.handle_lost(code, reason)
        if not self.is_cut:
            self._timeline.after(self._rng.uniform(*LATENCY), self._end_client, 1006, "")
        if self._when_drained is not None:
            self._check_drained()
