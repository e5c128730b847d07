"""A pong confirms the receipts that were sent before its ping, and no others."""

import asyncio
from typing import Any

import pytest

from delivery.connection import confirmations as module
from delivery.connection.confirmations import Confirmations
from tests.delivery.one_server import until


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


async def test_receipts_wait_for_the_pong_of_a_later_ping(below: Below, confirmations: Confirmations) -> None:
    confirmations.expect(["1-0", "2-0"])
    confirmations.expect(["3-0"])
    assert (below.pings, below.settled) == (1, []), "one ping at a time"
    confirmations.ponged(0)
    assert below.settled == [], "that pong answers an earlier ping"
    confirmations.ponged(1)
    assert below.settled == [["1-0", "2-0"]]
    await until(lambda: below.pings == 2)
    confirmations.ponged(5)
    assert (below.pings, below.settled) == (2, [["1-0", "2-0"], ["3-0"]])


async def test_nothing_sent_is_nothing_asked(below: Below, confirmations: Confirmations) -> None:
    confirmations.expect([])
    confirmations.ponged(1)
    assert (below.pings, below.settled) == (0, [])


async def test_pings_for_receipts_keep_a_distance_unless_there_are_many(
    below: Below, confirmations: Confirmations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_SECONDS", 60)
    confirmations.expect(["1-0"])
    confirmations.ponged(1)
    for n in range(module.MANY - 1):
        confirmations.expect([f"2-{n}"])
    await asyncio.sleep(0.02)
    assert below.pings == 1
    confirmations.expect(["3-0"])
    assert below.pings == 2
    confirmations.stop()


async def test_after_the_end_nothing_is_asked(
    below: Below, confirmations: Confirmations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_SECONDS", 0.02)
    confirmations.expect(["1-0"])
    confirmations.ponged(1)
    confirmations.expect(["2-0"])
    confirmations.stop()
    await asyncio.sleep(0.05)
    assert below.pings == 1
