"""Looking at processes, and having patience with a busy machine."""

import os
from pathlib import Path

from tools.devstack.process import birth


def patient(seconds: float) -> float:
    """A limit measured on an idle machine, for this one: longer when more wants to run than there are cores."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def descendants(pid: int) -> list[int]:
    """All living children, their children and so on."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def living(pids: list[int]) -> list[int]:
    """Which of these still live."""
    return [pid for pid in pids if birth(pid)]
