import pytest

from protocol.token_bucket import TokenBucket


def taken(bucket: TokenBucket, now: float) -> int:
    count = 0
    while bucket.take(now):
        count += 1
    return count


def test_a_burst_at_once_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=100.0)
    assert taken(bucket, 100.0) == 5
    assert taken(bucket, 100.05) == 0
    assert taken(bucket, 100.125) == 1
    assert taken(bucket, 100.45) == 3


def test_a_long_pause_fills_the_bucket_only_to_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=0.0)
    assert taken(bucket, 0.0) == 5
    assert taken(bucket, 1000.0) == 5


def test_a_failed_take_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1, now=0.0)
    assert bucket.take(0.0)
    for now in (0.2, 0.4, 0.6, 0.8):
        assert not bucket.take(now)
    assert bucket.take(1.01)


def test_a_charge_may_leave_a_debt_and_returns_its_seconds() -> None:
    bucket = TokenBucket(rate=10, burst=5, now=0.0)
    assert bucket.charge(5, 0.0) == 0.0
    assert bucket.charge(20, 0.0) == 2.0
    assert not bucket.take(1.9)
    assert bucket.left(2.0) == pytest.approx(0.0)
    assert not bucket.is_full(2.4)
    assert bucket.is_full(2.5)
