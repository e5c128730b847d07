"""``run.py test`` and ``run.py check``: what contributors and CI run, and the browser for it. Standard library only."""

import os
import shutil
import subprocess
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from tools.devstack.options import ROOT, cores

PROCESSES_PER_CORE = 3
"""Most tests wait for a server or a clock most of the time."""


def pytest_arguments(arguments: list[str]) -> list[str]:
    """What ``run.py test`` gives to pytest: the whole in parallel; files that are named in one process, to see more."""
    if any((ROOT / argument.partition("::")[0]).exists() for argument in arguments):
        return arguments
    return [*parallel(), *arguments]


def parallel() -> list[str]:
    """pytest-xdist, each process with servers of its own; tests that share a group share a process."""
    return ["-q", "-n", str(PROCESSES_PER_CORE * cores()), "--dist", "loadgroup"]


def keep_bytecode(environment: MutableMapping[str, str], environment_folder: Path) -> None:
    """Let Python keep what it compiles, also where it is set not to; not beside the sources, but in the environment.

    Hundreds of processes would each compile the same modules again, and pytest rewrite the same tests.
    """
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):
        environment.setdefault("PYTHONPYCACHEPREFIX", str(environment_folder / "bytecode"))


CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "layers": ["lint-imports"],
    "js types": ["python", "-m", "tools.devstack.javascript"],
    "docs": ["python", "-m", "tools.docs"],
    "tests": ["python", "-m", "tools.devstack.testing"],
    "simulate": ["python", "-m", "tools.simulate", "--seconds", "60"],
}


def run_checks(python: Path) -> int:
    """Run every check, also after one that failed: a person who repairs one wants to know of the others.

    :returns: the exit code
    """
    results = [_run(name, [str(python.parent / program), *rest]) for name, (program, *rest) in CHECKS.items()]
    print("\n" + "\n".join(line for _, line in results), flush=True)
    return 0 if all(good for good, _ in results) else 1


def _run(name: str, command: list[str]) -> tuple[bool, str]:
    print(f"\n── {name}", flush=True)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    verdict = "ok" if code == 0 else f"FAILED ({code})"
    return code == 0, f"{name:<8} {verdict:<12} {time.monotonic() - began:5.1f} s"


_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The path of the program: what ``CHROMIUM_BIN`` names, else the first one on the PATH."""
    named = os.environ.get("CHROMIUM_BIN")
    names = [named] if named else _NAMES
    return next((found for name in names if (found := shutil.which(name))), None)


def browser_is_required() -> bool:
    """Whether a missing browser is a failure: in continuous integration a skipped test protects nothing."""
    return os.environ.get("CI") == "true"


def browser_is_wanted() -> bool:
    """Whether the tests need the driver. It is large, so nobody without a Chromium should wait for it."""
    return browser_is_required() or chromium() is not None
