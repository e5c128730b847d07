"""Children start, stop and are swept up in bounded time."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.support.processes import patient
from tools.devstack.process import Child, ChildError, EmbeddedServer, birth, signal_group, wait_until


def shell(tmp_path: Path, script: str) -> Child:
    return Child("shell", ["sh", "-c", script], log=tmp_path / "log")


def test_a_child_leaves_no_grandchildren(tmp_path: Path) -> None:
    child = shell(tmp_path, "sleep 60 & echo $!; wait")
    assert wait_until(lambda: child.last_words() != "", 5)
    grandchild = int(child.last_words())
    child.stop(5)
    assert wait_until(lambda: birth(grandchild) is None, 2)


def test_a_child_that_will_not_go_is_made_to(tmp_path: Path) -> None:
    child = shell(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    assert wait_until(lambda: child.last_words() == "ready", 5)
    began = time.monotonic()
    assert child.stop(0.3) == -signal.SIGKILL
    assert time.monotonic() - began < patient(1)


def test_a_child_that_fails_is_quoted(tmp_path: Path) -> None:
    child = shell(tmp_path, "echo no luck today >&2; exit 3")
    with pytest.raises(ChildError, match=r"code 3(.|\n)*no luck today"):
        child.await_ready(lambda: False, 5)


def test_only_this_run_is_quoted(tmp_path: Path) -> None:
    shell(tmp_path, "echo earlier").wait(5)
    child = shell(tmp_path, "echo now")
    child.wait(5)
    assert child.last_words() == "now"


def test_a_child_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    child = shell(tmp_path, "sleep 60")
    with pytest.raises(ChildError, match=r"within 0\.2 s"):
        child.await_ready(lambda: False, 0.2)
    child.kill()


def test_a_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    child = shell(tmp_path, "sleep 60")
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.kill()


def test_birth_tells_processes_apart(tmp_path: Path) -> None:
    assert birth(os.getpid()) == birth(os.getpid()) is not None
    child = shell(tmp_path, "sleep 60")
    assert birth(child.pid) == child.born != birth(os.getpid())
    child.kill()
    assert birth(child.pid) is None


def test_a_zombie_counts_as_gone(tmp_path: Path) -> None:
    child = shell(tmp_path, "exit 0")
    assert wait_until(lambda: birth(child.pid) is None, 5)
    assert child.process.returncode is None, "not even waited for"
    child.wait(1)


def test_an_empty_group_is_no_error(tmp_path: Path) -> None:
    child = shell(tmp_path, "exit 0")
    child.wait(5)
    assert signal_group(child.pid, signal.SIGTERM) is False


class Sleeper(EmbeddedServer):
    """Serves nobody."""

    name = "Sleeper"

    def start(self, log: Path, *command: str) -> None:
        self.child = Child(self.name, command or ["sleep", "60"], log=log)


def test_one_that_was_never_started_says_so_and_can_be_stopped() -> None:
    server = Sleeper()
    server.stop()
    for use in (server.running, server.kill, lambda: server.pid):
        with pytest.raises(RuntimeError, match=re.escape("Sleeper was not started")):
            use()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_ends_and_starts_again(tmp_path: Path, end: str) -> None:
    server = Sleeper()
    pids = []
    for _ in range(2):
        server.start(tmp_path / "log")
        assert birth(server.pid) is not None
        pids.append(server.pid)
        getattr(server, end)()
        assert birth(server.pid) is None
    assert pids[0] != pids[1]


def test_one_that_does_not_listen_is_killed_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sleeper, "stop_seconds", 0.3)
    server = Sleeper()
    server.start(tmp_path / "log", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done")
    server.running().await_ready(lambda: "deaf" in server.running().last_words(), 5)
    server.stop()
    assert birth(server.pid) is None
    assert server.running().process.returncode == -9
