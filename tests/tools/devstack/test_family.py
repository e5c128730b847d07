"""What a killed launcher leaves running, the next start ends; and nothing else."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.devstack import family
from tools.devstack.family import Family, take_over
from tools.devstack.process import Child, birth, wait_until


@pytest.fixture
def orphan(monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a session of its own that nobody has told to end."""
    monkeypatch.setattr(family, "GOODBYE_SECONDS", 0.3)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def record(data: Path, pid: int, born: str | None) -> None:
    facts = [{"name": "Sanic", "pid": pid, "born": born, "signal": int(signal.SIGTERM)}]
    (data / "children.json").write_text(json.dumps(facts))


def test_left_overs_are_ended(orphan: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    record(tmp_path, orphan.pid, birth(orphan.pid))
    assert take_over(tmp_path) == 1
    assert wait_until(lambda: birth(orphan.pid) is None, 2)
    assert not (tmp_path / "children.json").exists()


def test_a_later_process_of_the_same_number_is_left_alone(orphan: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    record(tmp_path, orphan.pid, "1")
    assert take_over(tmp_path) == 0
    assert birth(orphan.pid)


def test_what_ended_by_itself_is_no_matter(orphan: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    record(tmp_path, orphan.pid, birth(orphan.pid))
    orphan.kill()
    orphan.wait()
    assert take_over(tmp_path) == 0


def test_children_are_on_record_while_they_live(tmp_path: Path) -> None:
    ours = Family(tmp_path / "children.json")
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
