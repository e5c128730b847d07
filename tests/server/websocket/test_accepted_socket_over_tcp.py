import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import server.application
from protocol.errors import Close
from protocol.websocket.reader import FrameReader
from server.websocket.accepted_socket import AcceptedSocket
from server.websocket.receive_buffer import ReceiveBuffer
from server.websocket.send_buffer import SendBuffer
from tests.server.support import (
    CLOSE,
    CLOSED,
    PING,
    PONG,
    TEXT,
    LocalServer,
    RawClient,
    frame,
    serving,
    until,
)
from tests.support.processes import patient


@pytest.fixture
async def local() -> AsyncIterator[LocalServer]:
    async with serving() as opened:
        yield opened


async def test_messages_arrive_whole_and_in_order_and_leave_as_text(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        for number in range(500):
            await client.send(f"message {number} — ü")
        answers = [await client.recv() for _ in range(500)]
    assert answers == [f"message {number} — ü" for number in range(500)]


async def test_a_message_in_fragments_with_a_ping_between_is_one_message(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    client.send(TEXT, "ü".encode()[:1], fin=False)
    client.send(PING, b"?")
    client.send(0, "ü".encode()[1:])
    assert await client.receive() == (PONG, b"?")
    assert await client.receive() == (TEXT, "ü".encode())
    client.vanish()


@pytest.mark.parametrize("last", [b"", frame(CLOSE, (1000).to_bytes(2, "big"))], ids=["vanished", "closed"])
async def test_once_gone_it_is_freed_without_the_collector(last: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.application, "SETTLE_SECONDS", 60)  # which calls the collector

    def there() -> int:
        return sum(
            isinstance(each, (AcceptedSocket, FrameReader, SendBuffer, ReceiveBuffer)) for each in gc.get_objects()
        )

    async with serving() as local:
        gc.collect()
        gc.disable()
        before = there()  # some of other tests
        try:
            client = await RawClient.connect(local.port)
            client.send(TEXT, b"hello")
            await client.receive()
            assert there() == before + 4
            client.writer.write(last)
            await asyncio.sleep(0.01)
            client.vanish()
            await until(lambda: bool(local.echoes[0].ends))
            local.echoes.clear()
            await until(lambda: there() == before)
        finally:
            gc.enable()


@pytest.mark.parametrize("rest", [b"", frame(3, b"")], ids=["", "with a broken frame behind"])
async def test_the_listener_is_told_when_all_that_came_was_handed_over(local: LocalServer, rest: bytes) -> None:
    client = await RawClient.connect(local.port)
    client.writer.write(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(TEXT, b"c") + rest)
    echo = await local.echo()
    await until(lambda: len(echo.messages) == 3)
    assert echo.catches[:1] == [3]
    client.vanish()


async def test_a_binary_message_is_told_apart(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        await client.send(b"\xff")
        assert await client.recv() == "(binary)"
    assert (await local.echo()).messages == [b"\xff"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"x" * (256 * 1024 + 1)), 1009),
        (frame(TEXT, b"x" * 140_000, fin=False) + frame(0, b"x" * 140_000), 1009),
        (frame(3, b""), 1002),
        (bytes([0x81, 1]) + b"x", 1002),
    ],
    ids=["bad UTF-8", "too large", "too large in fragments", "unknown opcode", "unmasked"],
)
async def test_a_broken_frame_closes_as_the_standard_says(local: LocalServer, data: bytes, code: int) -> None:
    client = await RawClient.connect(local.port)
    client.writer.write(data)
    assert await client.close_code() == code
    client.writer.close()
    echo = await local.echo()
    await until(lambda: bool(echo.ends))
    assert [end[0] for end in echo.ends] == [code]
    assert echo.messages == []


async def test_256_kib_are_taken(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        await client.send("x" * 256 * 1024)
        assert len(await client.recv()) == 256 * 1024


async def test_a_polite_end_is_told_once_with_the_clients_code(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        await client.close(4000, "enough")
    echo = await local.echo()
    await until(lambda: bool(echo.ends))
    await asyncio.sleep(0.05)
    assert echo.ends == [(4000, "enough")]


@pytest.mark.parametrize(
    ("last", "code"),
    [(frame(CLOSE, (4000).to_bytes(2, "big")), 4000), (frame(3, b""), 1002)],
    ids=["close frame", "broken"],
)
async def test_what_was_said_before_the_last_frame_is_still_answered(
    local: LocalServer, last: bytes, code: int
) -> None:
    client = await RawClient.connect(local.port)
    client.writer.write(frame(TEXT, b"one") + frame(PING, b"two") + last + frame(TEXT, b"not heard"))
    assert [await client.receive(), await client.receive()] == [(TEXT, b"one"), (PONG, b"two")]
    assert await client.close_code() == code
    assert await client.reader.read() == b""
    client.vanish()
    echo = await local.echo()
    await until(lambda: bool(echo.ends))
    assert (echo.messages, [end[0] for end in echo.ends]) == (["one"], [code])


async def test_a_client_that_closes_without_reading_gets_nothing_after_the_close_frame() -> None:
    async with serving(write_seconds=5) as local:
        client = await RawClient.connect(local.port, receive_buffer=4096)
        echo = await local.echo()
        for _ in range(10):
            echo.socket.send(b"x" * 2**16)
        client.send(CLOSE, (4000).to_bytes(2, "big"))
        await until(lambda: echo.socket.is_closing)
        assert echo.socket.unsent_bytes == 0
        texts = 0
        while (received := await client.receive())[0] == TEXT:
            texts += 1
        assert received == (CLOSE, (4000).to_bytes(2, "big"))
        assert 0 < texts < 10
        assert await client.reader.read() == b""
        client.vanish()


@pytest.mark.parametrize("politely", [True, False])
async def test_what_waits_for_a_busy_connection_is_handed_over_at_the_end(local: LocalServer, politely: bool) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    echo.has_room = False
    for number in range(10):
        client.send(TEXT, b"%d" % number)
    if politely:
        client.send(CLOSE, (4000).to_bytes(2, "big"))
        assert await client.close_code() == 4000
    client.writer.close()
    await until(lambda: bool(echo.ends))
    assert echo.messages == [str(number) for number in range(10)]
    assert [end[0] for end in echo.ends] == [4000 if politely else 1006]


async def test_a_client_that_closes_its_half_and_does_not_read_is_cut() -> None:
    async with serving(write_seconds=60) as local:
        client = await RawClient.connect(local.port, receive_buffer=4096)
        echo = await local.echo()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(30):  # until something stays in the transport, below the size at which it asks for a pause
            echo.socket.send(b"x" * 4096)
            await asyncio.sleep(0)
        await until(lambda: echo.socket.transport.get_write_buffer_size() > 0)
        client.writer.write_eof()
        await until(lambda: bool(echo.ends), 4)
        client.vanish()


async def test_a_server_that_stops_without_a_drain_says_4012_too(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        await local.echo()
        for connection in list(local.protocols):  # as Sanic does after its stop listeners
            connection.close_if_idle()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 4012


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_too_many_control_frames_close_with_1008(opcode: int) -> None:
    async with serving(control_frames_burst=20) as local:
        client = await RawClient.connect(local.port)
        client.writer.write(frame(opcode, b"") * 30)
        echo = await local.echo()
        assert await client.close_code() == 1008
        assert echo.offences == 1
        client.vanish()


async def test_a_vanished_client_is_told_once_as_1006(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    client.vanish()
    await until(lambda: bool(echo.ends))
    await asyncio.sleep(0.05)
    assert echo.ends == [(1006, "")]


async def test_our_close_code_arrives_after_what_was_queued(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        echo = await local.echo()
        for number in range(100):
            echo.socket.send(b"%d" % number)
        echo.socket.close(CLOSED)
        echo.socket.send(b"too late")
        echo.socket.close(Close(4999, "the first decides"))
        received = [message async for message in _until_closed(client)]
    assert received == [str(number) for number in range(100)]
    assert (client.close_code, client.close_reason) == (4508, "replaced")
    await until(lambda: bool(echo.ends))
    assert echo.ends == [(4508, "replaced")]


async def _until_closed(client: object) -> AsyncIterator[str]:
    while True:
        try:
            yield await client.recv()  # type: ignore[attr-defined]
        except ConnectionClosed:
            return


async def test_nothing_is_received_after_our_close(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    echo.socket.close(CLOSED)
    client.send(TEXT, b"late")
    assert await client.close_code() == 4508
    client.send(CLOSE, (4508).to_bytes(2, "big"))
    client.writer.close()
    await until(lambda: bool(echo.ends))
    assert echo.messages == []


async def test_a_client_that_never_answers_our_close_is_cut_in_time() -> None:
    async with serving(write_seconds=0.3) as local:
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        started = asyncio.get_running_loop().time()
        echo.socket.close(CLOSED)
        await until(lambda: bool(echo.ends))
        assert 0.25 < asyncio.get_running_loop().time() - started < patient(2)
        assert echo.ends == [(4508, "replaced")]
        client.vanish()


async def test_an_exception_closes_with_1011(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        await client.send("raise")
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert client.close_code == 1011
    echo = await local.echo()
    await until(lambda: bool(echo.ends))
    assert [end[0] for end in echo.ends] == [1011]


async def test_pongs_answer_the_marks_they_carry_and_no_others(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    first, second = echo.socket.ping(), echo.socket.ping()
    assert second > first
    await client.receive()
    for payload in (b"", b"whatever", (second + 1).to_bytes(8, "big"), second.to_bytes(8, "big")):
        client.send(PONG, payload)
    await until(lambda: echo.marks == [second])
    assert echo.signs >= 1
    client.vanish()


async def test_a_ping_leaves_after_what_was_queued_before_it(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    echo.socket.send(b"first")
    echo.socket.ping()
    echo.socket.send(b"last")
    assert [(await client.receive())[0] for _ in range(3)] == [TEXT, PING, TEXT]
    client.vanish()


async def test_everything_after_the_end_is_a_no_op(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    client.vanish()
    await until(lambda: bool(echo.ends))
    echo.socket.send(b"x")
    echo.socket.ping()
    echo.socket.close(CLOSED)
    echo.socket.close_now(CLOSED)
    drained = asyncio.Event()
    echo.socket.when_drained(drained.set)
    await asyncio.wait_for(drained.wait(), 1)
    await asyncio.sleep(0.05)
    assert echo.socket.unsent_bytes == 0
    assert len(echo.ends) == 1
