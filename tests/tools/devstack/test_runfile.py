"""The run file is never half, never false, never someone else's to read."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tools.devstack.options import ROOT
from tools.devstack.runfile import AlreadyRunningError, RunFile, only_one, read_run, write_private


def test_private_files_are_private_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("older")
    path.chmod(0o644)
    write_private(path, "newer")
    assert path.read_text() == "newer"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_an_unchanged_run_is_not_written_again(tmp_path: Path) -> None:
    file = RunFile(tmp_path / "run.json")
    file.update({"pid": os.getpid()})
    before = file.path.stat().st_ino
    file.update({"pid": os.getpid()})
    assert file.path.stat().st_ino == before
    file.update({"pid": os.getpid(), "port": 1})
    assert read_run(file.path) == {"pid": os.getpid(), "port": 1}
    file.remove()
    assert read_run(file.path) is None


def test_the_file_of_a_dead_launcher_tells_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    write_private(tmp_path / "run.json", f'{{"pid": {gone.pid}}}')
    assert read_run(tmp_path / "run.json") is None


def test_one_at_a_time_and_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    script = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
        "from tools.devstack.runfile import only_one\n"
        f"with only_one(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunningError, match="starting or stopping"), only_one(tmp_path):
            pass
        write_private(tmp_path / "run.json", f'{{"pid": {holder.pid}, "url": "http://127.0.0.1:5000"}}')
        with (
            pytest.raises(AlreadyRunningError, match=f"http://127.0.0.1:5000 .process {holder.pid}"),
            only_one(tmp_path),
        ):
            pass
        holder.kill()
    with only_one(tmp_path):
        pass
