"""An entry's time is its place."""

from protocol.entries import Chat, Receipt


def test_the_time_is_read_from_the_place() -> None:
    assert Chat("1700000000123-7", "919800000001", "m1", "hello").timestamp == 1_700_000_000_123
    assert Receipt("5-0", "919800000001", "read", ["m1"]).timestamp == 5
