"""What is shown while packages are fetched and unpacked, and that nothing an installer prints is lost."""

import io
import sys
from pathlib import Path

import pytest

from tools.devstack import progress
from tools.devstack.progress import Progress, follow

INSTALLER = """
import sys, time
from pathlib import Path
place = Path(sys.argv[1], "lib/python3.11/site-packages")
place.mkdir(parents=True, exist_ok=True)
print("Collecting one", flush=True)
print("Collecting two", flush=True)
time.sleep(0.3)
print("Installing collected packages: one, two", flush=True)
(place / "one.dist-info").mkdir()
time.sleep(0.3)
(place / "two.dist-info").mkdir()
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)


def run(tmp_path: Path, code: int = 0) -> tuple[int, str]:
    return follow([sys.executable, "-c", INSTALLER, str(tmp_path), str(code)], 7, tmp_path)


def test_a_line_now_and_then_where_there_is_no_terminal(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path)[0] == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  fetching") and line.endswith("2/7 two") for line in lines)
    assert any(line.startswith("  unpacking") and "1/2" in line for line in lines)


def test_one_line_that_changes_on_a_terminal(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    run(tmp_path)
    output = capsys.readouterr().out
    assert "\n" not in output
    assert "[############............] 1/2" in output
    assert output.split("\r")[-2].strip() == "", "nothing is left of it"


def test_a_failure_is_returned_with_all_that_was_printed(quick: None, tmp_path: Path) -> None:
    code, output = run(tmp_path, 3)
    assert code == 3
    assert output.splitlines()[0] == "Collecting one"
    assert len(output.splitlines()) == 3


def test_an_interrupted_installer_is_ended(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "_show_until_it_ends", interrupt)
    with pytest.raises(KeyboardInterrupt):
        follow(["sleep", "60"], 1, tmp_path)


def test_packages_that_are_there_already_count_as_fetched() -> None:
    one = Progress(2)
    one.read(io.StringIO("Requirement already satisfied: sanic in x\nWARNING: y\nCollecting arq==1 (from z)\n"))
    assert one.text(0) == f"  fetching  [{'#' * 24}] 2/2 arq"
