"""The virtual environment: made once, brought up to date when the locks change. Standard library only."""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.devstack.options import ROOT

VENV = ROOT / ".venv"
LOCKS = (ROOT / "requirements.txt", ROOT / "requirements/dev.txt")
STAMP = VENV / "installed"
"""Written last. It names what was installed, where, and for which Python."""
MORE_LOCKS = {name: ROOT / "requirements" / f"{name}.txt" for name in ("bench", "browser")}
"""What only some commands need: nobody else should wait for it. Each has a stamp of its own."""
UNFINISHED = VENV / "unfinished"
"""Exists while pip works: what it left half-done pip itself would later take for complete."""


def ready_python(*, bench: bool = False, browser: bool = False) -> Path:
    """The environment's Python, after installing whatever is missing.

    :param bench: with what the benchmark needs
    :param browser: with what the tests of the page need
    :raises SystemExit: with what to do, when that fails
    """
    python = VENV / "bin" / "python"
    with _one_at_a_time():
        if not (python.exists() and _stamped()):
            _install(python, LOCKS, STAMP)
        for name in [name for name, wanted in (("bench", bench), ("browser", browser)) if wanted]:
            locks, stamp = (*LOCKS, MORE_LOCKS[name]), STAMP.with_name(f"{STAMP.name}-{name}")
            if not _stamped(locks, stamp):
                _install(python, locks, stamp)
    return python


def _stamped(locks: tuple[Path, ...] | None = None, stamp: Path | None = None) -> bool:
    stamp = stamp or STAMP
    return stamp.exists() and stamp.read_text(encoding="utf-8") == _wanted(locks)


def _wanted(locks: tuple[Path, ...] | None = None) -> str:
    """Scripts carry the path of the environment, so a moved checkout needs a new one."""
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks or LOCKS)).hexdigest()
    return f"{digest}\n{VENV}\n{sys.version_info.major}.{sys.version_info.minor}\n"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two first starts at once would install into one another."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _install(python: Path, locks: tuple[Path, ...], stamp: Path) -> None:
    began = time.monotonic()
    print(f"Setting up {VENV} (once; later starts take seconds)", flush=True)
    pip = _pip()
    _make_environment(python, with_pip=pip is None)
    UNFINISHED.touch()
    stamp.unlink(missing_ok=True)
    command = [*(pip or [str(python), "-m", "pip"]), "install", "--require-hashes", "--no-input"]
    _run_pip([*command, *(part for lock in locks for part in ("-r", str(lock)))], locks)
    UNFINISHED.unlink()
    stamp.write_text(_wanted(locks), encoding="utf-8")
    print(f"Installed in {time.monotonic() - began:.0f} s", flush=True)


def _pip() -> list[str] | None:
    """Our own pip, told to work for the environment: quicker than a pip in it, and some systems lack ensurepip."""
    if importlib.util.find_spec("pip") is None:
        return None
    return [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python"), "--disable-pip-version-check"]


def _make_environment(python: Path, *, with_pip: bool) -> None:
    if UNFINISHED.exists() or _moved() or not python.exists() or not _same_version(python):
        shutil.rmtree(VENV, ignore_errors=True)
    if python.exists() and not with_pip:
        return
    try:
        venv.create(VENV, with_pip=with_pip, symlinks=True)
    except subprocess.CalledProcessError:
        sys.exit("run.py: this Python has no pip. Install it first, for example: apt-get install python3-pip")


def _moved() -> bool:
    """Whether it was installed elsewhere: its scripts still name the Python of that place."""
    return STAMP.exists() and str(VENV) not in STAMP.read_text(encoding="utf-8").splitlines()


def _same_version(python: Path) -> bool:
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.split() == [str(sys.version_info.major), str(sys.version_info.minor)]


def _run_pip(command: list[str], locks: tuple[Path, ...]) -> None:
    """Run pip; show which package it is at, and everything it said if it fails."""
    total = sum(len(re.findall(r"^[\w.-]+==", lock.read_text(encoding="utf-8"), re.MULTILINE)) for lock in locks)
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        try:
            assert pip.stdout is not None  # noqa: S101 - for the type checker: we asked for a pipe
            _follow(pip.stdout, said, total)
        except BaseException:
            pip.send_signal(signal.SIGTERM)
            raise
    if pip.returncode != 0:
        sys.exit("".join(said) + f"run.py: pip failed (code {pip.returncode}); its words are above")


def _follow(lines: Iterable[str], said: list[str], total: int) -> None:
    done = 0
    for line in lines:
        said.append(line)
        if found := re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line):
            done += 1
            _show(f"  {done}/{total} {found[1]}", last=False, every=done % 20 == 0)
        elif line.startswith("Installing collected"):
            _show("  unpacking", last=True, every=True)


def _show(text: str, *, last: bool, every: bool) -> None:
    """One line that changes on a terminal; now and then a line elsewhere."""
    with contextlib.suppress(OSError):
        if sys.stdout.isatty():
            print(f"\r{text:<60}", end="\n" if last else "", flush=True)
        elif every:
            print(text, flush=True)
