"""One accepted WebSocket: the event loop calls it with bytes, its connection calls it to send and to close.

It takes the protocol's place at the transport, and no task lives for it: frames are read where the bytes arrive, in
:meth:`AcceptedSocket.data_received`, and the handler is called from there.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any, Final

import structlog

from protocol.direct_write import plain_fd, write_now
from protocol.errors import DRAINING, INTERNAL, SLOW_CONSUMER, TOO_MANY_FRAMES, Close
from protocol.websocket import writer
from protocol.websocket.interface import Socket, SocketHandler
from protocol.websocket.reader import CloseFrame, Fragment, FrameReader, Ping, Pong, Violation
from server.websocket.open_connections import OpenConnections
from server.websocket.rate_limiter import FrameRateLimiter
from server.websocket.receive_buffer import ReceiveBuffer
from server.websocket.send_buffer import PIECE_BYTES, SendBuffer, read_mark

logger = structlog.get_logger(__name__)

ABNORMAL: Final = 1006
MESSAGE_BYTES: Final = 256 * 1024
"""Above it a message is not read, and the connection ends (1009). More than any valid frame needs: a frame that is too
long should get an answer, and not end the connection that brings it and the next one that brings it again."""
TURN_BYTES: Final = 2**16
TURN_SECONDS: Final = 0.002
"""What one client may have of one turn of the event loop, in bytes of messages and in time. The message that goes
beyond is worked on to its end; the next one waits for another turn, so that all other clients are served in between."""
CLOCK_BYTES: Final = 2**10
"""The clock is looked at after so many bytes, not after each small frame."""
UNSENT_BYTES: Final = 2**20
"""More than this unsent, and the client is a slow consumer."""
LOW_BYTES: Final = 2**16
GRACE_SECONDS: Final = 1.0
"""How long the client may take to read a close frame and to close its half of TCP before TCP is cut."""
LATE_BYTES: Final = 2**23
"""A client that sends more than this after the close handshake does not get the rest of the grace: TCP is cut."""


class State(IntEnum):
    """How far the end of a socket has come. It only rises."""

    OPEN = 0
    CLOSING = 1
    """Our close frame is queued or written. Messages are thrown away; the client's close frame is waited for."""
    FINISHED = 2
    """The client sent a close frame or broke the protocol. Nothing more is read or written; TCP is about to end."""
    LOST = 3
    """TCP is gone."""


OPEN, CLOSING, FINISHED, LOST = State


class AcceptedSocket(asyncio.Protocol):
    """Fits :class:`protocol.websocket.interface.Socket`. The transport must be open."""

    __slots__ = (
        "_answered_ping", "_close", "_close_frame_sent", "_close_timer", "_drained", "_end", "_fd", "_flush_scheduled",
        "_frames", "_handler", "_is_handling", "_late_bytes", "_limiter", "_loop", "_lost", "_open_connections",
        "_paused_until", "_peer_close", "_reads_transport", "_sanic_connections", "_sending", "_stalled", "_state",
        "_turn", "_unfinished", "_waiting", "_was_active", "_write_timer", "address", "transport",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        open_connections: OpenConnections,
        sanic_connections: set[Any],
        address: str,
    ) -> None:
        """
        :param sanic_connections: Sanic's, of this worker: a stopping worker waits until each has left the set
        :param address: the client's, under which :class:`OpenConnections` counts it
        """
        self.transport = transport
        self.address = address
        self._loop = asyncio.get_running_loop()
        self._open_connections = open_connections
        self._sanic_connections = sanic_connections
        self._handler: SocketHandler | None = None
        self._state = OPEN
        self._was_active = True
        # reading
        self._frames = FrameReader(MESSAGE_BYTES)
        self._waiting = ReceiveBuffer()
        self._limiter: FrameRateLimiter | None = None
        self._is_handling = False
        """Whether frames are being handed over just now: the handler may call back from within."""
        self._unfinished = False
        """Whether frames are left that another turn of the loop is to read."""
        self._paused_until: float | None = None
        """Loop time until which the client is not read, since it sent too much."""
        self._turn: asyncio.Handle | None = None
        """The next call of :meth:`_read`, when it is not bytes that bring it about."""
        self._stalled = True
        """Whether it makes a difference that the handler has room, as of the end of the last :meth:`_read`."""
        self._reads_transport = True
        # writing
        self._fd = plain_fd(transport)
        self._sending = SendBuffer()
        self._flush_scheduled = False
        self._answered_ping = 0
        self._drained: Callable[[], None] | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        """Runs while the transport takes no more."""
        # ending
        self._close: Close | None = None
        self._close_frame_sent = False
        self._close_timer: asyncio.TimerHandle | None = None
        self._peer_close: tuple[int, str] | None = None
        self._late_bytes = 0
        self._end: tuple[int, str] | None = None
        self._lost: asyncio.Event | None = None

    # ---- what the connection calls: see protocol.websocket.interface.Socket

    @property
    def is_closing(self) -> bool:
        """Whether the close handshake has begun, from either side."""
        return self._state is not OPEN

    @property
    def has_unread_messages(self) -> bool:
        """Whether whole messages wait for the handler, of a client that did not close behind them."""
        return self._state is OPEN and bool(self._waiting.messages)

    @property
    def waits_for_handler(self) -> bool:
        """Whether reading is paused, and only because the handler is full."""
        held_up = self._turn is not None or self._write_timer is not None
        return self._state is OPEN and not self._reads_transport and not held_up

    @property
    def unsent_bytes(self) -> int:
        """Bytes queued here that the transport has not taken yet."""
        return self._sending.unsent_bytes

    def send(self, text: bytes) -> None:
        """Queue one text message."""
        if self._state is not OPEN:
            return
        sending = self._sending
        sending.put(writer.text(text))
        if sending.unsent_bytes >= PIECE_BYTES and self._write_timer is None:
            self._flush()
        elif not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
        if sending.unsent_bytes > UNSENT_BYTES:
            self.close_now(SLOW_CONSUMER, self._open_connections.settings.write_seconds)

    def ping(self) -> int:
        """Queue a ping and return its mark."""
        frame = self._sending.next_ping()
        if self._state is OPEN:
            self._queue(frame)
        return self._sending.last_ping

    def close(self, close: Close) -> None:
        """Send a close frame after what is queued."""
        if self._state is not OPEN:
            return
        self._close = close
        self._discard_messages()
        self._abort_after(self._open_connections.settings.write_seconds)
        self._flush_soon()
        self._read()

    def resume_reading(self) -> None:
        """The handler has room."""
        if self._stalled and self._turn is None and self._state is not LOST:
            self._read()

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back once, when little is unsent or the socket is gone."""
        self._drained = callback
        self._call_back_if_drained()

    # ---- what the server calls

    def attach(self, handler: SocketHandler) -> None:
        """From now on the handler gets what comes; until now nothing was read.

        Without an ``await`` between making the connection known and this call, ``handle_lost`` is called in any case.
        """
        if self._end is not None:
            handler.handle_lost(*self._end)
            return
        self._handler = handler
        self._read()

    @property
    def is_attached(self) -> bool:
        """Whether there is a handler."""
        return self._handler is not None

    def close_now(self, close: Close, grace_seconds: float = GRACE_SECONDS) -> None:
        """Close at once: what is queued is dropped, the close frame is written, and TCP is cut after the grace."""
        if self._state is LOST:
            return
        self._close = self._close or close
        self._drop_unsent()
        self._discard_messages()
        self._write_close_frame(self._close.code, self._close.reason)
        self._abort_after(grace_seconds)
        self._read()

    def take_activity(self) -> bool:
        """Whether bytes came since the last call; True while the client is not read and we cannot know."""
        was_active, self._was_active = self._was_active, False
        return was_active or not self._reads_transport

    async def wait_lost(self) -> None:
        """Return when TCP is gone and the handler was called for the last time."""
        if self._end is None:
            if self._lost is None:
                self._lost = asyncio.Event()
            await self._lost.wait()

    # ---- what a stopping Sanic calls for each of its connections

    def close_if_idle(self) -> bool:
        """Tell the client that this server goes down."""
        self.close_now(DRAINING)
        return True

    def abort(self) -> None:
        """Cut TCP. The transport then calls :meth:`connection_lost`."""
        self.transport.abort()

    # ---- what the event loop calls

    def data_received(self, data: bytes) -> None:
        """Bytes of the client's."""
        self._was_active = True
        if self._state is OPEN:
            if self._handler is not None:
                self._handler.handle_sign_of_life()
        elif self._state is FINISHED:
            self._late_bytes += len(data)
            if self._late_bytes > LATE_BYTES:
                self.abort()
            return
        self._frames.feed(data)
        if self._turn is None:
            self._read()

    def eof_received(self) -> bool:
        """The client sends nothing more; the transport closes itself, after what it has to write."""
        self._abort_after(GRACE_SECONDS)
        return False

    def pause_writing(self) -> None:
        """The transport takes no more: the client has WRITE_SECONDS to read."""
        if self._write_timer is None:
            seconds = self._open_connections.settings.write_seconds
            self._write_timer = self._loop.call_later(seconds, self._write_timed_out)

    def resume_writing(self) -> None:
        """The transport takes more again."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
            self._flush()
        self._steer()

    def connection_lost(self, _exc: Exception | None) -> None:
        """TCP is gone."""
        state, self._state = self._state, LOST
        for timer in (self._turn, self._write_timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        self._drop_unsent()
        self._open_connections.remove(self)
        self._sanic_connections.discard(self)
        self._hand_over_rest(state)
        self._frames.clear()
        ours = (self._close.code, self._close.reason) if self._close is not None else (ABNORMAL, "")
        self._end = self._peer_close or ours
        if self._lost is not None:
            self._lost.set()
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.handle_lost(*self._end)

    # ---- reading

    def _read(self) -> None:
        """Hand over what has come, as far as the handler has room; then decide when to read on."""
        if self._is_handling:
            return  # the handler calls from within: the loop that called it sees what has changed
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._is_handling = True
        try:
            self._read_frames()
        except Violation as violation:
            self._fail(violation)
        except Exception:
            logger.exception("the handler of a socket failed")
            self.close_now(INTERNAL)
        finally:
            self._is_handling = False
        self._steer()

    def _read_frames(self) -> None:
        """Take message after message, until there is no more, no room is left, or it is enough for one turn.

        :raises Violation: the client broke the protocol, or sends too many control frames
        """
        now = self._loop.time()
        if self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
        self._unfinished, anything = False, True
        taken, look_at, turn_ends = 0, CLOCK_BYTES, 0.0
        try:
            while size := self._take_one(now):
                taken += size
                if taken >= look_at:
                    look_at = taken + CLOCK_BYTES
                    clock = time.perf_counter()
                    turn_ends = turn_ends or clock + TURN_SECONDS
                    if (taken >= TURN_BYTES or clock >= turn_ends) and self._state < FINISHED:
                        self._unfinished = True
                        break
            anything = taken > 0
        finally:
            if anything and self._handler is not None:
                self._handler.handle_batch_end()

    def _take_one(self, now: float) -> int:
        """Hand over one message, or act on one frame of another kind.

        :returns: its bytes or characters, at least 1; 0 when there is nothing, or nothing may be taken now
        """
        handler, waiting, state = self._handler, self._waiting, self._state
        if waiting.messages and handler is not None and self._paused_until is None and not handler.is_full:
            message = waiting.pop()
        else:
            has_room = handler is not None and self._paused_until is None and not waiting.is_full
            frame = self._frames.next() if state is CLOSING or (state is OPEN and has_room) else None
            if frame is None:
                return 0
            if not isinstance(frame, (str, bytes)):
                self._handle_frame(frame, now)
                return 1
            message = frame
            if handler is None or state is CLOSING or waiting.messages or handler.is_full:
                if state is OPEN:
                    waiting.put(message)  # else it is thrown away
                return len(message) or 1
        if seconds := handler.handle_message(message):
            self._pause(seconds, now)
        return len(message) or 1

    def _handle_frame(self, frame: Fragment | Ping | Pong | CloseFrame, now: float) -> None:
        """Act on what is no whole message.

        :raises Violation: too many control frames
        """
        if self._limiter is None:
            self._limiter = FrameRateLimiter(self._open_connections.settings, now)
        if isinstance(frame, Fragment):
            self._pause(self._limiter.charge_fragment(now), now)
            return
        if not (self._is_expected(frame) or self._limiter.allows_control_frame(now)):
            raise Violation(TOO_MANY_FRAMES.code, TOO_MANY_FRAMES.reason)
        if isinstance(frame, Ping):
            if self._state < FINISHED and not self._close_frame_sent:
                self._queue(writer.pong(frame.payload))
        elif isinstance(frame, Pong):
            self._handle_pong(read_mark(frame.payload))
        else:
            self._peer_close = frame.code, frame.reason
            self._finish(frame.code, "")

    def _is_expected(self, frame: Ping | Pong | CloseFrame) -> bool:
        """Whether we asked for it: a pong for a ping that was written and not answered yet."""
        return isinstance(frame, Pong) and self._answered_ping < read_mark(frame.payload) <= self._sending.written_ping

    def _handle_pong(self, mark: int) -> None:
        if self._handler is not None and self._close is None and 0 < mark <= self._sending.written_ping:
            self._answered_ping = max(self._answered_ping, mark)
            self._handler.handle_pong(mark)

    def _pause(self, seconds: float, now: float) -> None:
        if seconds and self._state is OPEN:
            self._paused_until = now + seconds

    def _steer(self) -> None:
        """Decide whether the transport is read, and when frames that are here already are looked at again."""
        finished, waiting, handler = self._state >= FINISHED, self._waiting, self._handler
        has_room = self._state is not OPEN or (
            handler is not None and self._paused_until is None and not waiting.is_full
        )
        if waiting.messages and handler is not None and self._paused_until is None and not handler.is_full:
            self._unfinished = True  # the end of the batch made room
        if self._turn is None and not finished:
            if self._unfinished:
                self._turn = self._loop.call_soon(self._read)
            elif self._paused_until is not None:
                self._turn = self._loop.call_at(self._paused_until, self._read)
        self._stalled = bool(waiting.messages) or not has_room
        # A client that does not read our answers is not read either.
        reads = finished or (has_room and not self._unfinished and self._write_timer is None)
        if reads != self._reads_transport and not self.transport.is_closing():
            self._reads_transport = reads
            if reads:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def _discard_messages(self) -> None:
        """Messages are thrown away from now on. Control frames still count."""
        self._state = max(self._state, CLOSING)
        self._paused_until = None
        self._waiting.take_all()
        if self._is_handling:
            self._unfinished = True  # the frames that are here, perhaps a close frame, are read in another turn

    def _hand_over_rest(self, state: State) -> None:
        """Give the handler what is here, whether it has room or not: the client sent it before it left.

        :param state: before TCP was gone
        """
        handler = self._handler
        if handler is None:
            return
        try:
            try:
                for message in self._waiting.take_all():
                    handler.handle_message(message)
                while state is OPEN and self._peer_close is None and (frame := self._frames.next()) is not None:
                    if isinstance(frame, (str, bytes)):
                        handler.handle_message(frame)
                    else:
                        self._handle_frame(frame, self._loop.time())
            finally:
                handler.handle_batch_end()
        except Violation as violation:
            logger.debug("the last bytes of a client were no frames", code=violation.code)
        except Exception:
            logger.exception("the handler of a socket failed")

    # ---- writing

    def _queue(self, frame: bytes) -> None:
        """Queue a frame. It leaves at the end of this turn of the loop, or at once when much is queued."""
        sending = self._sending
        sending.put(frame)
        if sending.unsent_bytes >= PIECE_BYTES and self._write_timer is None:
            self._flush()
        elif not self._flush_scheduled:
            self._flush_soon()

    def _flush_soon(self) -> None:
        """What is queued in one turn of the loop leaves in one write."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what is queued, as far as the transport takes it; behind it the close frame, if we close."""
        self._flush_scheduled = False
        if self._state is LOST or self.transport.is_closing():
            self._drop_unsent()
            return
        sending = self._sending
        while sending.unsent_bytes and self._write_timer is None:
            write_now(self.transport, self._fd, sending.take())
        if self._drained is not None:
            self._call_back_if_drained()
        if self._close is not None and not sending.unsent_bytes:
            self._write_close_frame(self._close.code, self._close.reason)

    def _drop_unsent(self) -> None:
        self._sending.clear()
        self._call_back_if_drained()

    def _call_back_if_drained(self) -> None:
        if self._drained is not None and self._sending.unsent_bytes <= LOW_BYTES:
            self._loop.call_soon(self._drained)
            self._drained = None

    def _write_timed_out(self) -> None:
        self._close = self._close or SLOW_CONSUMER
        self.abort()

    # ---- the close handshake

    def _fail(self, violation: Violation) -> None:
        self._close = self._close or Close(violation.code, violation.reason)
        if self._handler is not None:
            self._handler.handle_violation()
        self._finish(self._close.code, self._close.reason)

    def _finish(self, code: int, reason: str) -> None:
        """Read nothing more. Write the answers to what came before, the close frame, and close our half of TCP.

        Closing both halves while bytes still arrive makes the kernel send a reset, which can overtake the close frame.
        """
        if self._state is LOST:
            return
        self._state = FINISHED
        self._frames.clear()  # a flood leaves hundreds of sockets behind that are not gone yet
        self._flush()
        self._drop_unsent()
        self._write_close_frame(code, reason)
        self._abort_after(GRACE_SECONDS)
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            # The client may have cut the connection: then asyncio's own transport raises, and uvloop's does not.
            with suppress(OSError):
                self.transport.write_eof()
        else:
            self.transport.close()

    def _write_close_frame(self, code: int, reason: str) -> None:
        """Write it straight to the transport, once. No frame may follow it."""
        if not self._close_frame_sent and not self.transport.is_closing():
            self._close_frame_sent = True
            self.transport.write(writer.close_frame(code, reason))

    def _abort_after(self, seconds: float) -> None:
        """Cut TCP after so long, or earlier if an earlier call asked for it."""
        when = self._loop.time() + seconds
        if self._close_timer is not None:
            if self._close_timer.when() <= when:
                return
            self._close_timer.cancel()
        self._close_timer = self._loop.call_at(when, self.transport.abort)


_: type[Socket] = AcceptedSocket  # the type checker holds it to the interface
