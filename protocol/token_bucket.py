"""A token bucket: limits how much of something may happen, on average and at once."""


class TokenBucket:
    """Full at the start. ``rate`` tokens a second come back, up to ``burst``.

    Times are seconds on one clock, which the caller chooses and always passes.
    """

    __slots__ = ("_at", "_left", "_rate", "burst")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self.burst = burst
        self._left = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more is allowed; if not, nothing is taken."""
        if self.left(now) < 1:
            return False
        self._left -= 1
        return True

    def charge(self, tokens: float, now: float) -> float:
        """Take so many, even if there are fewer: what something costs may be known only afterwards.

        :returns: seconds until the bucket is out of debt; 0.0 when it is in none
        """
        left = self._left + (now - self._at) * self._rate
        self._at = now
        self._left = left = (left if left < self.burst else self.burst) - tokens
        return -left / self._rate if left < 0 else 0.0

    def left(self, now: float) -> float:
        """Tokens in the bucket; below 0 when more were charged."""
        self._left = min(self.burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def is_full(self, now: float) -> bool:
        """Whether it could be replaced by a new bucket."""
        return self.left(now) >= self.burst
