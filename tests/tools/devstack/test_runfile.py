"""The run file is never half, never false, never someone else's to read."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.devstack import runfile
from tools.devstack.options import ROOT
from tools.devstack.process import Child, birth, wait_until
from tools.devstack.runfile import (
    AlreadyRunningError,
    ChildRegistry,
    RunFile,
    end_leftovers,
    only_one,
    read_run,
    write_private,
)


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


def test_the_file_of_a_dead_launcher_says_nothing(tmp_path: Path) -> None:
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


@pytest.fixture
def orphan(monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a session of its own that nobody has asked to end."""
    monkeypatch.setattr(runfile, "LEFTOVER_SECONDS", 0.3)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def record(data: Path, pid: int, born: str | None) -> None:
    facts = [{"name": "Sanic", "pid": pid, "born": born, "signal": int(signal.SIGTERM)}]
    (data / "children.json").write_text(json.dumps(facts))


def test_left_overs_are_ended(orphan: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    record(tmp_path, orphan.pid, birth(orphan.pid))
    assert end_leftovers(tmp_path) == 1
    assert wait_until(lambda: birth(orphan.pid) is None, 2)
    assert not (tmp_path / "children.json").exists()


def test_a_later_process_of_the_same_number_is_left_alone(orphan: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    record(tmp_path, orphan.pid, "1")
    assert end_leftovers(tmp_path) == 0
    assert birth(orphan.pid)


def test_what_ended_by_itself_is_no_matter(orphan: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    record(tmp_path, orphan.pid, birth(orphan.pid))
    orphan.kill()
    orphan.wait()
    assert end_leftovers(tmp_path) == 0


def test_children_are_on_record_while_they_live(tmp_path: Path) -> None:
    ours = ChildRegistry(tmp_path / "children.json")
    first = ours.add(Child("arq", ["sleep", "60"], log=tmp_path / "log"))
    second = ours.add(Child("arq", ["sleep", "60"], log=tmp_path / "log"))
    first.kill()
    other = ours.add(Child("Sanic", ["sleep", "60"], log=tmp_path / "log"))
    facts = json.loads((tmp_path / "children.json").read_text())
    assert {each["name"]: each["pid"] for each in facts} == {"arq": second.pid, "Sanic": other.pid}
    assert ours.others_than("arq") == [other]
    ours.close()
    assert birth(second.pid) is birth(other.pid) is None
    assert not (tmp_path / "children.json").exists()
