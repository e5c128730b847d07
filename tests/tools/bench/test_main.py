"""The command itself: from start to report, and a stop in the middle that leaves nothing behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.bench.cpu import tree
from tools.devstack.options import ROOT
from tools.devstack.process import birth

COMMAND = [sys.executable, "-m", "tools.bench"]


def test_the_ceiling_from_start_to_report(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="only `run.py bench` installs it")
    done = subprocess.run(
        [*COMMAND, "ceiling", "--pairs", "2", "--out", tmp_path / "x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the client's ceiling" in done.stdout
    (run,) = json.loads((tmp_path / "x.json").read_text())["runs"]
    assert run["contender"] == "relay"
    assert not run["void"]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_stop_in_the_middle_ends_all_processes_and_reports_what_was_measured() -> None:
    command = [*COMMAND, "closed", "--pairs", "2", "--contenders", "mini-everysec", "--seconds", "60"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as bench:
        try:
            everybody = await_servers(bench.pid)
            bench.send_signal(signal.SIGINT)
            output, _ = bench.communicate(timeout=45)
        finally:
            bench.kill()  # nothing, when it has ended; and its children are tied to its life
    assert bench.returncode == 130, output
    assert "### ceiling" in output
    assert [pid for pid in everybody if birth(pid)] == []


def await_servers(pid: int) -> list[int]:
    """All processes of the benchmark, once its server workers are among them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        everybody = tree(pid)
        if sum(b"arq" in command(each) for each in everybody):
            return everybody
        time.sleep(0.1)
    raise AssertionError("no servers within a minute")


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
