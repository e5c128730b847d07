"""What a server knows of Redis' clock."""

from delivery.redis.clock import RedisClock


class Clock:
    """Redis' and ours, by hand; seconds."""

    def __init__(self) -> None:
        self.ours, self.redis = 1_000.0, 5_000.0
        self.known = RedisClock(lambda: self.ours)

    def pass_(self, seconds: float) -> None:
        self.ours += seconds
        self.redis += seconds

    def ask(self, there: float = 0.0, back: float = 0.0) -> None:
        """So long is the question under way, and so long the answer."""
        asked = self.ours
        self.pass_(there)
        told = int(self.redis * 1000)
        self.pass_(back)
        self.known.told(told, asked)

    @property
    def behind(self) -> int:
        """What we believe, and what is, in ms."""
        now = self.known.now
        assert isinstance(now, int)
        return int(self.redis * 1000) - now


def test_before_the_first_answer_nothing_is_known() -> None:
    assert Clock().known.now == ""


def test_it_is_known_as_well_as_the_quickest_answer_was_quick() -> None:
    clock = Clock()
    clock.ask(back=2)
    assert clock.behind == 2_000
    clock.ask(there=3, back=0.01)
    assert clock.behind == 10
    clock.ask(there=1, back=3)
    clock.pass_(60)
    assert clock.behind == 10


def test_a_jump_is_known_with_the_next_answer() -> None:
    clock = Clock()
    clock.ask()
    for jump in (3_600, -3_600, -1, 1):
        before = clock.behind
        clock.redis += jump
        assert clock.behind == before + jump * 1000
        clock.ask(there=0.5, back=0.1)
        assert clock.behind == 100
