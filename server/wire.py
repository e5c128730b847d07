"""What lies under a socket: the protocol machine of `websockets`, and the transport it is read from and written to."""

import asyncio

from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.protocol import SEND_EOF, State

from protocol.refusals import Close


class Wire:
    """One accepted WebSocket, seen from below. Nothing here waits, except for :meth:`writable_again`."""

    def __init__(self, websocket: WebsocketImplProtocol) -> None:
        if websocket.io_proto is None or websocket.io_proto.transport is None:
            raise RuntimeError("the WebSocket has no transport")
        self.machine = websocket.ws_proto
        self._transport = websocket.io_proto.transport
        self._can_write: asyncio.Event = websocket.io_proto._can_write  # Sanic's flow control has no public name
        self.reading = True

    @property
    def open(self) -> bool:
        """Whether messages can still leave."""
        return self.machine.state is State.OPEN and not self._transport.is_closing()

    @property
    def writable(self) -> bool:
        """Whether the transport takes more. It says no above 64 KiB, until it is below 16 KiB."""
        return self._can_write.is_set()

    async def writable_again(self, seconds: float) -> None:
        """Wait until the transport takes more, or is gone.

        :raises TimeoutError: after ``seconds``
        """
        async with asyncio.timeout(seconds):
            await self._can_write.wait()

    def write(self) -> bool:
        """Write what the machine has ready; whether that was the last (our half of TCP is closed then)."""
        last = False
        for data in self.machine.data_to_send():
            if data == SEND_EOF:
                last = True
            elif not self._transport.is_closing():
                self._transport.write(data)
        if last:
            self._close_our_half()
        return last

    def _close_our_half(self) -> None:
        # Closing both halves with bytes still arriving makes the kernel send a reset, which can overtake our goodbye.
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def say_goodbye(self, close: Close) -> None:
        """Write a close frame, unless one was written."""
        if self.open:
            self.machine.send_close(close.code, close.reason)
            self.write()

    def pause(self) -> None:
        """Stop reading."""
        if self.reading and not self._transport.is_closing():
            self.reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self.reading and not self._transport.is_closing():
            self.reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        """Cut TCP. The transport then tells that the connection is lost."""
        self._transport.abort()
