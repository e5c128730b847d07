"""What Redis cannot do: a command of ours that is wrong, or a key that is not what it should be."""

import time
from typing import Final

import structlog
from redis.exceptions import ResponseError

logger = structlog.get_logger(__name__)
QUIET_SECONDS: Final = 60.0
MOST_KINDS: Final = 100


class CommandFailed(ResponseError):
    """Redis answered this command with an error, and is well otherwise. It fails again if it is repeated, until
    somebody mends the key; what concerns another person does not fail. Already logged."""


class Failures:
    """Logs each kind once in ``QUIET_SECONDS``, and how often it came meanwhile: a broken key fails for every chat."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}
        """(script, error code) -> when it was logged last, and how often it came since."""

    def note(self, script: str, words: str) -> None:
        """One failure of this script ("": of a plain command), in Redis' words."""
        kind, now = (script, words.partition(" ")[0]), time.monotonic()
        logged, more = self._kinds.get(kind, (None, 0))
        if logged is not None and now - logged < QUIET_SECONDS:
            self._kinds[kind] = (logged, more + 1)
            return
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        logger.error("Redis cannot do a command", script=script, error=words[:200], more_since_last=more)
