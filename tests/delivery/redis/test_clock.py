"""The estimate of Redis' clock."""

from delivery.redis.clock import RedisClock


class Clock:
    """Redis' clock and ours, both set by the test; seconds."""

    def __init__(self) -> None:
        self.ours, self.redis = 1_000.0, 5_000.0
        self.estimate = RedisClock(lambda: self.ours)

    def pass_(self, seconds: float) -> None:
        self.ours += seconds
        self.redis += seconds

    def exchange(self, there: float = 0.0, back: float = 0.0) -> None:
        """A command that travels for so long, and its reply."""
        sent_at = self.ours
        self.pass_(there)
        redis_ms = int(self.redis * 1000)
        self.pass_(back)
        self.estimate.observe(redis_ms, sent_at)

    @property
    def behind(self) -> int:
        """How far the estimate is behind, in ms."""
        now = self.estimate.now
        assert isinstance(now, int)
        return int(self.redis * 1000) - now


def test_before_the_first_reply_there_is_no_estimate() -> None:
    assert Clock().estimate.now == ""


def test_the_quickest_reply_gives_the_best_estimate() -> None:
    clock = Clock()
    clock.exchange(back=2)
    assert clock.behind == 2_000
    clock.exchange(there=3, back=0.01)
    assert clock.behind == 10
    clock.exchange(there=1, back=3)
    clock.pass_(60)
    assert clock.behind == 10


def test_a_jump_of_redis_clock_shows_with_the_next_reply() -> None:
    clock = Clock()
    clock.exchange()
    for jump in (3_600, -3_600, -1, 1):
        before = clock.behind
        clock.redis += jump
        assert clock.behind == before + jump * 1000
        clock.exchange(there=0.5, back=0.1)
        assert clock.behind == 100
