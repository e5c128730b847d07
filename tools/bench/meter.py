"""Counting the CPU of everybody while something happens."""

import time

from tools.bench import cpu
from tools.bench.venue import Venue


class Meter:
    """From its making to :meth:`stop`.

    :ivar seconds: how long that was
    :ivar used: CPU seconds of each role
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._before, self._began = cpu.spent(venue.processes()), time.perf_counter()
        self.seconds = 0.0
        self.used: dict[str, float] = {}

    def stop(self) -> None:
        """Enough."""
        self.seconds = time.perf_counter() - self._began
        self.used = cpu.difference(self._before, cpu.spent(self._venue.processes()))
