"""Which Chromium the tests of the page take, and when they cannot do without."""

from pathlib import Path

import pytest

from tools.devstack import browser


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
    assert (browser.chromium(), browser.is_wanted()) == (None, False)


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_one_on_the_path_is_found(bin_directory: Path, name: str) -> None:
    path = program(bin_directory / name)
    assert (browser.chromium(), browser.is_wanted(), browser.is_required()) == (path, True, False)


def test_the_one_named_is_the_one(bin_directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(bin_directory / "chromium")
    named = program(tmp_path / "mine")
    monkeypatch.setenv("CHROMIUM_BIN", named)
    assert browser.chromium() == named
    monkeypatch.setenv("CHROMIUM_BIN", "/nowhere/chromium")
    assert browser.chromium() is None, "not silently another one"


def test_continuous_integration_needs_it_in_any_case(bin_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert (browser.is_required(), browser.is_wanted()) == (True, True)
