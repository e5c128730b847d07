"""Tests of the page that cannot run are not silently green where it matters."""

import os
import subprocess
import sys

import pytest

from tests.support.browser import chromium_or_skip
from tests.support.stack import ROOT

ONE = "tests/journeys/test_page_views.py"


def test_without_a_browser_they_are_skipped_with_a_sentence() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "-q", ONE]
    clean = {name: value for name, value in os.environ.items() if name != "CI"}
    env = {**clean, "CHROMIUM_BIN": "/nowhere"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "passed" not in done.stdout
    assert "the tests of the page need" in done.stdout


def test_in_continuous_integration_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("CHROMIUM_BIN", "/nowhere")
    with pytest.raises(pytest.fail.Exception, match="the tests of the page need"):
        chromium_or_skip()
