import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

import pytest

from protocol.errors import SLOW_CONSUMER
from server.websocket import accepted_socket
from server.websocket.accepted_socket import LATE_BYTES
from tests.server.support import (
    BINARY,
    CLOSE,
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


async def test_a_client_in_full_flow_still_hears_why_it_is_closed(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    client.writer.write(frame(TEXT, b"x" * 2**22))
    await client.writer.drain()
    assert await client.close_code() == 1009
    client.vanish()


async def test_a_client_that_sends_on_and_on_after_our_close_frame_is_cut(
    local: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepted_socket, "GRACE_SECONDS", 60.0)
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    client.send(3, b"no such opcode")
    await until(lambda: echo.socket.is_closing)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while not echo.ends:
            client.writer.write(b"x" * 2**16)
            sent += 2**16
            await client.writer.drain()
    assert sent >= LATE_BYTES
    assert [code for code, _ in echo.ends] == [1002]
    client.vanish()


async def test_a_client_that_never_reads_costs_little_and_is_closed_as_slow() -> None:
    async with serving(write_seconds=0.3) as local:
        client = await RawClient.connect(local.port, receive_buffer=4096)
        echo = await local.echo()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        most = 0
        while not echo.ends:
            echo.socket.send(b"x" * 16_384)
            most = max(most, echo.socket.unsent_bytes)
            await asyncio.sleep(0.001)
        assert most <= 2**20 + 16_384
        assert echo.ends == [(SLOW_CONSUMER.code, SLOW_CONSUMER.reason)]
        client.vanish()


async def test_a_write_blocked_too_long_closes_as_slow_even_when_little_is_queued() -> None:
    async with serving(write_seconds=0.3) as local:
        client = await RawClient.connect(local.port, receive_buffer=4096)
        echo = await local.echo()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        started = asyncio.get_running_loop().time()
        while echo.socket.unsent_bytes < 2**18:
            echo.socket.send(b"x" * 2**16)
            await asyncio.sleep(0)
        await until(lambda: bool(echo.ends))
        assert asyncio.get_running_loop().time() - started < patient(2)
        assert echo.ends == [(SLOW_CONSUMER.code, SLOW_CONSUMER.reason)]
        client.vanish()


async def test_a_slow_client_that_reads_gets_everything() -> None:
    async with serving(write_seconds=5) as local:
        client = await RawClient.connect(local.port, receive_buffer=4096)
        echo = await local.echo()
        texts = [b"%07d" % number * 1000 for number in range(100)]
        for text in texts:
            echo.socket.send(text)
        assert echo.socket.unsent_bytes > 2**16
        drained = asyncio.Event()
        echo.socket.when_drained(drained.set)
        await asyncio.sleep(0.05)
        assert not drained.is_set()
        assert [(await client.receive())[1] for _ in texts] == texts
        await asyncio.wait_for(drained.wait(), 1)
        assert echo.socket.unsent_bytes == 0
        client.vanish()


async def test_a_socket_that_is_gone_calls_back_who_waits_for_it_to_drain(local: LocalServer) -> None:
    client = await RawClient.connect(local.port, receive_buffer=4096)
    echo = await local.echo()
    for _ in range(30):
        echo.socket.send(b"x" * 2**15)
    drained = asyncio.Event()
    echo.socket.when_drained(drained.set)
    client.vanish()
    await asyncio.wait_for(drained.wait(), 2)


async def test_a_flood_of_pings_from_a_client_that_does_not_read_is_not_read() -> None:
    async with serving(write_seconds=0.5, control_frames_per_second=10**6, control_frames_burst=10**6) as local:
        client = await RawClient.connect(local.port, receive_buffer=4096)
        echo = await local.echo()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        burst = frame(PING, b"p" * 125) * 500
        transport = next(iter(local.protocols)).transport
        most = 0
        while not echo.ends:
            if client.writer.transport.get_write_buffer_size() < 2**18:
                client.writer.write(burst)
            most = max(most, transport.get_write_buffer_size())
            await asyncio.sleep(0.001)
        assert most < 2**19
        assert echo.ends == [(SLOW_CONSUMER.code, SLOW_CONSUMER.reason)]
        client.vanish()


async def test_without_room_the_client_is_not_read_but_its_pongs_are() -> None:
    async with serving(data_frames_burst=30_000) as local:
        await _fill_up(local)


async def _fill_up(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    echo.has_room = False
    client.send(TEXT, b"waits")
    mark = echo.socket.ping()
    assert await client.receive() == (PING, mark.to_bytes(8, "big"))
    client.send(PONG, mark.to_bytes(8, "big"))
    await until(lambda: echo.marks == [mark])
    assert echo.messages == []

    def flood() -> None:
        client.writer.write(frame(TEXT, b"x" * 1000) * 100)

    for _ in range(200):
        flood()
        await asyncio.sleep(0.001)
    assert client.writer.transport.get_write_buffer_size() > 2**20  # it got stuck on the client's side
    assert len(echo.socket._waiting.messages) <= 32
    echo.make_room()
    reading = asyncio.ensure_future(_read_all(client))
    await until(lambda: len(echo.messages) == 1 + 200 * 100, 20)
    reading.cancel()
    client.vanish()


async def test_reading_goes_on_when_there_is_room_again_though_nothing_is_sent() -> None:
    async with serving(ping_seconds=1000, lease_seconds=2000) as local:  # a ping would be something sent
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        for round_ in (1, 2):
            echo.has_room = False
            for _ in range(100):
                client.send(TEXT, b"quiet")
            await asyncio.sleep(0.1)
            echo.make_room()
            await until(lambda so_far=round_ * 100: len(echo.messages) == so_far)  # type: ignore[misc]
        client.vanish()


async def _read_all(client: RawClient) -> None:
    while await client.reader.read(2**16):
        pass


async def test_no_task_and_no_socket_outlives_its_client(local: LocalServer) -> None:
    await asyncio.sleep(0.05)
    before = len(asyncio.all_tasks())
    for round_ in range(30):
        client = await RawClient.connect(local.port)
        client.send(TEXT, b"unread")
        client.send(BINARY, b"unread")
        if round_ % 2:
            client.send(CLOSE, (1000).to_bytes(2, "big"))
            await client.close_code()
        client.vanish()
    await until(lambda: all(echo.ends for echo in local.echoes) and len(local.echoes) == 30)
    await until(lambda: len(asyncio.all_tasks()) <= before)
    assert local.app.ctx.heartbeat.sockets() == []
    assert local.protocols == set()
    local.echoes.clear()
    gc.collect()
