"""A pong confirms the receipts that were sent before its ping, and no others."""

from typing import Any

import pytest

from delivery.connection.confirmations import Confirmations


class Below:
    """The socket and the acks, noting what they are asked."""

    def __init__(self) -> None:
        self.pings = 0
        self.settled: list[list[str]] = []

    def ping(self) -> int:
        self.pings += 1
        return self.pings

    def delivered(self, ids: list[str]) -> None:
        self.settled.append(ids)


@pytest.fixture
def below() -> Below:
    return Below()


@pytest.fixture
def confirmations(below: Below) -> Confirmations:
    both: Any = below
    return Confirmations(both, both)


def test_receipts_wait_for_the_pong_of_a_later_ping(below: Below, confirmations: Confirmations) -> None:
    confirmations.expect(["1-0", "2-0"])
    confirmations.expect(["3-0"])
    assert (below.pings, below.settled) == (1, []), "one ping at a time"
    confirmations.ponged(0)
    assert below.settled == [], "that pong answers an earlier ping"
    confirmations.ponged(1)
    assert (below.pings, below.settled) == (2, [["1-0", "2-0"]])
    confirmations.ponged(5)
    assert (below.pings, below.settled) == (2, [["1-0", "2-0"], ["3-0"]])


def test_nothing_sent_is_nothing_asked(below: Below, confirmations: Confirmations) -> None:
    confirmations.expect([])
    confirmations.ponged(1)
    assert (below.pings, below.settled) == (0, [])
