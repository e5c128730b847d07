"""A moved clock moves for the processes that follow it, and only their wall clock."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.chaos.clock import Clock, can_move_clocks
from tools.chaos.servers import Redis

pytestmark = pytest.mark.skipif(not can_move_clocks(), reason="needs Linux and a C compiler")
SAY = """
import datetime, sys, time
print(time.time(), datetime.datetime.now().timestamp(), time.monotonic(), flush=True)
for line in sys.stdin:
    print(time.time(), flush=True)
"""


def test_python_sees_a_moved_clock_while_it_runs(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    clock.move(-3600)
    with subprocess.Popen(
        [sys.executable, "-c", SAY], env=os.environ | clock.env, stdin=-1, stdout=-1, text=True, bufsize=1
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        wall, date, monotonic = map(float, process.stdout.readline().split())
        assert wall == pytest.approx(time.time() - 3600, abs=5)
        assert date == pytest.approx(wall, abs=1)
        assert monotonic == pytest.approx(time.monotonic(), abs=5)
        clock.move(3600)
        process.stdin.write("\n")
        assert float(process.stdout.readline()) == pytest.approx(time.time() + 3600, abs=5)


def test_redis_sees_a_moved_clock_while_it_runs(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    server = Redis(tmp_path / "r", env=clock.env)
    server.start()
    try:
        with server.client() as client:
            client.set("k", "v", ex=60)
            assert client.time()[0] == pytest.approx(time.time(), abs=5)
            clock.move(3600)
            time.sleep(0.3)  # it looks at the clock a few times a second
            assert client.time()[0] == pytest.approx(time.time() + 3600, abs=5)
            assert client.get("k") is None
    finally:
        server.stop()
