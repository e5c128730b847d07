"""The wall clock, by which arq's cron jobs go, and what to do when it jumps.

arq knows of each job when it runs next. Set back by an hour, the clock reaches that an hour late, and until then no
chore is done; set ahead, all the missed turns are made up for, one after the other.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from arq.cron import CronJob

from background.loops import Loop, forever

logger = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
JUMP_SECONDS: Final = 5.0
"""More than a busy or frozen process can be wrong about, less than what would be missed."""

Clock = Callable[[], float]


class ClockWatch:
    """Compares the wall clock with the one that only goes forward.

    :param wall: seconds, may jump
    :param steady: seconds, never does
    """

    def __init__(self, jobs: Sequence[CronJob], wall: Clock = time.time, steady: Clock = time.monotonic) -> None:
        self._jobs = jobs
        self._wall, self._steady = wall, steady
        self._apart = wall() - steady()

    def look(self) -> None:
        """After a jump every job runs at once (each bears that), and from then on by the clock as it is now."""
        apart = self._wall() - self._steady()
        jumped, self._apart = apart - self._apart, apart
        if abs(jumped) > JUMP_SECONDS:
            logger.warning("the clock jumped: chores begin anew", seconds=round(jumped))
            for job in self._jobs:
                job.next_run = None

    def start(self) -> Loop:
        """Look every second from now on."""
        return forever("clock", self._look, LOOK_SECONDS)

    async def _look(self) -> None:
        self.look()
