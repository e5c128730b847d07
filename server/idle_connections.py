"""The HTTP connections of one worker that wait for a request: they may wait for long, but not in any number.

When the process may open no more files, the event loop accepts connections and closes them at once, without a sign:
clients see a server that hangs up, and operators nothing at all. So a worker looks whether one more file can be opened;
when not, it logs that, and closes connections that only wait.
"""

import errno
import os
import resource
import time
from typing import Final, Protocol

import structlog

from background.loops import Loop, forever

logger = structlog.get_logger(__name__)

YOUNG_SECONDS: Final = 5.0
"""So long no connection is closed for the sake of others: of thousands that come at once, many have sent a request
already that is only not read yet."""
SHARE: Final = 4
"""Idle connections may have one in so many of the process's open files."""
FEWEST: Final = 16
CHECK_SECONDS: Final = 1.0
LOG_SECONDS: Final = 60.0
"""At least so long between two lines in the log."""


class IdleConnection(Protocol):
    """A connection of Sanic's."""

    def close_if_idle(self) -> bool:
        """End it, and return whether that could be done at once: not where half a head has come."""

    def abort(self) -> None:
        """Cut it."""


class IdleConnections:
    """All that wait, the one that waits longest first."""

    def __init__(self, limit: int) -> None:
        """:param limit: so many may wait; never more than their share of the open files"""
        self._limit = max(FEWEST, min(limit, open_files_limit() // SHARE))
        self._since: dict[IdleConnection, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, connection: IdleConnection) -> None:
        """It waits from now on. Too many, and those that wait longest are closed."""
        self._since.pop(connection, None)
        self._since[connection] = time.monotonic()
        if len(self._since) > self._limit:
            self.close(len(self._since) - self._limit, YOUNG_SECONDS)

    def remove(self, connection: IdleConnection) -> None:
        """It has a request, or it is gone; a no-op for one that does not wait."""
        self._since.pop(connection, None)

    def close(self, count: int, older_than: float = 0.0) -> int:
        """Close so many at most; returns how many that were.

        :param older_than: seconds they have waited at least
        """
        until = time.monotonic() - older_than
        chosen = [each for each, since in list(self._since.items())[:count] if since <= until]
        for connection in chosen:
            del self._since[connection]
            if not connection.close_if_idle():
                connection.abort()
        return len(chosen)


class OpenFilesWatch:
    """Looks regularly whether one more file can be opened."""

    def __init__(self, idle: IdleConnections) -> None:
        self._idle = idle
        self._logged_at = float("-inf")
        self._loop: Loop | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = forever("open files", self.check, CHECK_SECONDS)

    def stop(self) -> None:
        """End; may be called without a start."""
        if self._loop is not None:
            self._loop.cancel()

    async def check(self) -> None:
        """Look once."""
        if _can_open_one_more():
            return
        waiting = len(self._idle)
        self._idle.close(max(FEWEST, waiting // 2))
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            logger.error(
                "the limit of open files is reached: new connections are closed at once",
                limit=open_files_limit(),
                waiting=waiting,
            )


def open_files_limit() -> int:
    """How many files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _can_open_one_more() -> bool:
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
