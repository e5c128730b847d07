"""What one client sends: read frame by frame, bounded, and handed to the handler as it has room."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from protocol.errors import TOO_MANY_FRAMES
from protocol.token_bucket import TokenBucket
from protocol.websocket.interface import SocketHandler
from protocol.websocket.reader import Goodbye, Part, Ping, Pong, Reader, Violation
from settings import Settings

MESSAGE_BYTES: Final = 256 * 1024
"""Above it a message is not read, and the connection ends (1009). More than any valid frame needs: what is too long
should be refused by name, and not end the connection that brings it and the next one that brings it again."""
WAITING_MESSAGES: Final = 32
WAITING_BYTES: Final = 2**16
TURN_BYTES: Final = 2**16
LOOK_BYTES: Final = 2**10
"""After so many the clock is looked at, and not after each small frame: that would be a call more for each of them."""
TURN_SECONDS: Final = 0.002
"""What one client may have of one turn of the event loop, in bytes of messages and in time. The message that goes
beyond is worked on to its end; the next one waits for another turn, so that everybody else has theirs in between."""

Control = Ping | Pong | Goodbye


class Incoming:
    """Keeps few messages and no more than one read of the transport (256 KiB): above that the client is not read.

    A few messages are read ahead of a handler without room, so that pongs do not queue behind them.
    """

    __slots__ = (
        "_bytes",
        "_control",
        "_heed",
        "_is_free",
        "_loop",
        "_muted",
        "_over",
        "_parts",
        "_reader",
        "_waiting",
        "handler",
        "late",
        "more",
        "paused_until",
    )  # fmt: skip

    def __init__(self, settings: Settings, heed: Callable[[Control], None], is_free: Callable[[Control], bool]) -> None:
        """
        :param heed: called with each control frame, at once
        :param is_free: whether a control frame is one that we asked for: those are not counted
        """
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._heed = heed
        self._is_free = is_free
        self._reader = Reader(MESSAGE_BYTES)
        self._parts = TokenBucket(settings.data_frames_per_second, settings.data_frames_burst, now)
        self._control = TokenBucket(settings.control_frames_per_second, settings.control_frames_burst, now)
        self._waiting: list[str | bytes] = []
        self._bytes = 0
        self._muted = False
        self._over = False
        self.late = 0
        """Bytes that came after the end."""
        self.more = False
        """Whether the last :meth:`read` ended because it was enough for one turn of the loop."""
        self.paused_until: float | None = None
        """Loop time until which the client is not read, since it sent too much."""
        self.handler: SocketHandler | None = None

    @property
    def room(self) -> bool:
        """Whether more can be taken. Yes at the end, too: what comes then is thrown away."""
        if self._over or self._muted:
            return True
        return (
            self.handler is not None
            and self.paused_until is None
            and len(self._waiting) < WAITING_MESSAGES
            and self._bytes < WAITING_BYTES
        )

    @property
    def waits(self) -> bool:
        """Whether messages wait for the handler."""
        return bool(self._waiting)

    @property
    def over(self) -> bool:
        """Whether nothing more is read."""
        return self._over

    def feed(self, data: bytes) -> None:
        """Take what came; it is read by :meth:`read`."""
        if self._over:
            self.late += len(data)
        else:
            self._reader.feed(data)

    def read(self) -> bool:
        """Hand over what waits and then frame after frame, until no more is there, no room is left, or it is enough
        for one turn of the loop (:attr:`more`).

        :returns: whether there was anything

        :raises Violation: the client broke the protocol, or sends too many control frames (1008)
        """
        now = self._loop.time()
        if self.paused_until is not None and now >= self.paused_until:
            self.paused_until = None
        self.more = False
        taken, looked, ends = 0, LOOK_BYTES, 0.0
        while True:
            size = self._hand_over_one(now) if self._waiting else 0
            if not size and self.room:
                size = self._take(now)
            if not size:
                return taken > 0
            taken += size
            if taken >= looked:
                looked = taken + LOOK_BYTES
                clock = time.perf_counter()
                ends = ends or clock + TURN_SECONDS
                if (taken >= TURN_BYTES or clock >= ends) and not self._over:
                    self.more = True
                    return True

    def mute(self) -> None:
        """Messages are thrown away from now on; control frames still count."""
        self._muted = True
        self.paused_until = None
        self._waiting.clear()

    def stop(self) -> None:
        """Read nothing more, and keep nothing: a flood leaves hundreds of sockets behind that are not yet gone."""
        self._over = True
        self._reader.forget()

    def rest(self) -> None:
        """At the end: give the handler what is there, whether it has room or not. The client spoke before it left.

        :raises Violation: as :meth:`read`
        """
        if self.handler is None or self._muted:
            return
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.handler.handle_message(message)
        now = self._loop.time()
        while self._take(now):
            self._bytes = 0
            while self._waiting:
                self.handler.handle_message(self._waiting.pop(0))

    def _take(self, now: float) -> int:
        """Read one frame; its size in bytes or characters, 0 when there is none."""
        event = None if self._over else self._reader.next()
        if event is None:
            return 0
        if isinstance(event, (str, bytes)):
            self._put(event, now)
            return len(event) or 1
        if isinstance(event, Part):
            # Whole messages are charged by the handler, who knows what they are. Fragments it never sees.
            if seconds := self._parts.charge(1, now):
                self._pause(seconds, now)
            return 1
        if not (self._is_free(event) or self._control.take(now)):
            raise Violation(TOO_MANY_FRAMES.code, TOO_MANY_FRAMES.reason)
        self._heed(event)
        return 1

    def _put(self, message: str | bytes, now: float) -> None:
        handler = self.handler
        if self._muted or handler is None:
            return
        if self._waiting or handler.is_full:
            self._waiting.append(message)
            self._bytes += len(message)
        else:
            seconds = handler.handle_message(message)
            if seconds:
                self._pause(seconds, now)

    def _hand_over_one(self, now: float) -> int:
        """Give the handler the oldest message that waits; its size, 0 when it may not be given."""
        handler = self.handler
        if handler is None or self.paused_until is not None or handler.is_full:
            return 0
        message = self._waiting.pop(0)
        self._bytes -= len(message)
        seconds = handler.handle_message(message)
        if seconds:
            self._pause(seconds, now)
        return len(message) or 1

    def _pause(self, seconds: float, now: float) -> None:
        if not self._over and not self._muted:
            self.paused_until = now + seconds
