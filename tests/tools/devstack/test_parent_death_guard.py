"""A guarded command lives no longer than its parent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.devstack.postgres import run_as
from tools.devstack.process import GUARD, birth, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")

PARENT = """
import sys, time
from pathlib import Path
from tools.devstack.process import Child
child = Child("sleep", ["sleep", "60"], log=Path(sys.argv[1]), identity=sys.argv[2])
print(child.pid, flush=True)
time.sleep(60)
"""


def identities() -> list[str]:
    wanted = ["same", "userns", *(["nobody"] if os.geteuid() == 0 else [])]
    return [identity for identity in wanted if run_as(identity, "true")]


@pytest.mark.parametrize("identity", identities())
def test_children_die_with_a_killed_parent(tmp_path: Path, identity: str) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), identity]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert wait_until(lambda: Path(f"/proc/{pid}/cmdline").read_text().startswith("sleep"), 5)
        parent.kill()
    assert wait_until(lambda: birth(pid) is None, 2)


def test_a_parent_that_is_gone_already_starts_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = [sys.executable, "-I", "-S", str(GUARD), "1", "15", "same", "touch", str(made)]
    assert subprocess.run(command, check=False).returncode == 1
    assert not made.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to hide")
@pytest.mark.parametrize("identity", [each for each in identities() if each != "same"])
def test_root_is_not_seen_as_root(identity: str) -> None:
    assert run_as(identity, "sh", "-c", 'test "$(id -u)" = 65534')
