"""How long an HTTP connection may wait for a request, and how many may."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sanic import Request
from sanic.response import HTTPResponse, text

from server import idle
from server.idle import FEWEST, SHARE, IdleConnections
from tests.server.support import House, RawClient, serving, until
from tests.server.test_http_protocol import read_to_the_end

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def keeping(**knobs: Any) -> AsyncIterator[House]:
    """Requests may take half a second, and connections wait for three."""

    def prepare(house: House) -> None:
        house.app.config.REQUEST_TIMEOUT = 0.5
        house.app.config.KEEP_ALIVE_TIMEOUT = 3

    async with serving(prepare=prepare, **knobs) as house:
        yield house


async def connected(house: House, said: bytes = b"") -> Ends:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(said)
    return reader, writer


async def answered(reader: asyncio.StreamReader) -> None:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b" 200 " in head
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))


async def seconds_open(reader: asyncio.StreamReader) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.wait_for(read_to_the_end(reader), 10)
    return loop.time() - started


async def test_a_connection_that_was_used_may_wait_longer_than_one_that_never_spoke() -> None:
    async with keeping(keep_alive_seconds=3) as house:
        silent, used, half = await connected(house), await connected(house, ASK), await connected(house, ASK[:-2])
        await answered(used[0])
        times = await asyncio.gather(*(seconds_open(reader) for reader, _ in (silent, used, half)))
        assert times[0] < 2.8 < times[1]  # two seconds at the door, and the time of a request
        assert times[2] < 2.8
        await until(lambda: len(house.app.ctx.idle) == 0)


async def test_a_connection_is_used_again_after_a_rest() -> None:
    async with keeping(keep_alive_seconds=3) as house:
        reader, writer = await connected(house)
        for _ in range(3):
            writer.write(ASK)
            await answered(reader)
            await asyncio.sleep(0.8)
        writer.close()


async def test_of_too_many_those_that_waited_longest_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "YOUNG_SECONDS", 0.0)
    async with keeping(idle_connections=FEWEST) as house:
        first = [await connected(house, ASK) for _ in range(3)]
        for reader, _ in first:
            await answered(reader)
        rest = [await connected(house, ASK) for _ in range(FEWEST)]
        for reader, _ in rest:
            await answered(reader)
        for reader, _ in first:
            assert await asyncio.wait_for(reader.read(), 2) == b""
        assert len(house.app.ctx.idle) == FEWEST
        for reader, writer in rest:
            writer.write(ASK)
            await answered(reader)
            writer.close()
        await until(lambda: len(house.app.ctx.idle) == 0)


async def test_those_that_have_only_just_come_are_left_alone() -> None:
    async with keeping(idle_connections=FEWEST) as house:
        ends = [await connected(house, ASK) for _ in range(2 * FEWEST)]
        for reader, _ in ends:
            await answered(reader)
        assert len(house.app.ctx.idle) == 2 * FEWEST
        for _, writer in ends:
            writer.close()


async def test_half_a_request_does_not_save_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "YOUNG_SECONDS", 0.0)
    async with keeping(idle_connections=FEWEST) as house:
        slow = await connected(house, ASK[:-2])
        await until(lambda: len(house.app.ctx.idle) == 1)
        rest = [await connected(house, ASK) for _ in range(FEWEST)]
        for reader, _ in rest:
            await answered(reader)
        assert await asyncio.wait_for(read_to_the_end(slow[0]), 2) == b""
        for _, writer in rest:
            writer.close()


async def test_who_is_being_served_and_who_is_a_socket_does_not_wait() -> None:
    served = asyncio.Event()

    def prepare(house: House) -> None:
        async def slow(_request: Request) -> HTTPResponse:
            await served.wait()
            return text("well")

        house.app.add_route(slow, "/slow")

    async with serving(prepare=prepare) as house:
        client = await RawClient.connect(house.port)
        await house.echo()
        reader, writer = await connected(house, ASK.replace(b"GET /", b"GET /slow"))
        await until(lambda: len(house.protocols) == 2)
        await until(lambda: len(house.app.ctx.idle) == 0)
        served.set()
        await answered(reader)
        await until(lambda: len(house.app.ctx.idle) == 1)
        writer.close()
        client.vanish()


class Line:
    """A connection."""

    def __init__(self, *, idle: bool = True) -> None:
        self.idle, self.closed, self.cut = idle, False, False

    def close_if_idle(self) -> bool:
        self.closed = self.idle
        return self.idle

    def abort(self) -> None:
        self.cut = True


def test_the_share_of_the_open_files_is_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "open_files", lambda: SHARE * 20)
    monkeypatch.setattr(idle, "YOUNG_SECONDS", 0.0)
    waiting = IdleConnections(1000)
    lines = [Line() for _ in range(21)]
    for line in lines:
        waiting.waits(line)
    assert [line.closed for line in lines] == [True] + [False] * 20
    waiting.waits(lines[1])  # it was served meanwhile, and waits anew
    waiting.waits(Line())
    assert [line.closed for line in lines[:4]] == [True, False, True, False]
    waiting.done(lines[3])
    waiting.done(lines[3])
    assert len(waiting) == 19


def test_as_many_are_closed_as_are_wanted() -> None:
    waiting = IdleConnections(1000)
    lines = [Line(), Line(idle=False), Line()]
    for line in lines:
        waiting.waits(line)
    assert waiting.close(5, older_than=60) == 0
    assert waiting.close(2) == 2
    assert [(line.closed, line.cut) for line in lines] == [(True, False), (False, True), (False, False)]
    assert waiting.close(5) == 1
