"""Between a transport and a handler made by hand. (Over TCP: test_accepted_socket_over_tcp.)"""

import asyncio
import errno
import gc
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.errors import SLOW_CONSUMER, TOO_MANY_FRAMES, Close
from protocol.websocket import writer
from server.websocket.accepted_socket import LATE_BYTES, UNSENT_BYTES, AcceptedSocket
from server.websocket.heartbeat import Heartbeat
from server.websocket.open_connections import OpenConnections
from server.websocket.receive_buffer import WAITING_MESSAGES
from server.websocket.send_buffer import PIECE_BYTES
from tests.server.support import BINARY, CLOSE, CLOSED, PING, PONG, TEXT, frame, make_settings, until

BROKEN = frame(3, b"no such opcode")
CLOSE_1000 = (1000).to_bytes(2, "big")


class Transport:
    """Notes what is done to it."""

    def __init__(self, *, half: bool = True) -> None:
        self.half = half
        self.done: list[Any] = []
        self.is_read = True
        self.is_gone = False
        self.blocks: AcceptedSocket | None = None

    def is_closing(self) -> bool:
        return self.is_gone

    def get_extra_info(self, _name: str) -> None:
        """There is no socket behind it."""

    def can_write_eof(self) -> bool:
        return self.half

    def write(self, data: bytes) -> None:
        self.done.append(data)
        if self.blocks is not None:
            self.blocks.pause_writing()

    def write_eof(self) -> None:
        self.done.append("eof")

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Handler:
    """Takes ``room`` messages, then is full; notes what it hears."""

    def __init__(self, room: int = 10**9) -> None:
        self.room = room
        self.heard: list[Any] = []
        self.pause = 0.0
        self.on_message: Callable[[], None] = lambda: None
        self.on_batch_end: Callable[[], None] = lambda: None

    @property
    def is_full(self) -> bool:
        return self.room <= 0

    def handle_message(self, data: str | bytes) -> float:
        self.room -= 1
        self.heard.append(data)
        self.on_message()
        return self.pause

    def handle_batch_end(self) -> None:
        self.heard.append("|")
        self.on_batch_end()

    def handle_sign_of_life(self) -> None:
        return

    def handle_pong(self, mark: int) -> None:
        self.heard.append(("pong", mark))

    def handle_violation(self) -> None:
        self.heard.append("violation")

    def handle_lost(self, code: int, reason: str) -> None:
        self.heard.append((code, reason))

    @property
    def messages(self) -> list[Any]:
        return [each for each in self.heard if isinstance(each, (str, bytes)) and each not in ("|", "violation")]


def make(handler: Handler | None, *, half: bool = True, **knobs: Any) -> tuple[AcceptedSocket, Transport]:
    transport = Transport(half=half)
    connections = OpenConnections(make_settings(**knobs), Heartbeat(20))
    socket = AcceptedSocket(transport, connections, set(), "10.0.0.1")  # type: ignore[arg-type]
    connections.add(socket)
    if handler is not None:
        socket.attach(handler)
    return socket, transport


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_the_values_that_a_socket_owns_know_nobody() -> None:
    socket, transport = make(handler := Handler())
    transport.blocks = socket
    for _ in range(2):  # each value holds something
        socket.send(b"x" * PIECE_BYTES)
    handler.room = 0
    socket.data_received(frame(TEXT, b"waits") + frame(PING, b"") + frame(TEXT, b"part", fin=False) + b"\x81")
    owned = [getattr(socket, name) for name in AcceptedSocket.__slots__]
    values = [each for each in owned if type(each).__module__.startswith(("protocol.", "server.websocket."))]
    names = {type(each).__name__ for each in values}
    assert names == {"FrameReader", "ReceiveBuffer", "SendBuffer", "FrameRateLimiter", "OpenConnections", "State"}
    for value in values:
        assert not [each for each in gc.get_referents(value) if each is socket or each is handler or each is transport]


# ---- reading


async def test_nothing_is_read_before_there_is_a_handler_and_nothing_is_lost() -> None:
    socket, transport = make(None)
    socket.data_received(frame(TEXT, b"early") + frame(PING, b"?"))
    assert not transport.is_read
    assert not socket.is_attached
    handler = Handler()
    socket.attach(handler)
    await turns()
    assert (handler.heard, transport.done, transport.is_read) == (["early", "|"], [writer.pong(b"?")], True)


async def test_a_batch_ends_once_and_not_where_nothing_came() -> None:
    socket, _ = make(handler := Handler())
    socket.data_received(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(BINARY, b"3")[:4])
    socket.data_received(frame(BINARY, b"3")[4:5])
    socket.data_received(frame(BINARY, b"3")[5:])
    assert handler.heard == ["1", "2", "|", b"3", "|"]
    socket.data_received(frame(TEXT, b"4") + BROKEN)
    assert handler.heard[5:] == ["4", "|", "violation"]


async def test_control_frames_do_not_queue_behind_messages_that_wait() -> None:
    socket, transport = make(handler := Handler(room=1))
    socket.data_received(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(PING, b"x") + frame(TEXT, b"3"))
    await turns()
    assert (handler.messages, transport.done) == (["1"], [writer.pong(b"x")])
    assert socket.has_unread_messages
    handler.room = 2
    socket.data_received(frame(BINARY, b"4"))
    assert handler.messages == ["1", "2", "3"]
    socket.data_received(frame(CLOSE, CLOSE_1000))
    assert not socket.has_unread_messages, "a client that closed does not wait for an answer"
    handler.room = 1
    socket.resume_reading()
    assert handler.messages == ["1", "2", "3", b"4"]


async def test_few_messages_are_kept_for_a_full_handler_and_then_it_is_not_read() -> None:
    socket, transport = make(handler := Handler(room=0))
    socket.data_received(frame(TEXT, b"x") * 100)
    assert (transport.is_read, socket.waits_for_handler) == (False, True)
    assert len(socket._waiting.messages) == WAITING_MESSAGES
    handler.room = 10**6
    socket.resume_reading()
    assert (len(handler.messages), transport.is_read, socket.waits_for_handler) == (100, True, False)


async def test_a_handler_that_fills_up_in_the_middle_keeps_the_order() -> None:
    socket, _ = make(handler := Handler(room=3))
    socket.data_received(b"".join(frame(TEXT, b"%d" % number) for number in range(200)))
    while len(handler.messages) < 200:
        handler.room = 7
        socket.resume_reading()
    assert handler.messages == [str(number) for number in range(200)]


async def test_a_handler_that_calls_back_from_within_gets_no_message_inside_another() -> None:
    socket, _ = make(handler := Handler(room=1))
    depth, deepest = 0, 0

    def call_back() -> None:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        socket.resume_reading()
        depth -= 1

    handler.on_message = call_back
    socket.data_received(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))
    handler.room = 9
    socket.resume_reading()
    assert (handler.messages, deepest) == (["1", "2", "3"], 1)


async def test_room_that_the_end_of_a_batch_makes_is_not_overlooked() -> None:
    socket, _ = make(handler := Handler(room=1))

    def make_room() -> None:
        handler.room = 1
        socket.resume_reading()

    handler.on_batch_end = make_room
    socket.data_received(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))
    await turns(5)
    assert handler.messages == ["1", "2", "3"]


async def test_after_a_message_that_costs_too_much_nothing_is_read_for_a_moment() -> None:
    socket, transport = make(handler := Handler())
    handler.pause = 0.05
    socket.data_received(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(PING, b""))
    socket.data_received(frame(TEXT, b"3"))
    socket.resume_reading()
    await turns()
    assert (handler.messages, transport.done, transport.is_read) == (["1"], [], False)
    assert not socket.waits_for_handler, "it waits for the clock"
    handler.pause = 0.0
    await asyncio.sleep(0.08)
    assert handler.messages == ["1", "2", "3"]
    assert transport.is_read


@pytest.mark.parametrize(("size", "at_once"), [(10, 4), (60_000, 2)])
async def test_one_turn_takes_only_so_many_bytes(size: int, at_once: int) -> None:
    socket, transport = make(handler := Handler())
    socket.data_received(frame(TEXT, b"x" * size) * 4)
    assert len(handler.messages) == at_once
    assert transport.is_read == (at_once == 4)
    await turns(4)
    assert (len(handler.messages), transport.is_read) == (4, True)


async def test_only_pongs_that_were_asked_for_are_free() -> None:
    socket, transport = make(handler := Handler(), control_frames_per_second=1, control_frames_burst=8)
    for mark in range(1, 50):
        assert socket.ping() == mark
        await turns()
        socket.data_received(frame(PONG, mark.to_bytes(8, "big")))
    assert [each for each in handler.heard if each != "|"] == [("pong", mark) for mark in range(1, 50)]
    for payload in (b"", b"whatever", (99).to_bytes(8, "big")) * 3:
        assert handler.heard[-1] != "violation"
        socket.data_received(frame(PONG, payload))
    assert handler.heard[-1] == "violation"
    assert transport.done[-2:] == [writer.close_frame(TOO_MANY_FRAMES.code, TOO_MANY_FRAMES.reason), "eof"]


async def test_a_handler_that_comes_when_tcp_is_gone_hears_of_it() -> None:
    socket, _ = make(None)
    socket.data_received(frame(TEXT, b"unread"))
    socket.connection_lost(None)
    await asyncio.wait_for(socket.wait_lost(), 1)
    socket.attach(handler := Handler())
    assert handler.heard == [(1006, "")]


# ---- writing


async def test_what_one_turn_queues_is_one_write_and_much_leaves_at_once() -> None:
    socket, transport = make(Handler())
    for text in (b"one", b"two"):
        socket.send(text)
    assert (transport.done, socket.unsent_bytes) == ([], 10)
    await turns()
    assert transport.done == [writer.text(b"one") + writer.text(b"two")]
    for _ in range(40):
        socket.send(b"x" * (PIECE_BYTES // 2))
        assert socket.unsent_bytes < PIECE_BYTES
    assert len(transport.done) > 19


async def test_a_client_that_does_not_read_is_not_read_and_gets_the_rest_in_order() -> None:
    socket, transport = make(Handler())
    transport.blocks = socket
    socket.send(b"x" * PIECE_BYTES)
    socket.send(b"y")
    socket.data_received(frame(PING, b""))
    await turns()
    assert (len(transport.done), transport.is_read, socket.waits_for_handler) == (1, False, False)
    transport.blocks = None
    socket.resume_writing()
    assert transport.done[1:] == [writer.text(b"y") + writer.pong(b"")]
    assert transport.is_read


@pytest.mark.parametrize("how", ["drained", "dropped", "lost"])
async def test_who_waits_for_little_to_be_unsent_is_called_once(how: str) -> None:
    socket, transport = make(Handler())
    called: list[str] = []
    socket.when_drained(lambda: called.append("at once"))
    assert not called, "never before the call returns"
    await turns()
    transport.blocks = socket
    for _ in range(3):
        socket.send(b"x" * PIECE_BYTES)
    socket.when_drained(lambda: called.append("replaced"))
    socket.when_drained(lambda: called.append("later"))
    await turns()
    assert called == ["at once"]
    transport.blocks = None
    if how == "drained":
        socket.resume_writing()
    elif how == "dropped":
        socket.close_now(CLOSED)
    else:
        socket.connection_lost(None)
    await turns()
    assert called == ["at once", "later"]


async def test_above_a_mebibyte_or_after_a_blocked_write_a_client_is_too_slow() -> None:
    socket, transport = make(Handler())
    socket.pause_writing()
    socket.send(b"x" * (UNSENT_BYTES - 10))
    assert not socket.is_closing
    socket.send(b"x")
    assert (socket.is_closing, socket.unsent_bytes) == (True, 0)
    assert transport.done == [writer.close_frame(SLOW_CONSUMER.code, SLOW_CONSUMER.reason)]
    other, blocked = make(handler := Handler(), write_seconds=0.4)
    for _ in range(5):  # each block has the time anew
        other.pause_writing()
        await asyncio.sleep(0.1)
        other.resume_writing()
    assert blocked.done == []
    other.pause_writing()
    other.pause_writing()
    await until(lambda: bool(blocked.done))
    assert blocked.done == ["abort"]
    other.connection_lost(None)
    assert handler.heard[-1:] == [(SLOW_CONSUMER.code, SLOW_CONSUMER.reason)]


# ---- ending


async def test_after_our_close_messages_are_thrown_away_and_the_clients_close_frame_ends_it() -> None:
    socket, transport = make(handler := Handler(room=0))
    socket.data_received(frame(TEXT, b"waits"))
    socket.send(b"last")
    socket.close(CLOSED)
    socket.close(Close(4999, "the first counts"))
    socket.send(b"too late")
    handler.room = 9
    socket.data_received(frame(TEXT, b"late") + frame(PING, b"?"))
    await turns()
    assert transport.done == [writer.text(b"last") + writer.pong(b"?"), writer.close_frame(CLOSED.code, CLOSED.reason)]
    socket.data_received(frame(PING, b"?") + frame(CLOSE, CLOSE_1000) + frame(TEXT, b"later"))
    assert transport.done[2:] == ["eof"], "no frame may follow a close frame"
    socket.connection_lost(None)
    assert handler.heard[-1] == (1000, "")
    assert handler.messages == []


async def test_a_close_from_within_does_not_overlook_the_frames_that_are_here() -> None:
    socket, transport = make(handler := Handler(room=0))
    handler.on_batch_end = lambda: socket.close(CLOSED)
    socket.data_received(frame(TEXT, b"x") * 2 * WAITING_MESSAGES + frame(CLOSE, CLOSE_1000))
    await turns()
    assert transport.done == [writer.close_frame(CLOSED.code, CLOSED.reason), "eof"]


@pytest.mark.parametrize(("half", "how"), [(True, "eof"), (False, "close")])
@pytest.mark.parametrize(("last", "code"), [(frame(CLOSE, CLOSE_1000), 1000), (BROKEN, 1002)], ids=["close", "broken"])
async def test_answers_leave_before_the_close_frame_and_then_our_half_is_closed(
    half: bool, how: str, last: bytes, code: int
) -> None:
    socket, transport = make(handler := Handler(), half=half)
    handler.on_message = lambda: socket.send(b"answer")
    socket.data_received(frame(TEXT, b"asked") + last + frame(TEXT, b"not read"))
    assert transport.done[0] == writer.text(b"answer")
    assert transport.done[1][:4] == writer.close_frame(code)[:1] + transport.done[1][1:2] + code.to_bytes(2, "big")
    assert transport.done[2:] == [how]
    socket.data_received(b"x" * LATE_BYTES)
    assert transport.done[3:] == []
    socket.data_received(b"x")
    assert transport.done[3:] == ["abort"]
    assert (handler.messages, transport.is_read) == (["asked"], True)


async def test_once_it_is_finished_nothing_of_what_arrived_is_kept() -> None:
    socket, _ = make(Handler())
    socket.data_received(frame(TEXT, b"x" * 30_000, fin=False) + BROKEN + frame(0, b"y" * 30_000)[:20_000])
    assert (socket._frames._data, socket._frames._parts) == (b"", None)
    socket.data_received(frame(TEXT, b"late"))
    assert socket._frames._data == b""


async def test_the_rest_is_handed_over_at_the_end_whether_there_is_room_or_not() -> None:
    socket, _ = make(handler := Handler(room=0))
    socket.data_received(frame(TEXT, b"x") * 100 + frame(CLOSE, CLOSE_1000) + frame(TEXT, b"behind"))
    handler.on_message = lambda: socket.close(CLOSED)  # the handler may do anything: it is too late
    socket.connection_lost(None)
    assert handler.messages == ["x"] * 100
    assert handler.heard[-2:] == ["|", (1000, "")]


async def test_a_handler_that_fails_ends_its_own_socket_alone_and_hears_of_the_end() -> None:
    socket, transport = make(handler := Handler())

    def fail() -> None:
        raise RuntimeError("a bug")

    handler.on_message = fail
    socket.data_received(frame(TEXT, b"1") + frame(PING, b"") + frame(CLOSE, CLOSE_1000))
    assert transport.done == [writer.close_frame(1011, "internal error")]
    await turns()
    assert transport.done[1:] == ["eof"], "the frames behind it are still read"
    socket.connection_lost(None)
    assert (handler.messages, handler.heard[-1]) == (["1"], (1000, ""))


async def test_the_earliest_cut_counts_and_none_comes_when_tcp_is_gone() -> None:
    for seconds in ((0.05, 10), (10, 0.05)):
        socket, transport = make(Handler())
        for each in seconds:
            socket.close_now(CLOSED, each)
        await asyncio.sleep(0.1)
        assert transport.done == [writer.close_frame(CLOSED.code, CLOSED.reason), "abort"]
    socket, transport = make(Handler())
    socket.close_now(CLOSED, 0.02)
    socket.connection_lost(None)
    await asyncio.sleep(0.05)
    assert transport.done[1:] == []


def test_its_time_runs_out_also_when_the_end_came_while_the_loop_stood_still() -> None:
    """Sanic ends what a drain has left behind with its loop stopped, and runs it again until they are gone."""
    with asyncio.Runner() as runner:

        async def begin() -> tuple[AcceptedSocket, Transport]:
            return make(Handler())

        socket, transport = runner.run(begin())
        socket.close_now(CLOSED, 0.01)
        runner.run(asyncio.sleep(0.05))
    assert transport.done[1:] == ["abort"]


async def test_a_client_that_cut_the_connection_is_no_failure_of_ours() -> None:
    socket, transport = make(handler := Handler())

    def write_eof() -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    transport.write_eof = write_eof  # type: ignore[method-assign]
    with capture_logs() as logs:
        socket.data_received(frame(CLOSE, CLOSE_1000))
    socket.connection_lost(None)
    assert (logs, handler.heard[-1]) == ([], (1000, ""))


async def test_to_a_transport_that_closes_nothing_is_written() -> None:
    socket, transport = make(Handler())
    transport.is_gone = True
    socket.send(b"x")
    socket.data_received(frame(CLOSE, CLOSE_1000))
    await turns()
    assert (transport.done, socket.unsent_bytes) == ([], 0)
