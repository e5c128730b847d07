"""The file that tells others what runs: ``run.json`` in the data directory, and the lock that keeps it to one."""

import contextlib
import fcntl
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tools.devstack.places import UnsafePlaceError
from tools.devstack.process import birth

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
    :raises UnsafePlaceError: when nothing can be written there
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
        raise UnsafePlaceError(f"Cannot write in {data}: {error.strerror}") from None


class RunFile:
    """Written when what it tells has changed; removed at the end."""

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
