"""The virtual environment: made once, brought up to date when the locks change. Standard library only.

It is installed in layers. The product takes two of them; a person who only tries it does not wait for the rest.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.devstack.options import ROOT
from tools.devstack.progress import follow

VENV = ROOT / ".venv"
LOCKS = {
    "product": ROOT / "requirements.txt",
    "embedded": ROOT / "requirements/embedded.txt",
    "dev": ROOT / "requirements/dev.txt",
    "bench": ROOT / "requirements/bench.txt",
    "browser": ROOT / "requirements/browser.txt",
    "docs": ROOT / "requirements/docs.txt",
    "node": ROOT / "requirements/node.txt",
    "terminal": ROOT / "requirements/terminal.txt",
}
RUN = ("product", "embedded")
"""What the one-command start needs."""
EXPECTATION = {
    "product": "about 25 MB to download, 105 MB on disk; usually 10 to 30 s",
    "dev": "about 30 MB to download, 100 MB on disk; usually 10 to 40 s",
    "bench": "about 25 MB to download, 90 MB on disk; usually 5 to 30 s",
    "browser": "about 50 MB to download, 140 MB on disk; usually 5 to 30 s",
    "docs": "about 27 MB to download, 100 MB on disk; usually 3 to 15 s",
    "node": "about 60 MB to download, 200 MB on disk; usually 5 to 30 s",
    "terminal": "about 3 MB to download, 15 MB on disk; a few seconds",
}
STAMP = VENV / "installed"
"""Written last. It names where it was installed, for which Python, and the digest of each lock."""
UNFINISHED = VENV / "unfinished"
"""Exists while an installer works: what it left half-done, pip would later take for complete."""


def ready_python(*more: str) -> Path:
    """The environment's Python, after installing whatever is missing.

    :param more: layers besides those of the one-command start: ``dev``, ``bench``, ``browser``, ``docs``, ``node``,
        ``terminal``
    :raises SystemExit: with what to do, when that fails
    """
    layers = (*RUN, *more)
    python = VENV / "bin" / "python"
    with _one_at_a_time():
        try:
            missing = list(layers) if UNFINISHED.exists() or not python.exists() else _missing(layers)
        except PermissionError as error:
            sys.exit(f"run.py: {error.filename} cannot be read: another user made it. Use a clone of your own.")
        if missing:
            try:
                _install(python, layers, missing)
            except OSError as error:
                sys.exit(f"run.py: {VENV} cannot be set up: {error.strerror or error}")
    return python


def _missing(layers: tuple[str, ...]) -> list[str]:
    """Those of the layers that are not installed, or from another lock."""
    place, *done = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() else [""]
    return [layer for layer in layers if place != _place() or _digest(layer) not in done]


def _place() -> str:
    """Scripts carry the path of the environment, so a moved checkout needs a new one."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor} in {VENV}"


def _digest(layer: str) -> str:
    return f"{layer} {hashlib.sha256(LOCKS[layer].read_bytes()).hexdigest()}"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two first starts at once would install into one another."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _install(python: Path, layers: tuple[str, ...], missing: list[str]) -> None:
    began = time.monotonic()
    print(f"Setting up {VENV} for {', '.join(missing)} (once; later starts take seconds)", flush=True)
    for layer in missing:
        if layer in EXPECTATION:
            print(f"  {layer:<9} {EXPECTATION[layer]}", flush=True)
    before = [] if _must_be_new(python) or not STAMP.exists() else STAMP.read_text(encoding="utf-8").splitlines()[1:]
    uv = shutil.which("uv")
    if not (uv and _install_with_uv(uv, python, layers)):
        _install_with_pip(python, layers)
    kept = [line for line in before if line.split()[0] not in layers]
    STAMP.write_text("\n".join([_place(), *kept, *map(_digest, layers)]) + "\n", encoding="utf-8")
    print(f"Installed in {time.monotonic() - began:.0f} s", flush=True)


def _install_with_uv(uv: str, python: Path, layers: tuple[str, ...]) -> bool:
    """Ten times as fast as pip. Where it fails (it does not read pip's settings of an index) pip has its turn."""
    _make_environment(python, with_pip=False)
    command = [uv, "pip", "install", "--python", str(python), "--require-hashes", "--no-progress"]
    compiling = ["--compile-bytecode"] if sys.dont_write_bytecode else []
    code, output = _run([*command, *compiling], layers)
    if code != 0:
        print(f"  uv failed (code {code}), so pip is tried: {(output.strip().splitlines() or ['-'])[-1]}", flush=True)
    return code == 0


def _install_with_pip(python: Path, layers: tuple[str, ...]) -> None:
    pip = _pip()
    _make_environment(python, with_pip=pip is None)
    command = [*(pip or [str(python), "-m", "pip"]), "install", "--require-hashes", "--no-input"]
    # Compiling every module in advance takes a quarter of the time, and most are never imported. Python compiles those
    # that are, and keeps the result, unless it is set not to.
    compiling = [] if sys.dont_write_bytecode else ["--no-compile"]
    code, output = _run([*command, "--disable-pip-version-check", *compiling], layers)
    if code != 0:
        sys.exit(f"{output}run.py: pip failed (code {code}); its words are above")


def _run(command: list[str], layers: tuple[str, ...]) -> tuple[int, str]:
    """Let an installer install all these layers; its exit code, and everything it printed."""
    locks = [LOCKS[layer] for layer in layers]
    names = {
        name for lock in locks for name in re.findall(r"^([\w.-]+)==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    }
    UNFINISHED.touch()
    code, output = follow([*command, *(part for lock in locks for part in ("-r", str(lock)))], len(names), VENV)
    if code == 0:
        UNFINISHED.unlink()
    return code, output


def _pip() -> list[str] | None:
    """Our own pip, working for the environment: quicker than a pip in it, and some systems lack ensurepip."""
    if importlib.util.find_spec("pip") is None:
        return None
    return [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python")]


def _must_be_new(python: Path) -> bool:
    """Whether what is there cannot be kept: half installed, moved here from elsewhere, or of another Python."""
    moved = STAMP.exists() and STAMP.read_text(encoding="utf-8").splitlines()[:1] != [_place()]
    return UNFINISHED.exists() or moved or not python.exists() or not _same_version(python)


def _make_environment(python: Path, *, with_pip: bool) -> None:
    if _must_be_new(python):
        shutil.rmtree(VENV, ignore_errors=True)
    if python.exists() and not with_pip:
        return
    try:
        venv.create(VENV, with_pip=with_pip, symlinks=True)
    except subprocess.CalledProcessError:
        sys.exit("run.py: this Python has no pip. Install it first, for example: apt-get install python3-pip")


def _same_version(python: Path) -> bool:
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.split() == [str(sys.version_info.major), str(sys.version_info.minor)]
