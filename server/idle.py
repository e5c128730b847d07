"""The HTTP connections of one worker that wait for a request: they may wait for long, but not in any number."""

import resource
import time
from typing import Final, Protocol

YOUNG_SECONDS: Final = 5.0
"""So long nobody is closed for the sake of others: of thousands who connect at once, many have asked already, and
their requests are only not read yet."""
SHARE: Final = 4
"""They may have one in so many of the process's open files."""
FEWEST: Final = 16


class Waiting(Protocol):
    """A connection."""

    def close_if_idle(self) -> bool:
        """End it, and say whether that could be done at once: not where half a head has come."""

    def abort(self) -> None:
        """Cut it."""


def open_files() -> int:
    """How many this process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class IdleConnections:
    """All that wait, the one that waits longest first."""

    def __init__(self, most: int) -> None:
        """:param most: so many may wait; never more than their share of the open files"""
        self._most = max(FEWEST, min(most, open_files() // SHARE))
        self._since: dict[Waiting, float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def waits(self, connection: Waiting) -> None:
        """It has nothing to do from now on. Too many, and those that wait longest are closed."""
        self._since.pop(connection, None)
        self._since[connection] = time.monotonic()
        if len(self._since) > self._most:
            self.close(len(self._since) - self._most, YOUNG_SECONDS)

    def done(self, connection: Waiting) -> None:
        """It has a request, or it is gone; a no-op for one that is not known."""
        self._since.pop(connection, None)

    def close(self, count: int, older_than: float = 0.0) -> int:
        """Close so many at most; how many that were.

        :param older_than: seconds they have waited at least
        """
        until = time.monotonic() - older_than
        chosen = [each for each, since in list(self._since.items())[:count] if since <= until]
        for connection in chosen:
            del self._since[connection]
            if not connection.close_if_idle():
                connection.abort()
        return len(chosen)
