"""A token bucket: how often something may happen, on average and at once."""


class Allowance:
    """Full at the start. Each :meth:`take` costs one token; ``rate`` tokens a second come back, up to ``burst``."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """:param now: seconds on the clock that every later call uses"""
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more is allowed; if not, nothing is taken."""
        left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if left < 1:
            self._left = left
            return False
        self._left = left - 1
        return True
