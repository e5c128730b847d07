"""What one client says: read frame by frame, counted, and handed to the listener as he has room."""

import asyncio
from collections.abc import Callable
from typing import Final

from protocol.refusals import TOO_MANY_FRAMES
from protocol.websocket.reader import Goodbye, Part, Ping, Pong, Reader, Violation
from server.allowance import Allowance
from server.socket import Listener
from settings import Settings

MESSAGE_BYTES: Final = 64 * 1024
WAITING_MESSAGES: Final = 32
WAITING_BYTES: Final = 2**16

Control = Ping | Pong | Goodbye


class Incoming:
    """Keeps few messages and no more than one read of the transport (256 KiB): above that the client is not read.

    A few messages are read ahead of a listener without room, so that pongs do not queue behind them.
    """

    __slots__ = (
        "_bytes", "_control", "_data", "_heed", "_loop", "_muted", "_over", "_reader", "_waiting", "late", "listener",
    )  # fmt: skip

    def __init__(self, settings: Settings, heed: Callable[[Control], None]) -> None:
        """:param heed: called with each control frame, at once"""
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._heed = heed
        self._reader = Reader(MESSAGE_BYTES)
        self._data = Allowance(settings.data_frames_per_second, settings.data_frames_burst, now)
        self._control = Allowance(settings.control_frames_per_second, settings.control_frames_burst, now)
        self._waiting: list[str | bytes] = []
        self._bytes = 0
        self._muted = False
        self._over = False
        self.late = 0
        """Bytes that came after the end."""
        self.listener: Listener | None = None

    @property
    def room(self) -> bool:
        """Whether more can be taken. Yes at the end, too: what comes then is thrown away."""
        if self._over or self._muted:
            return True
        return self.listener is not None and len(self._waiting) < WAITING_MESSAGES and self._bytes < WAITING_BYTES

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
        """Hand over what waits and then frame after frame, until no more is there or no room is left.

        :returns: whether there was anything

        :raises Violation: the client broke the protocol, or sends too many frames (1008)
        """
        waited = self._hand_over()
        now = self._loop.time()
        while self.room and self._take(now):
            waited = True
        return waited

    def mute(self) -> None:
        """Messages are thrown away from now on; control frames still count."""
        self._muted = True
        self._waiting.clear()

    def stop(self) -> None:
        """Read nothing more, and keep nothing: a flood leaves hundreds of sockets behind that are not yet gone."""
        self._over = True
        self._reader.forget()

    def rest(self) -> None:
        """At the end: give the listener what is there, whether he has room or not. The client spoke before he left.

        :raises Violation: as :meth:`read`
        """
        if self.listener is None or self._muted:
            return
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            self.listener.received(message)
        now = self._loop.time()
        while self._take(now):
            self._bytes = 0
            while self._waiting:
                self.listener.received(self._waiting.pop(0))

    def _take(self, now: float) -> bool:
        event = None if self._over else self._reader.next()
        if event is None:
            return False
        if isinstance(event, (str, bytes, Part)):
            self._charge(self._data, now)
            if not isinstance(event, Part):
                self._put(event)
        else:
            self._charge(self._control, now)
            self._heed(event)
        return True

    @staticmethod
    def _charge(allowance: Allowance, now: float) -> None:
        if not allowance.take(now):
            raise Violation(TOO_MANY_FRAMES.code, TOO_MANY_FRAMES.reason)

    def _put(self, message: str | bytes) -> None:
        listener = self.listener
        if self._muted or listener is None:
            return
        if self._waiting or listener.full:
            self._waiting.append(message)
            self._bytes += len(message)
        else:
            listener.received(message)

    def _hand_over(self) -> bool:
        listener, waited = self.listener, bool(self._waiting)
        while self._waiting and listener is not None and not listener.full:
            message = self._waiting.pop(0)
            self._bytes -= len(message)
            listener.received(message)
        return waited
