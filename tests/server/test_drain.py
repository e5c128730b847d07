import asyncio
import logging
import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server.drain import Drain, add_drain
from tests.server.cli import running
from tests.server.support import NO_TLS, TEXT, LocalServer, RawClient, make_settings, scaled_to_load, serving


async def test_sigterm_says_4012_to_all_and_ends_by_itself(tmp_path: Path) -> None:
    with running(tmp_path, DRAIN="60") as command:
        clients = [await connect(command.url()) for _ in range(100)]
        assert await asyncio.to_thread(command.stop) == 0  # no limit was waited for: ours is longer than the test waits
        for client in clients:
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert {client.close_code for client in clients} == {4012}
        # Python's own resource tracker ends when it sees that the manager has: a moment later, on a busy machine.
        await command.wait_in_thread(lambda: not command.alive(), 5)
        assert "drain took too long" not in [line["event"] for line in command.lines()]


async def test_while_draining_nobody_is_accepted_and_the_other_worker_serves_on(tmp_path: Path) -> None:
    with running(tmp_path, WORK="1.5", DRAIN="5") as command:
        leaving, staying = command.workers()
        os.kill(leaving, signal.SIGTERM)
        started = time.monotonic()
        await asyncio.sleep(0.2)
        answered = set()
        while time.monotonic() - started < 1.2:
            answered.add((await asyncio.to_thread(command.who))["pid"])
        assert answered == {staying}
        assert any(process.pid == leaving for process in command.alive())  # it was in the middle of it


async def test_a_second_signal_does_not_break_the_drain(tmp_path: Path) -> None:
    with running(tmp_path, workers=1, WORK="1", DRAIN="5") as command:
        (worker,) = command.workers()
        async with connect(command.url()) as client:
            for _ in range(3):
                os.kill(worker, signal.SIGINT)
                await asyncio.sleep(0.2)
            await client.send("still here, in the middle of it")
            assert await client.recv() == "still here, in the middle of it"
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 4012


async def test_a_drain_that_hangs_is_bounded_and_clients_still_see_4012(tmp_path: Path) -> None:
    with running(tmp_path, WORK="60", DRAIN="0.5") as command:
        async with connect(command.url()) as client:
            started = time.monotonic()
            assert await asyncio.to_thread(command.stop) == 0
            assert time.monotonic() - started < scaled_to_load(3)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 4012
        assert "drain took too long" in [line["event"] for line in command.lines()]


async def test_the_drain_runs_once_and_requests_are_refused_meanwhile() -> None:
    begun, may_end, runs = asyncio.Event(), asyncio.Event(), []

    async def close_connections() -> None:
        runs.append(1)
        begun.set()
        await may_end.wait()

    def prepare(local: LocalServer) -> None:
        add_drain(local.app, make_settings(), close_connections)

    async with serving(prepare=prepare) as local:
        drain: Drain = local.app.ctx.drain
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{local.port}", verify=NO_TLS) as client:
            assert (await client.get("/")).status_code == 200
            first = asyncio.ensure_future(drain.run(local.app))
            second = asyncio.ensure_future(drain.run(local.app))
            await begun.wait()
            answer = await client.get("/")
            assert (answer.status_code, answer.json()["code"]) == (503, "draining")
        may_end.set()
        await asyncio.gather(first, second)
    assert runs == [1]


async def test_sockets_left_open_get_what_was_queued_before_they_are_closed() -> None:
    async def close_connections() -> None:
        return

    async with serving(prepare=lambda local: add_drain(local.app, make_settings(), close_connections)) as local:
        client = await RawClient.connect(local.port, receive_buffer=4096)
        echo = await local.echo()
        for number in range(20):
            echo.socket.send(b"%d" % number * 8000)
        ending = asyncio.ensure_future(local.app.ctx.drain.run(local.app))
        for _ in range(20):
            assert (await client.receive())[0] == TEXT
        assert await client.close_code() == 4012
        client.vanish()
        await ending


async def test_a_failing_drain_is_logged_and_ends_the_sockets(caplog: pytest.LogCaptureFixture) -> None:
    async def close_connections() -> None:
        raise RuntimeError("the hub broke")

    def prepare(local: LocalServer) -> None:
        add_drain(local.app, make_settings(), close_connections)
        logging.getLogger().addHandler(caplog.handler)

    async with serving(prepare=prepare) as local, connect(local.url()) as client:
        await local.echo()
        await local.app.ctx.drain.run(local.app)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 4012
    assert any("drain failed" in str(record.msg) for record in caplog.records)
