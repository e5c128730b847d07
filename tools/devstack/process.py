"""Child processes: each in a session of its own, tied to our life, stopped in bounded time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

GUARD = Path(__file__).with_name("parent_death_guard.py")
POLL_SECONDS = 0.005


class ChildError(Exception):
    """A child did not come up, or ended when it should not; the message carries the end of its log."""


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Poll until ``done()`` or the time is over; returns which."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def birth(pid: int) -> str | None:
    """When a living process was born, to tell it from a later one with the same pid; None when it is gone."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def signal_group(pgid: int, number: int) -> bool:
    """Signal a whole process group; False when nobody is left in it."""
    try:
        os.killpg(pgid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so when only zombies are left
        return False
    return True


class Child:
    """A running command. ``pid`` is also its process group and session.

    A session of its own, because Ctrl-C goes to everyone in the terminal's group, and PostgreSQL must outlive Sanic.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        last_signal: signal.Signals = signal.SIGTERM,
        identity: str = "same",
    ) -> None:
        self.name, self.log, self.last_signal = name, log, last_signal
        guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(int(last_signal)), identity]
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*guard, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        self.pid = self.process.pid
        self.born = birth(self.pid)

    def alive(self) -> bool:
        """Whether the command itself still runs."""
        return self.process.poll() is None

    def signal(self, number: signal.Signals | None = None) -> None:
        """Send one signal to the command alone (not its group)."""
        if self.alive():
            self.process.send_signal(number or self.last_signal)

    def stop(self, seconds: float) -> int:
        """Ask once, wait, sweep up; the exit code."""
        self.signal()
        self.signal(signal.SIGCONT)  # a frozen process would not get the other
        return self.wait(seconds)

    def wait(self, seconds: float) -> int:
        """Wait for the end, then sweep the group up, whatever is left in it; the exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        signal_group(self.pid, signal.SIGKILL)
        return self.process.wait()

    def kill(self) -> None:
        """kill -9, group and all."""
        signal_group(self.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self, lines: int = 20) -> str:
        """The end of what it logged in this run."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

    def await_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until ``ready()``.

        :raises ChildError: when it ended first, or the time was over
        """
        # Asked once more, another worker may answer, and not be ready yet: the first yes counts.
        answers: list[bool] = []

        def settled() -> bool:
            answers[:] = [ready()]
            return answers[0] or not self.alive()

        if wait_until(settled, seconds) and answers[0]:
            return
        why = (
            f"did not get ready within {seconds:g} s" if self.alive() else f"ended with code {self.process.returncode}"
        )
        raise ChildError(f"{self.name} {why}. Its last words ({self.log}):\n{self.last_words()}")


class EmbeddedServer:
    """Stop, kill and start again at will; how one starts is its own business."""

    name: ClassVar[str]
    stop_seconds: ClassVar[float] = 5.0
    child: Child | None = None

    def running(self) -> Child:
        """The child.

        :raises RuntimeError: when never started
        """
        if self.child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self.child

    @property
    def pid(self) -> int:
        """Of the server; of PostgreSQL its postmaster."""
        return self.running().pid

    def stop(self) -> None:
        """In peace: what has to be written is, and the socket is removed."""
        if self.child:
            self.child.stop(self.stop_seconds)

    def kill(self) -> None:
        """kill -9; what it started ends when it notices, and the next start recovers."""
        self.running().kill()
