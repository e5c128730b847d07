"""CPU and memory of processes."""

import os
import subprocess
import sys

import pytest

from tools.bench import cpu

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_work_is_counted_for_the_process_that_does_it() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        before = cpu.spent({"server": [worker.pid]})
        assert worker.stdout is not None
        worker.stdout.readline()
        used = cpu.difference(before, cpu.spent({"server": [worker.pid]}))
        assert used["server"] >= 0.2
        assert used["client"] < used["server"]
        worker.communicate()


def test_a_tree_has_the_process_its_children_and_theirs() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 30 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        sleeper = int(shell.stdout.readline())
        try:
            assert cpu.tree(shell.pid) == [shell.pid, sleeper]
            assert {shell.pid, sleeper} <= set(cpu.tree(os.getpid()))
        finally:
            os.kill(sleeper, 15)


def test_used_memory_is_counted() -> None:
    before = cpu.memory([os.getpid()])
    block = bytearray(os.urandom(1 << 20)) * 32
    assert cpu.memory([os.getpid()]) - before > 24 << 20
    del block


def test_a_process_that_is_gone_is_an_error_and_not_a_zero() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with pytest.raises(FileNotFoundError):
        cpu.seconds(gone.pid)


def test_the_time_of_a_child_that_ended_is_its_parents() -> None:
    script = (
        "python=$0; read begin; \"$python\" -c 'import time\nwhile time.process_time() < 0.3: pass'; echo; read wait"
    )
    with subprocess.Popen(
        ["sh", "-c", script, sys.executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        before = cpu.spent({"server": cpu.tree(shell.pid)})
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write("\n")
        shell.stdin.flush()
        shell.stdout.readline()
        used = cpu.difference(before, cpu.spent({"server": cpu.tree(shell.pid)}))
        gone = cpu.spent({"server": [shell.pid, 2**22 + 1]})
        shell.communicate("\n")
    assert used["server"] >= 0.2
    assert gone["server"] >= 0.2
