"""Redis is frozen for some seconds, and thawed also when those who asked are gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import ROOT
from tools.demo.freeze import BUSY, GONE
from tools.devstack.process import birth, wait_until
from tools.devstack.valkey import Valkey

SECONDS = 5.0  # on a busy machine it takes more than two until a Python asks


def freeze(lock: Path, pid: int, born: str, seconds: float) -> int:
    command = [sys.executable, "-m", "tools.demo.freeze", str(lock), str(pid), born, str(seconds)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=20).returncode


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_is_frozen_once_and_thawed_by_itself(own_valkey: Valkey, tmp_path: Path) -> None:
    pid, lock = own_valkey.pid, tmp_path / "lock"
    born = birth(pid)
    assert born is not None
    assert freeze(lock, pid, born, SECONDS) == 0
    assert wait_until(lambda: state_of(pid) == "T", 5)
    assert freeze(lock, pid, born, SECONDS) == BUSY
    assert wait_until(own_valkey.answers, 20)
    assert state_of(pid) != "T"
    assert wait_until(lambda: freeze(lock, pid, born, 0) == 0, 5), "and again, when it is over"
    assert wait_until(own_valkey.answers, 20)


def test_another_process_with_its_pid_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        assert freeze(tmp_path / "lock", other.pid, "another birth", 60) == GONE
        assert other.poll() is None
    finally:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
