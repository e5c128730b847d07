"""What to do when the wall clock jumps, which decides when arq's cron jobs run.

arq stores for each job when it runs next. A clock set back by an hour reaches that an hour late, and until then no job
runs. A clock set ahead makes arq run all missed turns, one after the other.
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
"""More than a busy or frozen process can be wrong by, and less than anybody would notice."""

Clock = Callable[[], float]


class ClockWatch:
    """Compares the wall clock with a monotonic one.

    :param wall: seconds, may jump
    :param steady: seconds, never does
    """

    def __init__(self, jobs: Sequence[CronJob], wall: Clock = time.time, steady: Clock = time.monotonic) -> None:
        self._jobs = jobs
        self._wall, self._steady = wall, steady
        self._difference = wall() - steady()

    def look(self) -> None:
        """After a jump every job runs at once, which jobs allow, and then by the new clock."""
        difference = self._wall() - self._steady()
        jumped, self._difference = difference - self._difference, difference
        if abs(jumped) > JUMP_SECONDS:
            logger.warning("the clock jumped: all jobs run now", seconds=round(jumped))
            for job in self._jobs:
                job.next_run = None

    def start(self) -> Loop:
        """Look every second from now on."""
        return forever("clock", self._look, LOOK_SECONDS)

    async def _look(self) -> None:
        self.look()
