"""What Redis' clock shows, as far as its answers tell.

Redis may execute what we write much later: it is busy, or stood still. A command that says when it was written, by
Redis' own clock, cannot mean more by that than it did then.
"""

import time
from collections.abc import Callable

from delivery.redis.client import Arg


class RedisClock:
    """Knows it from below: an answer is older than the moment in which we hear it.

    :param steady: seconds, never jumps; Redis' clock may
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self.steady = steady
        self._ahead: float | None = None
        """Redis' ms, less ours."""

    @property
    def now(self) -> Arg:
        """In ms, at the earliest; "": nobody answered yet."""
        return "" if self._ahead is None else int(self.steady() * 1000 + self._ahead)

    def told(self, now_ms: int, asked: float) -> None:
        """An answer came just now: so late was it when Redis worked on what was ``asked`` at that time of ``steady``.

        The quickest answer tells best. One that is older than its question by what we knew tells of a clock set back.
        """
        ahead = now_ms - self.steady() * 1000
        if self._ahead is None or ahead > self._ahead or now_ms < int(asked * 1000 + self._ahead):
            self._ahead = ahead
