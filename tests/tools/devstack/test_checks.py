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


@pytest.mark.parametrize("named", ["tests/test_docs.py", "tests/protocol", "tests/test_docs.py::test_x"])
def test_files_that_are_named_run_in_one_process(named: str) -> None:
    assert checks.pytest_arguments([named, "-k", "x"]) == [named, "-k", "x"]


@pytest.mark.parametrize("given", [[], ["--quick"], ["-k", "page"]])
def test_the_rest_runs_in_parallel(given: list[str]) -> None:
    arguments = checks.pytest_arguments(given)
    processes = int(arguments[arguments.index("-n") + 1])
    assert processes == 2 * checks.cores()
    assert arguments[len(arguments) - len(given) :] == given


def test_bytecode_is_kept_in_the_environment_where_it_would_not_be_kept(tmp_path: Path) -> None:
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    checks.keep_bytecode(environment, tmp_path)
    assert environment == {"PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    environment = {"OTHER": "1"}
    checks.keep_bytecode(environment, tmp_path)
    assert environment == {"OTHER": "1"}
