"""How fast one client may be: it is not read for a moment, and it leaves the loop to others."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.server.support import PING, PONG, TEXT, LocalServer, RawClient, frame, serving, until


@pytest.fixture
async def local() -> AsyncIterator[LocalServer]:
    async with serving() as opened:
        yield opened


async def test_pongs_that_the_server_asked_for_are_not_counted() -> None:
    async with serving(control_frames_burst=8, control_frames_per_second=1) as local:
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        for _ in range(100):
            mark = echo.socket.ping()
            assert await client.receive() == (PING, mark.to_bytes(8, "big"))
            client.send(PONG, mark.to_bytes(8, "big"))
        await until(lambda: len(echo.marks) == 100)
        client.writer.write(frame(PONG, echo.marks[-1].to_bytes(8, "big")) * 30)
        assert await client.close_code() == 1008, "answered once, it is no answer any more"
        client.vanish()


@pytest.mark.parametrize("size", [1, 60_000])
async def test_a_client_that_sends_too_much_is_not_read_for_a_moment_and_nothing_is_lost(size: int) -> None:
    async with serving(ping_seconds=1000, lease_seconds=2000) as local:
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        echo.pause = 0.1
        client.writer.write(frame(TEXT, b"quiet") + frame(TEXT, b"x" * size) * 5 + frame(TEXT, b"quiet"))
        for count in range(1, 4):
            await until(lambda so_far=count: len(echo.messages) == so_far)  # type: ignore[misc]
            await asyncio.sleep(0.02)
            assert len(echo.messages) == count, "the pause is not over"
        echo.pause = 0.0
        await until(lambda: len(echo.messages) == 7)
        assert echo.messages[0] == echo.messages[-1] == "quiet"
        client.vanish()


async def test_fragments_without_end_are_slowed_down() -> None:
    async with serving(data_frames_burst=50, data_frames_per_second=100) as local:
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        client.writer.write(frame(TEXT, b"x", fin=False) + frame(0, b"x", fin=False) * 80 + frame(0, b"", fin=True))
        await asyncio.sleep(0.1)
        assert echo.messages == []
        await until(lambda: echo.messages == ["x" * 81])
        client.vanish()


async def test_a_client_in_full_flow_leaves_the_loop_to_others_between_its_messages(local: LocalServer) -> None:
    client = await RawClient.connect(local.port)
    echo = await local.echo()
    echo.work_seconds = 0.003
    client.writer.write(frame(TEXT, b"x" * 1100) * 50)
    turns = 0
    while len(echo.messages) < 50:
        before = len(echo.messages)
        await asyncio.sleep(0)
        turns += 1
        assert len(echo.messages) - before <= 2
    assert turns >= 25
    client.vanish()
