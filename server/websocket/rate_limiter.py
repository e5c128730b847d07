"""How many frames one socket may send of the kinds that its handler never sees."""

from protocol.token_bucket import TokenBucket
from settings import Settings


class FrameRateLimiter:
    """Two token buckets. Whole messages are charged by the handler, which knows what they are.

    Times are seconds on the event loop's clock.
    """

    __slots__ = ("_control_frames", "_fragments")

    def __init__(self, settings: Settings, now: float) -> None:
        self._fragments = TokenBucket(settings.data_frames_per_second, settings.data_frames_burst, now)
        self._control_frames = TokenBucket(settings.control_frames_per_second, settings.control_frames_burst, now)

    def charge_fragment(self, now: float) -> float:
        """Count a fragment; the seconds for which nothing more should be read, usually 0.0."""
        return self._fragments.charge(1, now)

    def allows_control_frame(self, now: float) -> bool:
        """Count a control frame; whether it was not one too many. Their answers cost more than they do."""
        return self._control_frames.take(now)
