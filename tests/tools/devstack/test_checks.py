"""Every check is run, and one that fails is not lost among those that do not."""

import sys
from pathlib import Path

import pytest

from tools.devstack import checks


@pytest.fixture
def python(tmp_path: Path) -> Path:
    for name, script in {"good": "exit 0", "bad": "exit 5"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path / Path(sys.executable).name


def test_all_good(python: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(checks, "CHECKS", {"one": ["good"], "two": ["good"]})
    assert checks.run_checks(python) == 0
    assert "FAILED" not in capfd.readouterr().out


def test_one_bad(python: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(checks, "CHECKS", {"one": ["bad"], "two": ["good"]})
    assert checks.run_checks(python) == 1
    lines = capfd.readouterr().out.splitlines()
    assert any("one" in line and "FAILED (5)" in line for line in lines)
    assert any("two" in line and "ok" in line for line in lines), "the second was run all the same"
