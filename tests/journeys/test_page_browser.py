"""Tests of the page that cannot run are not silently green where it matters."""

import os
import subprocess
import sys

import pytest

from tests.support.stack import ROOT

ONE = "tests/journeys/test_page_views.py"


def run(**env: str) -> subprocess.CompletedProcess[str]:
    """One module of them, on a machine without a browser."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "-q", ONE]
    clean = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        command, cwd=ROOT, env={**clean, "CHROMIUM_BIN": "/nowhere", **env}, capture_output=True, text=True, check=False
    )


def test_without_a_browser_they_are_skipped_with_a_sentence() -> None:
    done = run()
    assert done.returncode == 0, done.stdout
    assert "the tests of the page need" in done.stdout


@pytest.mark.parametrize("ci", ["true"])
def test_in_continuous_integration_they_fail(ci: str) -> None:
    done = run(CI=ci)
    assert done.returncode == 1, done.stdout
    assert "passed" not in done.stdout
    assert "the tests of the page need" in done.stdout
