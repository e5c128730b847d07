"""An estimate of Redis' clock, made from its replies.

Redis may execute a command long after it was written: it is busy, or stood still. A command that carries the time of
writing, by Redis' own clock, cannot mean more by that than it did then.
"""

import time
from collections.abc import Callable

from delivery.redis.client import Arg


class RedisClock:
    """A lower bound of Redis' time: a reply is always older than the moment it is read.

    :param steady: seconds, never jumps; Redis' clock may
    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self.steady = steady
        self._offset: float | None = None
        """Redis' time less ours, in ms; None before the first reply."""

    @property
    def now(self) -> Arg:
        """Redis' time in ms, at the earliest; "" before the first reply."""
        return "" if self._offset is None else int(self.steady() * 1000 + self._offset)

    def observe(self, redis_ms: int, sent_at: float) -> None:
        """A reply was read just now.

        The quickest reply gives the best estimate. A reply that is older than its own command, as far as the estimate
        goes, shows that Redis' clock was set back.

        :param redis_ms: Redis' time when it executed the command
        :param sent_at: when the command was written, by ``steady``
        """
        offset = redis_ms - self.steady() * 1000
        if self._offset is None or offset > self._offset or redis_ms < int(sent_at * 1000 + self._offset):
            self._offset = offset
