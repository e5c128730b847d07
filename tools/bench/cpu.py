"""CPU and memory of processes, as the operating system counts them. Linux only: it reads /proc."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
Processes = Mapping[str, list[int]]
"""Roles (``server``, ``redis``, …) and the processes that play them."""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …

    :raises FileNotFoundError: when there is no such process
    """
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def seconds(pid: int) -> float:
    """CPU seconds a process has used, user and system, with those of its children that have ended."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICK


def system_seconds(pid: int) -> float:
    """CPU seconds that a process has spent in the kernel.

    :raises FileNotFoundError: when there is no such process
    """
    return int(_stat(pid)[12]) / _TICK


def spent(processes: Processes) -> dict[str, float]:
    """CPU seconds used so far by each role, and by ourselves as ``client``.

    A process that has ended meanwhile is left out: its parent, which is in the same role, has its time by then.
    """
    used = {role: sum(_seconds_if_any(pid) for pid in pids) for role, pids in processes.items()}
    own = os.times()
    return {**used, "client": own.user + own.system}


def _seconds_if_any(pid: int) -> float:
    try:
        return seconds(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds used in between."""
    return {role: round(after[role] - before.get(role, 0.0), 3) for role in after}


def memory(pids: Iterable[int]) -> int:
    """Bytes of memory of some processes; what they share counts once (PSS)."""
    return sum(_pss(pid) for pid in pids)


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


class CpuTimer:
    """Counts CPU from its construction to :meth:`stop`.

    :ivar seconds: how long that was
    :ivar used: CPU seconds of each role
    """

    def __init__(self, processes: Callable[[], Processes]) -> None:
        self._processes = processes
        self._before, self._began = spent(processes()), time.perf_counter()
        self.seconds = 0.0
        self.used: dict[str, float] = {}

    def stop(self) -> None:
        """End the measurement."""
        self.seconds = time.perf_counter() - self._began
        self.used = difference(self._before, spent(self._processes()))
