from server.allowance import Allowance


def taken(allowance: Allowance, now: float) -> int:
    count = 0
    while allowance.take(now):
        count += 1
    return count


def test_a_burst_at_once_and_then_the_rate() -> None:
    allowance = Allowance(rate=10, burst=5, now=100.0)
    assert taken(allowance, 100.0) == 5
    assert taken(allowance, 100.05) == 0
    assert taken(allowance, 100.125) == 1
    assert taken(allowance, 100.45) == 3


def test_a_long_pause_saves_up_no_more_than_a_burst() -> None:
    allowance = Allowance(rate=10, burst=5, now=0.0)
    assert taken(allowance, 0.0) == 5
    assert taken(allowance, 1000.0) == 5


def test_asking_in_vain_costs_nothing() -> None:
    allowance = Allowance(rate=1, burst=1, now=0.0)
    assert allowance.take(0.0)
    for now in (0.2, 0.4, 0.6, 0.8):
        assert not allowance.take(now)
    assert allowance.take(1.01)
