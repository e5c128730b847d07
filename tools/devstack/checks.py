"""``run.py check``: what CI runs. Standard library only."""

import subprocess
import time
from pathlib import Path

from tools.devstack.options import ROOT

CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "floors": ["lint-imports"],
    "tests": ["pytest"],
}


def run_checks(python: Path) -> int:
    """Run every check, also after one that failed: who repairs one wants to know of the others. The exit code."""
    results = [_run(name, [str(python.parent / program), *rest]) for name, (program, *rest) in CHECKS.items()]
    print("\n" + "\n".join(line for _, line in results), flush=True)
    return 0 if all(good for good, _ in results) else 1


def _run(name: str, command: list[str]) -> tuple[bool, str]:
    print(f"\n── {name}", flush=True)
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    verdict = "ok" if code == 0 else f"FAILED ({code})"
    return code == 0, f"{name:<8} {verdict:<12} {time.monotonic() - began:5.1f} s"
