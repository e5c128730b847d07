"""The whole launcher, on real servers: it starts, says what runs, ends everything, and loses nothing."""

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.support.launched import Launched
from tests.support.processes import descendants, living, patient
from tools.devstack.binaries import is_of_wheel, valkey_server
from tools.devstack.launcher import main
from tools.devstack.options import parse
from tools.devstack.probe import free_port, http_status
from tools.devstack.process import wait_until


class Launchers:
    """Starts launchers, by default on a data directory with a space in its path, and ends them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "the data"
        self._launched: list[Launched] = []

    def __call__(self, *arguments: str, data: Path | None = None, join: Path | None = None, **more: str) -> Launched:
        """``port`` and environment variables in ``more``."""
        port = more.pop("port", str(free_port()))
        place = ["--join", str(join)] if join else ["--data", str(data or self.data)]
        run_file = join / f"run.{port}.json" if join else (data or self.data) / "run.json"
        log = self.directory / f"launcher-{len(self._launched)}.log"
        launched = Launched(log, *place, "--port", port, *arguments, run_file=run_file, **more)
        self._launched.append(launched)
        return launched

    def close(self) -> None:
        """The last first: it may have joined an earlier one."""
        for launched in reversed(self._launched):
            launched.child.stop(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Launchers]:
    """For tests that need an instance of their own."""
    launchers = Launchers(tmp_path)
    yield launchers
    launchers.close()


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, taken: int) -> Iterator[Launched]:
    """One instance with two workers for all tests that leave it running, and for the last, which ends it."""
    launchers = Launchers(tmp_path_factory.mktemp("running"))
    launched = launchers("--workers", "2", port=str(taken))
    launched.wait_ready()
    yield launched
    launchers.close()


def child_of(launcher: Launched, name: str) -> int:
    """The pid of one of its children."""
    children = json.loads((launcher.run_file.parent / "children.json").read_text(encoding="utf-8"))
    return next(int(each["pid"]) for each in children if each["name"] == name)


def named(run: dict[str, Any]) -> set[str]:
    """The servers of a run file, which are in no order."""
    return {server["serverId"] for server in run["servers"]}


def kill_child(launcher: Launched, name: str) -> None:
    """Kill one that must live: all end, and the launcher says whose end it was."""
    processes = descendants(launcher.child.pid)
    os.kill(child_of(launcher, name), signal.SIGKILL)
    assert launcher.child.wait(20) == 1
    assert f"{name} ended" in launcher.output()
    assert living(processes) == []


def test_it_says_what_runs(running: Launched) -> None:
    run = running.run()
    assert run["pid"] == running.child.pid
    assert http_status(f"{run['url']}/ready") == 200
    assert run["url"] in running.output()
    assert stat.S_IMODE(running.run_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((running.run_file.parent / "jwt_secret").stat().st_mode) == 0o600
    assert len(run["servers"]) == 2
    pids = {run["worker"]["pid"], *(server["pid"] for server in run["servers"])}
    assert pids <= set(descendants(running.child.pid))


@pytest.mark.skipif(not is_of_wheel(valkey_server()), reason="VALKEY_BIN names another server")
def test_only_valkey_has_the_allocator(running: Launched) -> None:
    assert "  allocator  mimalloc\n" in running.output()
    maps = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in descendants(running.child.pid)}
    assert [pid for pid, text in maps.items() if "libmimalloc" in text] == [child_of(running, "Valkey")]


def test_a_taken_port_is_passed_over(running: Launched, taken: int) -> None:
    assert running.run()["port"] > taken
    assert f"{taken} is taken" in running.output()


def test_a_start_right_after_a_kill_takes_over_with_all_the_data(start: Launchers) -> None:
    launcher = start("--workers", "1")
    run = launcher.wait_ready()
    processes = descendants(launcher.child.pid)
    with Redis.from_url(run["redis_url"]) as redis:
        redis.set("kept", "yes")
    secret = Path(run["secret_file"]).read_text(encoding="ascii")
    stale = start.data / "run.9999.json"  # of servers that had joined
    stale.write_text("{}")

    os.kill(child_of(launcher, "Valkey"), signal.SIGSTOP)  # it does not get the signal to end
    launcher.child.kill()
    again = start("--workers", "1")
    run = again.wait_ready()
    assert living(processes) == []
    assert http_status(f"{run['url']}/ready") == 200
    assert not stale.exists()
    with Redis.from_url(run["redis_url"], decode_responses=True) as redis:
        assert redis.get("kept") == "yes"
    assert Path(run["secret_file"]).read_text(encoding="ascii") == secret

    processes = descendants(again.child.pid)
    again.child.kill()
    assert wait_until(lambda: living(processes) == [], patient(10)), "killed it leaves nothing running"


def test_a_killed_worker_is_replaced_and_the_run_file_says_so(running: Launched) -> None:
    victim = running.run()["servers"][0]["pid"]
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        servers = running.run()["servers"]
        return len(servers) == 2 and victim not in {server["pid"] for server in servers}

    assert wait_until(replaced, patient(10))
    assert time.monotonic() - began < patient(4), "2 s for a new worker, 2 s until the run file says so"
    pids = [server["pid"] for server in running.run()["servers"]]
    assert sorted(living(pids)) == sorted(pids)
    ready = f"{running.run()['url']}/ready"
    assert wait_until(lambda: all(http_status(ready) == 200 for _ in range(10)), patient(1)), "the new one too"


def test_a_second_instance_on_the_same_data_is_refused(running: Launched, start: Launchers) -> None:
    url = running.run()["url"]
    second = start(data=running.run_file.parent)
    assert second.child.wait(20) == 1
    assert url in second.output()
    assert f"--join '{running.run_file.parent}'" in second.output(), "the path has a space in it"
    assert http_status(f"{url}/ready") == 200, "the first does not mind"


def test_servers_can_join(running: Launched, start: Launchers) -> None:
    run = running.run()
    second = start("--workers", "1", join=running.run_file.parent)
    joined = second.wait_ready()

    assert joined["url"] != run["url"]
    assert http_status(f"{joined['url']}/ready") == 200
    assert joined["redis_url"] == run["redis_url"]
    assert joined["worker"] is None
    assert joined["servers"][0] not in run["servers"]
    assert named(running.run()) == named(run), "each file has its own"

    assert second.child.stop(20) == 0
    assert not second.run_file.exists()
    assert http_status(f"{run['url']}/ready") == 200


def test_when_postgresql_dies_all_end_and_say_so_and_so_do_servers_that_joined(start: Launchers) -> None:
    first = start("--workers", "1")
    first.wait_ready()
    second = start("--workers", "1", join=start.data)
    second.wait_ready()
    processes = descendants(second.child.pid)
    kill_child(first, "PostgreSQL")
    assert second.child.wait(20) == 1
    assert "has ended" in second.output()
    assert living(processes) == []


def test_nothing_can_be_joined_where_nothing_runs(start: Launchers) -> None:
    launcher = start(join=start.directory / "nowhere")
    assert launcher.child.wait(20) == 1
    assert "Nothing runs on" in launcher.output()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no-such-host.invalid", "x" * 70])
def test_an_address_of_another_machine_is_refused_in_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], host: str
) -> None:
    assert main(parse(["--data", str(tmp_path / "data"), "--host", host])) == 1
    assert f"Cannot listen on {host}: " in capfd.readouterr().err
    assert not (tmp_path / "data").exists(), "nothing was begun"


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/x", "locked"])
@pytest.mark.parametrize("way", ["data", "join"])
def test_a_place_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str, way: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked" / "lock").mkdir(parents=True)  # root may write everywhere, but not into a directory
    assert main(parse([f"--{way}", str(tmp_path / place)])) == 1
    output = capfd.readouterr()
    assert str(tmp_path / place) in output.err
    assert len((output.out + output.err).strip().splitlines()) == 1


def test_an_instance_that_cannot_be_read_is_not_joined(start: Launchers) -> None:
    (start.directory / "run.json").mkdir()
    launcher = start(join=start.directory)
    assert launcher.child.wait(20) == 1
    assert launcher.output().strip() == f"Cannot read what runs on {start.directory}: Is a directory"


def test_when_valkey_dies_all_end_and_say_so(env: dict[str, str], start: Launchers) -> None:
    launcher = start("--workers", "1", DATABASE_URL=env["DATABASE_URL"])
    launcher.wait_ready()
    kill_child(launcher, "Valkey")


def test_a_dead_background_worker_comes_back(running: Launched) -> None:
    before = running.run()["worker"]["pid"]
    os.kill(before, signal.SIGKILL)
    assert wait_until(lambda: running.run()["worker"]["pid"] != before, patient(5))
    assert living([running.run()["worker"]["pid"]])
    assert running.child.alive()


def test_servers_of_ones_own_are_used_and_when_sanic_dies_all_end_and_say_so(
    env: dict[str, str], start: Launchers
) -> None:
    mine = {name: env[name] for name in ("REDIS_URL", "DATABASE_URL", "JWT_SECRET")}
    launcher = start("--workers", "1", **mine)
    run = launcher.wait_ready()
    assert (run["redis_url"], run["database_url"]) == (mine["REDIS_URL"], mine["DATABASE_URL"])
    assert not any((start.data / name).exists() for name in ("valkey", "postgres", "jwt_secret"))

    stranger = start("--workers", "1", join=start.data)
    assert stranger.child.wait(20) == 1
    assert "JWT_SECRET" in stranger.output()

    kill_child(launcher, "Sanic")


def test_what_the_product_refuses_is_passed_on(env: dict[str, str], start: Launchers) -> None:
    launcher = start(REDIS_URL=env["REDIS_URL"], DATABASE_URL=env["DATABASE_URL"], JWT_SECRET="short")
    assert launcher.child.wait(30) == 1
    assert "JWT_SECRET: must have at least 32 bytes" in launcher.output()
    assert "short" not in launcher.output()


def test_interrupted_while_it_starts_it_ends_at_once(start: Launchers) -> None:
    launcher = start()
    assert wait_until(lambda: "PostgreSQL" in launcher.output(), 20)
    processes = descendants(launcher.child.pid)
    launcher.child.signal(signal.SIGINT)
    assert launcher.child.wait(10) == 0
    assert living(processes) == []


def test_it_ends_all_on_one_signal(running: Launched) -> None:
    """The last of those that share the instance."""
    processes = descendants(running.child.pid)
    began = time.monotonic()
    assert running.child.stop(20) == 0
    assert time.monotonic() - began < patient(2)
    assert living(processes) == []
    assert not running.run_file.exists()
