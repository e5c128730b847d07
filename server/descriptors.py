"""What to do when the process may open no more files.

The event loop then takes connections and closes them at once, without a word to anybody: clients see a server that
hangs up, and operators nothing at all.
"""

import errno
import os
import time
from typing import Final

import structlog

from background.loops import Loop, forever
from server.idle import FEWEST, IdleConnections, open_files

logger = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 60.0
"""Between two lines in the log."""


class Descriptors:
    """Looks whether one more file can be opened; when not, says so, and makes room among those who only wait."""

    def __init__(self, idle: IdleConnections) -> None:
        self._idle = idle
        self._told = float("-inf")
        self._loop: Loop | None = None

    def start(self) -> None:
        """Begin to look."""
        self._loop = forever("descriptors", self.look, LOOK_SECONDS)

    def stop(self) -> None:
        """End; may be called without a start."""
        if self._loop is not None:
            self._loop.cancel()

    async def look(self) -> None:
        """Once."""
        if _one_more():
            return
        waiting = len(self._idle)
        self._idle.close(max(FEWEST, waiting // 2))
        now = time.monotonic()
        if now - self._told >= SILENT_SECONDS:
            self._told = now
            logger.error(
                "the limit of open files is reached: new connections are closed at once",
                limit=open_files(),
                waiting=waiting,
            )


def _one_more() -> bool:
    """Whether another file can be opened.

    :raises OSError: for other reasons than the limit of this process or of the machine
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        return False
    return True
