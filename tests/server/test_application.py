import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from sanic import Request
from sanic.response import HTTPResponse, json

from server.application import BACKLOG, make_server_id
from server.fast_upgrade import FastUpgradeProtocol
from server.sanic_upgrade import SanicUpgradeProtocol
from tests.server.cli import running
from tests.server.support import NO_TLS, LocalServer, serving


def backlog_of(port: int) -> int:
    """What `ss` calls Send-Q of a listening socket."""
    listed = subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    return int(listed.split()[2])


def test_the_command_listens_with_room_for_a_storm(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    with running(tmp_path) as command:
        assert backlog_of(command.port) == min(BACKLOG, most)
        names: set[str] = set()

        def both_answered() -> bool:  # which worker answers is the kernel's choice
            names.update(name.split(".")[1] for name in command.workers().values())
            return names >= {"Sanic-Server-0-0", "Sanic-Server-1-0"}

        command.wait(both_answered, 20)
        assert command.stop() == 0
        assert all(set(line) >= {"timestamp", "level", "logger", "event"} for line in command.lines())


async def echo_json(request: Request) -> HTTPResponse:
    return json({"given": request.json})


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    def prepare(local: LocalServer) -> None:
        local.app.add_route(echo_json, "/json", methods=["POST"])

    async with (
        serving(prepare=prepare) as local,
        httpx.AsyncClient(base_url=local.url().replace("ws", "http"), verify=NO_TLS) as opened,
    ):
        yield opened


@pytest.mark.parametrize("body", [b'"\\ud800"', b"NaN", b"{", b"[1,]", b"\xff"])
async def test_what_is_not_json_is_400(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/json", content=b'{"a":"\xc3\xbc"}')).json() == {"given": {"a": "ü"}}
    answer = await client.post("/json", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"


async def test_a_body_over_64_kib_is_413(client: httpx.AsyncClient) -> None:
    assert (await client.post("/json", content=b'"' + b"x" * 65_000 + b'"')).status_code == 200
    assert (await client.post("/json", content=b'"' + b"x" * 65_536 + b'"')).status_code == 413


async def test_it_has_a_server_id_and_a_beating_heart() -> None:
    async with serving() as local:
        assert ".alone." in local.app.ctx.server_id
        assert not local.app.ctx.heartbeat._loop._task.done()
    await asyncio.sleep(0)
    assert local.app.ctx.heartbeat._loop._task.cancelled()


async def test_two_applications_can_follow_each_other_in_a_process() -> None:
    for _ in range(2):
        async with serving() as local, httpx.AsyncClient(verify=NO_TLS) as client:
            answer = await client.get(f"http://127.0.0.1:{local.port}/")
            assert answer.json()["pid"] == os.getpid()


async def test_connections_are_ours() -> None:
    async with serving() as local:
        _, writer = await asyncio.open_connection("127.0.0.1", local.port)
        await asyncio.sleep(0.05)
        assert {type(protocol) for protocol in local.protocols} == {FastUpgradeProtocol}
        writer.write(b"GET /")
        await asyncio.sleep(0.05)
        assert {type(protocol) for protocol in local.protocols} == {SanicUpgradeProtocol}
        writer.close()


def test_two_runs_of_a_worker_differ_and_both_name_it() -> None:
    first, second = make_server_id("Sanic-Server-0-0"), make_server_id("Sanic-Server-0-0")
    assert first != second
    assert ".Sanic-Server-0-0." in first


def test_odd_hosts_and_no_worker_make_a_plain_name() -> None:
    with patch("server.application.socket.gethostname", return_value="höst {name}:" + "x" * 200):
        made = make_server_id("")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,90}", made)
    assert ".alone." in made
