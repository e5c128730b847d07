"""Ports and addresses; the rest of it is seen in test_launcher.py."""

import json
import os
import socket
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tools.devstack import serving
from tools.devstack.options import Options
from tools.devstack.probe import free_port
from tools.devstack.process import Child, ChildError, wait_until
from tools.devstack.product import Product
from tools.devstack.runfile import ChildRegistry, RunFile
from tools.devstack.serving import Background, Supervisor, _reachable, choose_port, must_live


def options(port: int) -> Options:
    return Options("127.0.0.1", port, 1, Path("unused"), None)


def test_a_free_port_is_taken_as_wished(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert choose_port(options(port)) == port
    assert capsys.readouterr().out == ""


def test_a_taken_port_is_passed_over_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen = choose_port(options(port))
    assert chosen != port
    assert f"{port} is taken, so {chosen}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - nobody listens
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("my.host", "my.host"),
    ],
)
def test_an_address_to_listen_on_becomes_one_to_click(host: str, reached: str) -> None:
    assert _reachable(host) == reached


class Short(Product):
    """Whose background worker ends at once."""

    def background(self) -> Child:
        return Child("arq", ["true"], log=self.logs / "worker.log")


def test_a_worker_that_keeps_ending_is_started_ever_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(serving.time, "monotonic", lambda: now[0])
    background = Background(Short({}, tmp_path), ChildRegistry(tmp_path / "children.json"))
    starts = [now[0]]
    while len(starts) < 8:
        child = background.child
        child.process.wait()
        while background.child is child:
            now[0] += 0.1
            background.look()
        starts.append(now[0])
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps == pytest.approx([1, 2, 4, 8, 8, 8, 8], abs=0.35)


def test_a_process_that_must_live_is_quoted_when_it_ends(tmp_path: Path) -> None:
    lives = Child("Valkey", ["sleep", "60"], log=tmp_path / "valkey")
    must_live(lives)
    dead = Child("Sanic", ["sh", "-c", "echo out of luck; exit 4"], log=tmp_path / "sanic")
    dead.process.wait()
    with pytest.raises(ChildError, match=r"Sanic ended \(code 4\)(.|\n)*out of luck"):
        must_live(lives, dead)
    lives.kill()


def test_with_redis_away_the_last_known_servers_that_live_are_written(valkey_url: str, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other, Redis.from_url(valkey_url) as client:
        client.flushall()
        for name, pid in (("one", os.getpid()), ("two", other.pid)):
            client.zadd("servers", {name: 1})
            client.set(f"server:{name}", json.dumps({"pid": pid, "parent": other.pid}))
        sanic = Child("Sanic", ["sleep", "60"], log=tmp_path / "log")
        sanic.pid = other.pid
        run: dict[str, Any] = {"pid": os.getpid(), "redis_url": valkey_url}
        watching = Supervisor(run, RunFile(tmp_path / "run.json"), sanic, None)
        assert watching.report() == 2
        run["redis_url"] = "redis://127.0.0.1:1"
        assert watching.report() == 2
        other.kill()
    assert wait_until(lambda: watching.report() == 1, 2)
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["servers"] == [{"serverId": "one", "pid": os.getpid()}]
    assert written["worker"] is None
    sanic.process.kill()
    sanic.process.wait()
