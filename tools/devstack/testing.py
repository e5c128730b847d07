"""``run.py test``: pytest, and in continuous integration what failed in parallel once more, alone.

Standard library only.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.devstack.checks import pytest_arguments
from tools.devstack.options import ROOT

FAILED: Final = 1
"""pytest's exit code for that, and for nothing else."""
MOST_AGAIN: Final = 10
"""More failures than that are no matter of a busy machine."""


def run(arguments: Sequence[str], once_more: bool) -> int:
    """Run the tests, and give pytest's exit code.

    :param once_more: those that failed, if they are few, are run again when nothing else runs: several processes on
        few cores make a test late now and then. What fails alone, too, has failed. Both runs are printed.
    """
    given = pytest_arguments(list(arguments))
    if not once_more:
        return _pytest(given)
    with tempfile.TemporaryDirectory(prefix="wm-tests-") as cache:
        own = ["-o", f"cache_dir={cache}"]
        code = _pytest([*given, *own])
        failed = _failed(Path(cache))
        if code != FAILED or not 0 < len(failed) <= MOST_AGAIN:
            return code
        print(f"\nOnce more, alone: {', '.join(failed)}\n", flush=True)
        return _pytest(["-v", *own, "--last-failed", "--last-failed-no-failures=none"])


def _pytest(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode


def _failed(cache: Path) -> list[str]:
    path = cache / "v" / "cache" / "lastfailed"
    return sorted(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


if __name__ == "__main__":
    try:
        sys.exit(run(sys.argv[1:], once_more=os.environ.get("CI") == "true"))
    except KeyboardInterrupt:
        sys.exit(130)
