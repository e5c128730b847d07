"""A worker that may open no more files says so once, and makes room among connections that only wait."""

import asyncio
import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from server import descriptors
from server.descriptors import Descriptors
from server.idle import IdleConnections
from tests.server.cli import running
from tests.server.test_idle import ASK, Line

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
        async with asyncio.timeout(20), httpx.AsyncClient() as client:
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


def full(*_: Any) -> int:
    raise OSError(errno.EMFILE, "too many")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    class Log:
        def error(self, event: str, **more: Any) -> None:
            found.append({"event": event, **more})

    monkeypatch.setattr(descriptors, "logger", Log())
    return found


async def test_nothing_is_said_or_closed_while_there_is_room(said: list[dict[str, Any]]) -> None:
    idle, line = IdleConnections(1000), Line()
    idle.waits(line)
    await Descriptors(idle).look()
    assert (said, line.closed) == ([], False)


async def test_half_of_those_that_wait_are_closed_each_time_and_it_is_said_once_a_minute(
    said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, lines = IdleConnections(1000), [Line() for _ in range(100)]
    for line in lines:
        idle.waits(line)
    looks = Descriptors(idle)
    monkeypatch.setattr(os, "open", full)
    for left in (50, 25, 9, 0, 0):
        await looks.look()
        assert len(idle) == left
    assert [each["waiting"] for each in said] == [100]
    monkeypatch.setattr(descriptors, "SILENT_SECONDS", 0.0)
    await looks.look()
    assert [each["waiting"] for each in said] == [100, 0]


async def test_another_error_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> int:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(OSError, match="no"):
        await Descriptors(IdleConnections(1000)).look()
