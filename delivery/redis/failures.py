"""Commands that Redis rejects: the command is wrong, or a key does not hold what it should."""

import time
from typing import Final

import structlog

logger = structlog.get_logger(__name__)
QUIET_SECONDS: Final = 60.0
MAX_KINDS: Final = 100


class Failures:
    """Logs each kind of failure once in ``QUIET_SECONDS``, with a count: a broken key fails for every chat."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}
        """(script, error code) -> when it was logged last, and how often it came since."""

    def note(self, script: str, text: str) -> None:
        """Count one failure of this script ("": of a plain command), with Redis' text."""
        kind, now = (script, text.partition(" ")[0]), time.monotonic()
        logged, more = self._kinds.get(kind, (None, 0))
        if logged is not None and now - logged < QUIET_SECONDS:
            self._kinds[kind] = (logged, more + 1)
            return
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        logger.error("Redis rejects a command", script=script, error=text[:200], more_since_last=more)
