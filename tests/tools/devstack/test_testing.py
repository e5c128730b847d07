"""What failed in parallel is run again alone; what fails alone has failed. With real runs of pytest."""

from pathlib import Path

import pytest

from tools.devstack import testing

TESTS = """
from pathlib import Path
import pytest

def once(name):
    mark = Path({folder!r}) / name
    is_first = not mark.exists()
    mark.write_text(mark.read_text() + "x" if mark.exists() else "x")
    return is_first

def test_good():
    once("good")

@pytest.mark.parametrize("n", range({late}))
def test_late(n):
    assert not once(f"late{{n}}")

@pytest.mark.parametrize("n", range({bad}))
def test_bad(n):
    once(f"bad{{n}}")
    assert False
"""


@pytest.mark.parametrize(
    ("late", "bad", "once_more", "code", "runs_of_late"),
    [
        (2, 0, True, 0, 2),
        (2, 1, True, 1, 2),
        (2, 0, False, 1, 1),
        (testing.MOST_AGAIN + 1, 0, True, 1, 1),
        (0, 0, True, 0, 0),
    ],
)
def test_what_failed_is_run_once_more_alone(
    late: int, bad: int, once_more: bool, code: int, runs_of_late: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(testing, "ROOT", tmp_path)
    tests = tmp_path / "test_some.py"
    tests.write_text(TESTS.format(folder=str(tmp_path), late=late, bad=bad))
    assert testing.run([str(tests)], once_more) == code
    assert (tmp_path / "good").read_text() == "x", "only what failed"
    assert [len((tmp_path / f"late{n}").read_text()) for n in range(late)] == [runs_of_late] * late
    assert [len((tmp_path / f"bad{n}").read_text()) for n in range(bad)] == [2] * bad
