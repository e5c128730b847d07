"""The command line: clear about what it cannot use."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.devstack import options
from tools.devstack.options import ROOT, Options, default_workers, parse


def test_the_defaults_are_the_originals() -> None:
    assert parse([]) == Options("127.0.0.1", 5000, default_workers(), ROOT / ".data", None)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (3, 2), (5, 4), (64, 4)])
def test_one_core_is_left_to_redis(monkeypatch: pytest.MonkeyPatch, cores: int, workers: int) -> None:
    monkeypatch.setattr(options, "cores", lambda: cores)
    assert default_workers() == workers


def test_arguments_mean_the_same_in_another_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    there = parse(["--data", "here", "--port", "6000", "--workers", "3", "--host", "::1"])
    joined = parse(["--join", "here"])
    monkeypatch.chdir("/")
    assert there.data == joined.join == tmp_path / "here"
    assert parse(there.arguments()) == there
    assert parse(joined.arguments()) == joined


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "0"],
        ["--port", "65536"],
        ["--port", "٥٠٠٠"],
        ["--workers", "0"],
        ["--workers", "two"],
        ["--prot", "1"],
        ["--data", "a", "--join", "b"],
        ["--data", "~nobody-of-this-name/here"],
        ["extra"],
    ],
)
def test_nonsense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    assert "usage: run.py" in capsys.readouterr().err


def run_py(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``run.py`` with a bare Python: these answers must not need anything installed."""
    command = [sys.executable, "-S", str(ROOT / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, timeout=20)


def test_run_py_needs_nothing_installed_to_explain_itself() -> None:
    helped = run_py("--help")
    assert helped.returncode == 0
    for word in ("--port", "--host", "--workers", "--data", "--join", "run.py test", "run.py check"):
        assert word in helped.stdout
    assert "usage: run.py demo" in run_py("demo", "--help").stdout


@pytest.mark.parametrize("arguments", [["tset"], ["check", "extra"], ["--wrong"], ["demo", "--wrong"]])
def test_run_py_refuses_what_it_does_not_know(arguments: list[str]) -> None:
    refused = run_py(*arguments)
    assert refused.returncode != 0
    assert arguments[-1] in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "output"),
    [(["--version"], "WhatsApp Mini 0."), (["help"], "usage: run.py"), (["-h"], "usage: run.py")],
)
def test_what_people_try_first_is_answered(arguments: list[str], output: str) -> None:
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.startswith(output)) == (0, True)
