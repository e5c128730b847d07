"""What came in on one socket and was not handed over yet."""

import asyncio
from collections import deque
from typing import Final

from websockets.frames import Frame, Opcode

from server.socket import Listener
from server.wire import Wire

INBOX_MESSAGES: Final = 32
INBOX_BYTES: Final = 2**16
DATA_FRAMES: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


class Inbox:
    """Puts frames together to messages and keeps few of them: above that the client is not read."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._messages: deque[str | bytes] = deque()
        self._bytes = 0
        self._parts = bytearray()
        self._is_text = True
        self.changed = asyncio.Event()
        """Set when a message came, and at the end."""

    def take(self, frame: Frame) -> None:
        """One data frame. The protocol machine has checked its order, and the size of the whole message.

        :raises UnicodeDecodeError: a text that is not UTF-8
        """
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts += frame.data
        if not frame.fin:
            return
        data, self._parts = bytes(self._parts), bytearray()
        self._messages.append(data.decode() if self._is_text else data)
        self._bytes += len(data)
        self.changed.set()

    def pause_if_full(self) -> None:
        """Stop reading above the limits. At most one read of the transport (256 KiB) is over them."""
        if len(self._messages) >= INBOX_MESSAGES or self._bytes >= INBOX_BYTES:
            self._wire.pause()

    def resume_if_empty(self) -> None:
        """Read on, if all was handed over and the client reads what we answer."""
        if not self._messages and self._wire.writable:
            self._wire.resume()

    def drop(self) -> None:
        """Forget what waits."""
        self._messages.clear()
        self._bytes = 0

    def rest(self, listener: Listener) -> None:
        """Give the listener what is there, whether it has room or not: the client spoke before he left."""
        while self._messages:
            listener.received(self._messages.popleft())
        self._bytes = 0

    async def hand_over(self, listener: Listener) -> None:
        """Give the listener what is there, as it has room."""
        handed = 0
        while self._messages:
            await listener.room()
            if not self._messages:  # dropped while we waited
                break
            listener.received(self._messages.popleft())
            handed += 1
            if handed % INBOX_MESSAGES == 0:
                await asyncio.sleep(0)  # one client's flood must not hold up the others
        self._bytes = 0
        self.resume_if_empty()
