"""A socket on Sanic's stock WebSocket.

Sanic's own reading and writing cannot be used as they are: each read makes a task that leaks when its message is
never fetched, pongs queue behind unread messages, a sender blocked on a slow reader blocks the pings too, and bad
UTF-8 hangs the connection. So this socket takes the stock object's callbacks over and uses only what is sound in it:
the pure protocol machine and the transport. Nothing here depends on the handler task, which Sanic cancels when the
client vanishes.
"""

import asyncio
from typing import Final

from sanic.server.websockets.impl import WebsocketImplProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from protocol.refusals import DRAINING, SLOW_CONSUMER, Close
from server.inbox import DATA_FRAMES, Inbox
from server.outbox import MARK_BYTES, Outbox
from server.socket import Listener, Socket
from server.wire import Wire
from settings import Settings

GRACE_SECONDS: Final = 1.0
"""How long the other side may take to read a last word and to close its half of TCP, before we cut."""
ABNORMAL: Final = 1006
INVALID_DATA: Final = 1007


class StockSocket:
    """:class:`server.socket.Socket` for one accepted WebSocket. To be made in the tick of the handshake."""

    def __init__(self, websocket: WebsocketImplProtocol, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._wire = Wire(websocket)
        self._inbox = Inbox(self._wire)
        self._outbox = Outbox(self._wire, settings.write_seconds, self._flushed, self._stuck)
        self._write_seconds = settings.write_seconds
        self._listener: Listener | None = None
        self._mark = 0
        self._evidence = True
        self._closing: Close | None = None
        self._cut: asyncio.TimerHandle | None = None
        self._ending: tuple[int, str] | None = None
        self._gone = asyncio.Event()
        self._take_over(websocket)

    def _take_over(self, websocket: WebsocketImplProtocol) -> None:
        stock_lost = websocket.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            stock_lost(exc)  # type: ignore[no-untyped-call]
            self._connection_lost()

        websocket.data_received = self._data_received  # type: ignore[method-assign]
        websocket.eof_received = self._eof_received  # type: ignore[method-assign]
        websocket.connection_lost = connection_lost  # type: ignore[method-assign]

    # ---- what the connection calls: see server.socket.Socket

    def send(self, text: bytes) -> None:
        """Queue one text message."""
        if self.closing:
            return
        self._outbox.put(text)
        if self._outbox.overfull:
            self.end(SLOW_CONSUMER, self._write_seconds)

    def ping(self) -> int:
        """Queue a ping and return its mark."""
        self._mark += 1
        if not self.closing:
            self._outbox.put(self._mark)
        return self._mark

    def close(self, close: Close) -> None:
        """Say goodbye after what is queued."""
        if self.closing:
            return
        self._closing = close
        self._stop_listening()
        self._cut_after(self._write_seconds)
        self._outbox.flush_soon()

    @property
    def unsent(self) -> int:
        """Bytes queued."""
        return self._outbox.unsent

    async def drained(self) -> None:
        """Return when little is queued, or the socket is gone."""
        await self._outbox.drained()

    # ---- what this room needs besides

    def end(self, close: Close, grace: float = GRACE_SECONDS) -> None:
        """Close at once: what is queued is dropped, the goodbye is written, and ``grace`` seconds later TCP is cut."""
        if self._ending is not None:
            return
        self._closing = self._closing or close
        self._outbox.drop()
        self._stop_listening()
        self._wire.say_goodbye(self._closing)
        self._cut_after(grace)

    @property
    def closing(self) -> bool:
        """Whether the end has begun, from our side or theirs."""
        return self._closing is not None or not self._wire.open

    async def gone(self) -> None:
        """Return when TCP is gone and the listener was told."""
        await self._gone.wait()

    def take_evidence(self) -> bool:
        """Whether the client gave a sign of life since the last call; True while we do not read and cannot know."""
        evidence, self._evidence = self._evidence, False
        return evidence or not self._wire.reading

    async def serve(self, listener: Listener) -> None:
        """Hand over what arrives, until the socket is gone.

        The listener is attached before the first suspension: with no ``await`` between making the connection known
        and this call, its ``lost`` is called whatever happens. Being cancelled ends the socket with 4012, for only
        a stopping server cancels a handler whose client is still there.
        """
        if self._ending is not None:
            listener.lost(*self._ending)
            return
        self._listener = listener
        try:
            while self._ending is None:
                await self._inbox.changed.wait()
                self._inbox.changed.clear()
                await self._inbox.hand_over(listener)
        except asyncio.CancelledError:
            self.end(DRAINING)
            raise

    # ---- what the transport calls

    def _data_received(self, data: bytes) -> None:
        machine = self._wire.machine
        machine.receive_data(data)
        for event in machine.events_received():
            if isinstance(event, Frame):
                self._evidence = True
                self._take(event)
        if self._wire.write():
            self._cut_after(GRACE_SECONDS)
        self._inbox.pause_if_full()
        if not self._wire.writable:
            # A client that does not read our pongs is not read either, or they would pile up here.
            self._wire.pause()
            self._outbox.watch_if_blocked()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._ponged(bytes(frame.data))
        elif frame.opcode in DATA_FRAMES and self._closing is None:
            try:
                self._inbox.take(frame)
            except UnicodeDecodeError:
                if self._wire.machine.state is State.OPEN:
                    self._wire.machine.fail(INVALID_DATA, "text that is not UTF-8")

    def _ponged(self, payload: bytes) -> None:
        if self._listener is None:
            return
        self._listener.alive()
        mark = int.from_bytes(payload, "big") if len(payload) == MARK_BYTES else 0
        if 0 < mark <= self._outbox.mark_written:
            self._listener.ponged(mark)

    def _eof_received(self) -> bool:
        return False  # the transport closes itself

    def _connection_lost(self) -> None:
        if self._ending is not None:
            return
        self._ending = self._how_it_ended()
        if self._cut is not None:
            self._cut.cancel()
        self._outbox.drop()
        if self._listener is not None:
            self._inbox.rest(self._listener)
        self._inbox.changed.set()
        self._gone.set()
        if self._listener is not None:
            self._listener.lost(*self._ending)

    def _how_it_ended(self) -> tuple[int, str]:
        theirs, ours = self._wire.machine.close_rcvd, self._wire.machine.close_sent
        if theirs is not None:
            return int(theirs.code), theirs.reason
        if self._closing is not None:
            return self._closing.code, self._closing.reason
        return (int(ours.code), ours.reason) if ours is not None else (ABNORMAL, "")

    # ---- what the outbox calls

    def _flushed(self) -> None:
        if self._closing is not None:
            self._wire.say_goodbye(self._closing)
        self._inbox.resume_if_empty()

    def _stuck(self) -> None:
        self._closing = self._closing or SLOW_CONSUMER
        self._outbox.drop()
        self._wire.abort()

    # ----

    def _stop_listening(self) -> None:
        self._inbox.drop()
        self._wire.resume()  # the answer to our goodbye is still to come

    def _cut_after(self, seconds: float) -> None:
        when = self._loop.time() + seconds
        if self._cut is not None and self._cut.when() <= when:
            return
        if self._cut is not None:
            self._cut.cancel()
        self._cut = self._loop.call_at(when, self._wire.abort)


_: type[Socket] = StockSocket  # the type checker holds it to the seam
