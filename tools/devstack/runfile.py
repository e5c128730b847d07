"""What a data directory says about what runs on it: ``run.json``, the lock that keeps it to one, ``children.json``."""

import contextlib
import fcntl
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tools.devstack.paths import UnsafePathError
from tools.devstack.process import Child, birth, signal_group, wait_until

NAME = "run.json"


class AlreadyRunningError(Exception):
    """Someone else runs on this data directory."""


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by us alone: a reader sees the old or the new, never a half."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read_run(path: Path) -> dict[str, Any] | None:
    """What runs, or None when the file is missing or its launcher is dead."""
    try:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return run if birth(int(run["pid"])) else None


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the data directory. The kernel lets go of the lock when we die, however that happens.

    :raises AlreadyRunningError: naming the instance that runs
    :raises UnsafePathError: when nothing can be written there
    """
    with _lock_file(data) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            run = read_run(data / NAME)
            where = f"{run['url']} (process {run['pid']})" if run else "it is just starting or stopping"
            raise AlreadyRunningError(
                f"WhatsApp Mini already runs on {data}: {where}.\n"
                "Stop it first, or start another with --data DIR, or add servers to it with "
                f"--join {shlex.quote(str(data))}"
            ) from None
        yield


def _lock_file(data: Path) -> TextIO:
    try:
        return (data / "lock").open("a", encoding="utf-8")
    except OSError as error:
        raise UnsafePathError(f"Cannot write in {data}: {error.strerror}") from None


class RunFile:
    """Written when what it says has changed; removed at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = ""

    def update(self, run: dict[str, Any]) -> None:
        """Tell what runs now."""
        text = json.dumps(run, indent=2) + "\n"
        if text != self._written:
            write_private(self.path, text)
            self._written = text

    def remove(self) -> None:
        """Nothing runs any more."""
        self.path.unlink(missing_ok=True)


LEFTOVER_SECONDS = 3.0


class ChildRegistry:
    """Every child that lives, by name."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._children: dict[str, Child] = {}

    def add(self, child: Child) -> Child:
        """Put a child on record, in the place of an earlier one of that name."""
        self._children[child.name] = child
        facts = [
            {"name": each.name, "pid": each.pid, "born": each.born, "signal": int(each.last_signal)}
            for each in self._children.values()
        ]
        write_private(self._record, json.dumps(facts))
        return child

    def others_than(self, name: str) -> list[Child]:
        """Everyone but the one of that name."""
        return [child for child in self._children.values() if child.name != name]

    def close(self) -> None:
        """Sweep up whatever is left of anyone."""
        for child in self._children.values():
            child.kill()
        self._record.unlink(missing_ok=True)


def end_leftovers(data: Path) -> int:
    """End what an earlier launcher, killed, left running on this data directory; how many there were.

    On Linux the kernel has signalled them already, and Sanic must be signalled only once.
    """
    signalled = sys.platform == "linux"
    count = 0
    for record in data.glob("children*.json"):
        for facts in json.loads(record.read_text(encoding="utf-8")):
            count += _end(int(facts["pid"]), facts["born"], facts["signal"], signalled=signalled)
        record.unlink()
    return count


def _end(pid: int, born: str, number: int, *, signalled: bool) -> bool:
    now = birth(pid)
    if now not in (None, born):
        return False  # another process, long since
    if now and not signalled:
        os.kill(pid, number)
    wait_until(lambda: birth(pid) != born, LEFTOVER_SECONDS)
    return signal_group(pid, signal.SIGKILL) or now is not None
