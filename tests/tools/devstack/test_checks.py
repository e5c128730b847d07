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
    assert processes == checks.PROCESSES_PER_CORE * checks.cores()
    assert arguments[len(arguments) - len(given) :] == given


def test_bytecode_is_kept_in_the_environment_where_it_would_not_be_kept(tmp_path: Path) -> None:
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    checks.keep_bytecode(environment, tmp_path)
    assert environment == {"PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    environment = {"OTHER": "1"}
    checks.keep_bytecode(environment, tmp_path)
    assert environment == {"OTHER": "1"}


@pytest.fixture
def bin_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only directory of the PATH; nothing else is set."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM_BIN", raising=False)
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


def program(path: Path) -> str:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_nobody_without_a_chromium_waits_for_its_driver(bin_directory: Path) -> None:
    assert (checks.chromium(), checks.browser_is_wanted()) == (None, False)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_one_on_the_path_is_found(bin_directory: Path, name: str) -> None:
    path = program(bin_directory / name)
    assert (checks.chromium(), checks.browser_is_wanted(), checks.browser_is_required()) == (path, True, False)


def test_the_one_named_is_the_one(bin_directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(bin_directory / "chromium")
    named = program(tmp_path / "mine")
    monkeypatch.setenv("CHROMIUM_BIN", named)
    assert checks.chromium() == named
    monkeypatch.setenv("CHROMIUM_BIN", "/nowhere/chromium")
    assert checks.chromium() is None, "not silently another one"


def test_continuous_integration_needs_it_in_any_case(bin_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert (checks.browser_is_required(), checks.browser_is_wanted()) == (True, True)
