"""A faster allocator for the Valkey of the wheel, which is built with the C library's (docs/decisions/0028).

Linux only: the loader is told by ``LD_PRELOAD``, in the environment of that one process.
"""

import glob
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

PACKAGED = "cmeel.prefix/lib/libmimalloc.so.3"
"""Where the package ``cmeel-mimalloc`` puts it, beside the package ``cmeel``."""
SYSTEM = ("/usr/lib/*/libjemalloc.so.2", "/usr/lib64/libjemalloc.so.2", "/usr/lib/libjemalloc.so.2")
UNUSED = "libatomic.so.1"
"""The package's library names it as needed and uses nothing in it; a system without a compiler often lacks it."""
PROBE_SECONDS = 10.0


class Allocator(NamedTuple):
    """What a server allocates memory with.

    :param told: for the person who starts it
    :param library: what is preloaded; None: nothing
    :param env: environment variables of the server, besides those it inherits
    """

    told: str
    library: Path | None = None
    env: Mapping[str, str] = {}

    def is_used_by(self, pid: int) -> bool:
        """Whether the library is in that process. Linux only."""
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
        return self.library is not None and str(self.library.resolve()) in maps


def libc(reason: str) -> Allocator:
    """The C library's own, and why."""
    return Allocator(f"the C library's, with which Redis takes a third longer for a message: {reason}")


@contextmanager
def best_allocator(program: Path, directory: Path) -> Iterator[Allocator]:
    """The best that this program runs with. It has to be started, and its library loaded, before the end of the block.

    :param directory: one of ours with a plain path, for links that the loader can be told
    """
    with TemporaryDirectory(prefix="preload-", dir=directory) as links:
        yield _choose(program, Path(links))


def _choose(program: Path, links: Path) -> Allocator:
    if sys.platform != "linux":
        return Allocator("the system's")
    failures = []
    for name, library in _candidates():
        env = _preloading(library, links)
        if not (failure := _failure(program, env)):
            return Allocator(name, library, env)
        failures.append(f"{library} cannot be loaded ({failure})")
    missing = "the package cmeel-mimalloc is not installed, and the system has no libjemalloc.so.2"
    return libc("; ".join(failures) or missing)


def _candidates() -> list[tuple[str, Path]]:
    system = [Path(found) for pattern in SYSTEM for found in sorted(glob.glob(pattern))]
    return [("mimalloc", path) for path in _packaged()] + [("the system's jemalloc", path) for path in system]


def _packaged() -> list[Path]:
    package = importlib.util.find_spec("cmeel")
    library = Path(package.origin).parents[1] / PACKAGED if package and package.origin else None
    return [library] if library and library.is_file() else []


def _preloading(library: Path, links: Path) -> dict[str, str]:
    """LD_PRELOAD ends a path at a space or a colon, and the path of a checkout may have one; that of a link has none.

    What the person who starts us has set goes first: they may have chosen an allocator.
    """
    link = links / library.name
    link.unlink(missing_ok=True)  # of a library of the same name that could not be loaded
    link.symlink_to(library)
    env = {"LD_PRELOAD": _joined("LD_PRELOAD", link)}
    if library.match(PACKAGED):
        (links / UNUSED).symlink_to(library)
        env["LD_LIBRARY_PATH"] = _joined("LD_LIBRARY_PATH", links)
        # Valkey wants no huge pages (disable-thp); with them it takes 10 to 20 MB more.
        env["MIMALLOC_ALLOW_THP"] = os.environ.get("MIMALLOC_ALLOW_THP", "0")
    return env


def _joined(variable: str, value: Path) -> str:
    before = os.environ.get(variable)
    return f"{before}:{value}" if before else str(value)


def _failure(program: Path, env: Mapping[str, str]) -> str:
    """Why the program does not run with it, or "". Every symbol is looked up at once, also those of ``UNUSED``."""
    try:
        done = subprocess.run(
            [program, "--version"],
            env={**os.environ, **env, "LD_BIND_NOW": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_SECONDS:g} s"
    if done.returncode == 0 and not done.stderr:
        return ""
    return (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
