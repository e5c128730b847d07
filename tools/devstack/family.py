"""The children of one launcher: on record, so that a next start finds what a killed launcher left behind."""

import json
import os
import signal
import sys
from pathlib import Path

from tools.devstack.process import Child, birth, signal_group, wait_until
from tools.devstack.runfile import write_private

GOODBYE_SECONDS = 3.0


class Family:
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


def take_over(data: Path) -> int:
    """End what an earlier launcher, killed, left running on this data directory; how many there were.

    On Linux the kernel has told them already, and Sanic must be told only once.
    """
    told = sys.platform == "linux"
    count = 0
    for record in data.glob("children*.json"):
        for facts in json.loads(record.read_text(encoding="utf-8")):
            count += _end(int(facts["pid"]), facts["born"], facts["signal"], told=told)
        record.unlink()
    return count


def _end(pid: int, born: str, number: int, *, told: bool) -> bool:
    now = birth(pid)
    if now not in (None, born):
        return False  # another process, long since
    if now and not told:
        os.kill(pid, number)
    wait_until(lambda: birth(pid) != born, GOODBYE_SECONDS)
    return signal_group(pid, signal.SIGKILL) or now is not None
