"""The command line of the demo."""

from pathlib import Path

import pytest

from tools.demo.options import DemoOptions, parse
from tools.devstack.options import ROOT, Options


def test_it_is_on_this_machine_only_and_has_a_server_to_spare() -> None:
    options = parse([])
    assert options.data == ROOT / ".data" / "demo"
    assert options.workers >= 3
    assert options.stack() == Options("127.0.0.1", 5000, options.workers, ROOT / ".data" / "demo", None)


def test_arguments_mean_the_same_in_another_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    there = parse(["--data", "here", "--port", "6000", "--workers", "4", "--fresh"])
    monkeypatch.chdir("/")
    assert there == DemoOptions(6000, 4, tmp_path / "here", fresh=True)
    assert parse(there.arguments()) == there


@pytest.mark.parametrize("arguments", [["--workers", "2"], ["--host", "::"], ["--join", "x"], ["--port", "0"]])
def test_what_would_be_no_demo_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    assert "usage: run.py demo" in capsys.readouterr().err
