"""How long an HTTP connection may wait for a request, and how many may."""

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sanic import Request
from sanic.response import HTTPResponse, text

from server import idle_connections
from server.idle_connections import FEWEST, SHARE, IdleConnections, OpenFilesWatch
from tests.server.cli import running
from tests.server.support import NO_TLS, LocalServer, RawClient, read_to_the_end, serving, until

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def keeping(**knobs: Any) -> AsyncIterator[LocalServer]:
    """Requests may take half a second, and connections wait for three."""

    def prepare(local: LocalServer) -> None:
        local.app.config.REQUEST_TIMEOUT = 0.5
        local.app.config.KEEP_ALIVE_TIMEOUT = 3

    async with serving(prepare=prepare, **knobs) as local:
        yield local


async def connected(local: LocalServer, said: bytes = b"") -> Ends:
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
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


async def longest_standstill() -> float:
    """Seconds for which nothing ran, until it is cancelled."""
    longest, last = 0.0, time.monotonic()
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0.05)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


async def test_a_connection_that_was_used_may_wait_longer_than_one_that_never_spoke() -> None:
    for _ in range(5):
        async with keeping(keep_alive_seconds=3) as local:
            silent, used, half = await connected(local), await connected(local, ASK), await connected(local, ASK[:-2])
            await answered(used[0])
            watching = asyncio.create_task(longest_standstill())
            times = await asyncio.gather(*(seconds_open(reader) for reader, _ in (silent, used, half)))
            watching.cancel()
            # What ends while nothing runs ends in any order.
            if await watching < 0.5:
                break
    else:
        raise AssertionError("the machine was too busy, five times, to tell one second from another")
    assert max(times[0], times[2]) < times[1]
    await until(lambda: len(local.app.ctx.idle_connections) == 0)


async def test_a_connection_is_used_again_after_a_rest() -> None:
    async with keeping(keep_alive_seconds=3) as local:
        reader, writer = await connected(local)
        for _ in range(3):
            writer.write(ASK)
            await answered(reader)
            await asyncio.sleep(0.8)
        writer.close()


async def test_of_too_many_those_that_waited_longest_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_connections, "YOUNG_SECONDS", 0.0)
    async with keeping(idle_connections=FEWEST) as local:
        first = [await connected(local, ASK) for _ in range(3)]
        for reader, _ in first:
            await answered(reader)
        rest = [await connected(local, ASK) for _ in range(FEWEST)]
        for reader, _ in rest:
            await answered(reader)
        for reader, _ in first:
            assert await asyncio.wait_for(reader.read(), 2) == b""
        assert len(local.app.ctx.idle_connections) == FEWEST
        for reader, writer in rest:
            writer.write(ASK)
            await answered(reader)
            writer.close()
        await until(lambda: len(local.app.ctx.idle_connections) == 0)


async def test_those_that_have_only_just_come_are_left_alone() -> None:
    async with keeping(idle_connections=FEWEST) as local:
        ends = [await connected(local, ASK) for _ in range(2 * FEWEST)]
        for reader, _ in ends:
            await answered(reader)
        assert len(local.app.ctx.idle_connections) == 2 * FEWEST
        for _, writer in ends:
            writer.close()


async def test_half_a_request_does_not_save_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle_connections, "YOUNG_SECONDS", 0.0)
    async with keeping(idle_connections=FEWEST) as local:
        slow = await connected(local, ASK[:-2])
        await until(lambda: len(local.app.ctx.idle_connections) == 1)
        rest = [await connected(local, ASK) for _ in range(FEWEST)]
        for reader, _ in rest:
            await answered(reader)
        assert await asyncio.wait_for(read_to_the_end(slow[0]), 2) == b""
        for _, writer in rest:
            writer.close()


async def test_who_is_being_served_and_who_is_a_socket_does_not_wait() -> None:
    served = asyncio.Event()

    def prepare(local: LocalServer) -> None:
        async def slow(_request: Request) -> HTTPResponse:
            await served.wait()
            return text("well")

        local.app.add_route(slow, "/slow")

    async with serving(prepare=prepare) as local:
        client = await RawClient.connect(local.port)
        await local.echo()
        reader, writer = await connected(local, ASK.replace(b"GET /", b"GET /slow"))
        await until(lambda: len(local.protocols) == 2)
        await until(lambda: len(local.app.ctx.idle_connections) == 0)
        served.set()
        await answered(reader)
        await until(lambda: len(local.app.ctx.idle_connections) == 1)
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
    monkeypatch.setattr(idle_connections, "open_files_limit", lambda: SHARE * 20)
    monkeypatch.setattr(idle_connections, "YOUNG_SECONDS", 0.0)
    waiting = IdleConnections(1000)
    lines = [Line() for _ in range(21)]
    for line in lines:
        waiting.add(line)
    assert [line.closed for line in lines] == [True] + [False] * 20
    waiting.add(lines[1])  # it was served meanwhile, and waits anew
    waiting.add(Line())
    assert [line.closed for line in lines[:4]] == [True, False, True, False]
    waiting.remove(lines[3])
    waiting.remove(lines[3])
    assert len(waiting) == 19


def test_as_many_are_closed_as_are_wanted() -> None:
    waiting = IdleConnections(1000)
    lines = [Line(), Line(idle=False), Line()]
    for line in lines:
        waiting.add(line)
    assert waiting.close(5, older_than=60) == 0
    assert waiting.close(2) == 2
    assert [(line.closed, line.cut) for line in lines] == [(True, False), (False, True), (False, False)]
    assert waiting.close(5) == 1


# ---- when no more files can be opened

ROOM = 40
CONNECTIONS = 150


async def test_a_full_worker_serves_again_while_the_connections_that_filled_it_are_still_there(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as command:
        (pid,) = command.workers()
        worker = psutil.Process(pid)
        limit = worker.num_fds() + ROOM
        worker.rlimit(psutil.RLIMIT_NOFILE, (limit, limit))
        # They are used once, and would be kept for 75 s.
        ends = [await asyncio.open_connection("127.0.0.1", command.port) for _ in range(CONNECTIONS)]
        for _, writer in ends:
            writer.write(ASK)
        served = 0
        async with asyncio.timeout(20), httpx.AsyncClient(verify=NO_TLS) as client:
            while served < 3:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.get(f"http://127.0.0.1:{command.port}/", timeout=1)
                    served += answer.status_code == 200
                await asyncio.sleep(0.1)
        told = [line for line in command.lines() if line["event"].startswith("the limit of open files is reached")]
        assert [(line["limit"], line["level"]) for line in told] == [(limit, "error")]
        for _, writer in ends:
            writer.close()
        assert await asyncio.to_thread(command.stop) == 0


def no_more(*_: Any) -> int:
    raise OSError(errno.EMFILE, "too many")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    class Log:
        def error(self, event: str, **more: Any) -> None:
            found.append({"event": event, **more})

    monkeypatch.setattr(idle_connections, "logger", Log())
    return found


async def test_nothing_is_said_or_closed_while_there_is_room(said: list[dict[str, Any]]) -> None:
    idle, line = IdleConnections(1000), Line()
    idle.add(line)
    await OpenFilesWatch(idle).check()
    assert (said, line.closed) == ([], False)


async def test_half_of_those_that_wait_are_closed_each_time_and_it_is_said_once_a_minute(
    said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, lines = IdleConnections(1000), [Line() for _ in range(100)]
    for line in lines:
        idle.add(line)
    watch = OpenFilesWatch(idle)
    monkeypatch.setattr(os, "open", no_more)
    for left in (50, 25, 9, 0, 0):
        await watch.check()
        assert len(idle) == left
    assert [each["waiting"] for each in said] == [100]
    monkeypatch.setattr(idle_connections, "LOG_SECONDS", 0.0)
    await watch.check()
    assert [each["waiting"] for each in said] == [100, 0]


async def test_another_error_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> int:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(OSError, match="no"):
        await OpenFilesWatch(IdleConnections(1000)).check()
