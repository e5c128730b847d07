"""A server of our own, whichever it is: there or not, and gone when told to."""

import re
from pathlib import Path

import pytest

from tools.devstack.process import Child, birth
from tools.devstack.server import Server


class Sleeper(Server):
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
