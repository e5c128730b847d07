"""One accepted WebSocket: what the loop calls from below, and what the connection calls from above.

It stands in the transport's place for a protocol, and no task lives for it: frames are read where they arrive,
in :meth:`ClientSocket.data_received`, and the connection is called back from there.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from protocol.errors import DRAINING, INTERNAL, SLOW_CONSUMER, Close
from protocol.websocket import writer
from protocol.websocket.interface import Socket, SocketHandler
from protocol.websocket.reader import Goodbye, Ping, Pong, Violation
from server.farewell import GRACE_SECONDS, Farewell
from server.incoming import Control, Incoming
from server.outgoing import MARK_BYTES, Outgoing
from server.sockets import Sockets

logger = structlog.get_logger(__name__)

ABNORMAL: Final = 1006
LATE_BYTES: Final = 2**23
"""Who writes on for longer than this after our goodbye does not wait for it: TCP is cut."""


class ClientSocket(asyncio.Protocol):
    """Fits protocol.websocket.interface.Socket: over one transport, which must be open."""

    __slots__ = (
        "_answered",
        "_closing",
        "_connections",
        "_ending",
        "_evidence",
        "_farewell",
        "_gone",
        "_handler",
        "_incoming",
        "_loop",
        "_mark",
        "_outgoing",
        "_reading",
        "_sockets",
        "_stalled",
        "_theirs",
        "_turn",
        "_write_seconds",
        "address",
        "transport",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, sockets: Sockets, connections: set[Any], address: str) -> None:
        """
        :param connections: Sanic's, of this worker: whom it waits for when it stops
        :param address: the client's, as :class:`server.sockets.Sockets` counts it
        """
        self.transport = transport
        self.address = address
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._connections = connections
        self._write_seconds = sockets.settings.write_seconds
        self._incoming = Incoming(sockets.settings, self._heed, self._is_free)
        self._outgoing = Outgoing(transport, self._write_seconds, self._flushed, self._stuck)
        self._farewell = Farewell(transport)
        self._handler: SocketHandler | None = None
        self._mark = 0
        self._answered = 0
        self._turn: asyncio.Handle | None = None
        self._stalled = True
        """Whether the handler's having room makes a difference, as of the end of the last :meth:`_read`."""
        self._evidence = True
        self._reading = True
        self._closing: Close | None = None
        self._theirs: tuple[int, str] | None = None
        self._ending: tuple[int, str] | None = None
        self._gone: asyncio.Event | None = None

    # ---- what the connection calls: see protocol.websocket.interface.Socket

    def send(self, text: bytes) -> None:
        """Queue one text message."""
        if self.is_closing:
            return
        self._outgoing.put(writer.text(text))
        if self._outgoing.overfull:
            self.end(SLOW_CONSUMER, self._write_seconds)

    def ping(self) -> int:
        """Queue a ping and return its mark."""
        self._mark += 1
        if not self.is_closing:
            self._outgoing.put_ping(self._mark)
        return self._mark

    def close(self, close: Close) -> None:
        """Say goodbye after what is queued."""
        if self.is_closing:
            return
        self._closing = close
        self._incoming.mute()
        self._farewell.cut_after(self._write_seconds)
        self._outgoing.flush_soon()
        self._read()

    def resume_reading(self) -> None:
        """The connection has room."""
        if self._stalled and self._ending is None and self._turn is None:
            self._read()

    @property
    def has_unread_messages(self) -> bool:
        """Whether messages wait, of a client that did not say goodbye behind them."""
        return not self.is_closing and self._incoming.waits

    @property
    def waits_for_handler(self) -> bool:
        """Whether the client is not read, and only for want of room."""
        return not self._reading and self._turn is None and not self._outgoing.blocked and not self.is_closing

    @property
    def unsent_bytes(self) -> int:
        """Bytes queued."""
        return self._outgoing.unsent

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back once, when little is queued or the socket is gone."""
        self._outgoing.when_drained(callback)

    # ---- what this room needs besides

    def attach(self, handler: SocketHandler) -> None:
        """From now on the handler hears all; until now nothing was read.

        Without an ``await`` between making the connection known and this call, it hears of the end in any case.
        """
        if self._ending is not None:
            handler.handle_lost(*self._ending)
            return
        self._handler = handler
        self._incoming.handler = handler
        self._read()

    @property
    def attached(self) -> bool:
        """Whether somebody listens."""
        return self._handler is not None

    def end(self, close: Close, grace: float = GRACE_SECONDS) -> None:
        """Close at once: what is queued is dropped, the goodbye is written, and ``grace`` seconds later TCP is cut."""
        if self._ending is not None:
            return
        self._closing = self._closing or close
        self._outgoing.drop()
        self._incoming.mute()
        self._farewell.say(self._closing.code, self._closing.reason)
        self._farewell.cut_after(grace)
        self._read()

    @property
    def is_closing(self) -> bool:
        """Whether the end has begun, from our side or theirs."""
        return self._closing is not None or self._theirs is not None or self._ending is not None

    async def gone(self) -> None:
        """Return when TCP is gone and the handler was told."""
        if self._ending is None:
            if self._gone is None:
                self._gone = asyncio.Event()
            await self._gone.wait()

    def take_evidence(self) -> bool:
        """Whether the client gave a sign of life since the last call; True while we do not read and cannot know."""
        evidence, self._evidence = self._evidence, False
        return evidence or not self._reading

    # ---- what the loop calls

    def data_received(self, data: bytes) -> None:
        """Bytes of the client's."""
        self._evidence = True
        self._incoming.feed(data)
        if self._handler is not None and self._closing is None:
            self._handler.handle_sign_of_life()
        if self._incoming.late > LATE_BYTES:
            self.abort()
        elif self._turn is None or self._incoming.over:
            self._read()

    def eof_received(self) -> bool:
        """The client sends nothing more; the transport closes itself, after what it has to write."""
        self._farewell.cut_after(GRACE_SECONDS)
        return False

    def pause_writing(self) -> None:
        """The client does not read."""
        self._outgoing.pause()

    def resume_writing(self) -> None:
        """It does again."""
        self._outgoing.resume()
        self._steer()

    def connection_lost(self, _exc: Exception | None) -> None:
        """TCP is gone."""
        self._outgoing.stop()
        self._sockets.closed(self)
        self._connections.discard(self)
        ours = (self._closing.code, self._closing.reason) if self._closing is not None else (ABNORMAL, "")
        self._take_turn(None)
        self._hand_over_rest()
        self._incoming.stop()
        self._ending = self._theirs or ours
        self._farewell.over()
        if self._gone is not None:
            self._gone.set()
        self._part()

    # ---- what a stopping Sanic calls for each of its connections

    def close_if_idle(self) -> bool:
        """Say that this server goes down."""
        self.end(DRAINING)
        return True

    def abort(self) -> None:
        """Cut TCP. The transport then tells that the connection is lost."""
        self.transport.abort()

    # ---- reading

    def _read(self) -> None:
        if self._turn is not None:
            self._take_turn(None)
        try:
            self._hear()
        except Violation as violation:
            self._violated(violation)
        except Exception:
            logger.exception("a handler failed")
            self.end(INTERNAL)
        self._steer()

    def _hear(self) -> None:
        anything = True
        try:
            anything = self._incoming.read()
        finally:
            if anything:
                self._caught_up()

    def _caught_up(self) -> None:
        if self._handler is not None:
            self._handler.handle_batch_end()

    def _hand_over_rest(self) -> None:
        try:
            try:
                self._incoming.rest()
            finally:
                self._caught_up()
        except Violation as violation:
            logger.debug("the last bytes were no frames", code=violation.code)
        except Exception:
            logger.exception("a handler failed")

    def _steer(self) -> None:
        incoming = self._incoming
        if (incoming.more or incoming.paused_until is not None) and not incoming.over and self._turn is None:
            if incoming.more:
                self._take_turn(self._loop.call_soon(self._go_on))
            else:
                self._take_turn(self._loop.call_at(incoming.paused_until or 0.0, self._go_on))
        room = incoming.room
        self._stalled = incoming.waits or not room
        # A client that does not read what we answer is not read either.
        reading = incoming.over or (room and not incoming.more and not self._outgoing.blocked)
        if reading != self._reading and not self.transport.is_closing():
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _go_on(self) -> None:
        """Another turn of the loop, or the end of a pause."""
        self._read()

    def _take_turn(self, turn: asyncio.Handle | None) -> None:
        if self._turn is not None:
            self._turn.cancel()
        self._turn = turn

    def _is_free(self, frame: Control) -> bool:
        """Whether we asked for it: a pong for a ping that was written and not answered yet."""
        return isinstance(frame, Pong) and self._answered < _mark_of(frame) <= self._outgoing.mark_written

    def _heed(self, frame: Control) -> None:
        if isinstance(frame, Ping):
            if not self._farewell.said:
                self._outgoing.put(writer.pong(frame.payload))
        elif isinstance(frame, Pong):
            self._ponged(frame)
        else:
            self._bidden(frame)

    def _ponged(self, pong: Pong) -> None:
        if self._handler is None or self._closing is not None:
            return
        mark = _mark_of(pong)
        if 0 < mark <= self._outgoing.mark_written:
            self._answered = max(self._answered, mark)
            self._handler.handle_pong(mark)

    def _bidden(self, goodbye: Goodbye) -> None:
        self._theirs = goodbye.code, goodbye.reason
        self._finish(goodbye.code, "")

    def _violated(self, violation: Violation) -> None:
        self._closing = self._closing or Close(violation.code, violation.reason)
        if self._handler is not None:
            self._handler.handle_violation()
        self._finish(self._closing.code, self._closing.reason)

    def _finish(self, code: int, reason: str) -> None:
        self._incoming.stop()
        self._outgoing.flush()  # the answers to what it said before
        self._outgoing.drop()
        self._farewell.say(code, reason)
        self._farewell.finish()

    # ---- ending

    def _flushed(self) -> None:
        if self._closing is not None:
            self._farewell.say(self._closing.code, self._closing.reason)

    def _part(self) -> None:
        """Who knows us is known no more: each of these circles would be there until Python's collector comes."""
        handler, self._handler = self._handler, None
        del self._incoming
        if handler is not None and self._ending is not None:
            handler.handle_lost(*self._ending)

    def _stuck(self) -> None:
        self._closing = self._closing or SLOW_CONSUMER
        self.abort()


def _mark_of(pong: Pong) -> int:
    """Of the ping it answers; 0 when that was none of ours."""
    return int.from_bytes(pong.payload, "big") if len(pong.payload) == MARK_BYTES else 0


_: type[Socket] = ClientSocket  # the type checker holds it to the interface
