"""Coming in: patience with a server that turns people away, and an end to it."""

import pytest

from tools.bench import pairs
from tools.bench.accounting import Ledger
from tools.bench.line import Account, ConnectError, Ear
from tools.bench.pairs import connect_all, insist
from tools.bench.relay import Relay
from tools.bench.talker import Talker

ACCOUNT = Account("0", "0")


class Reluctant(Relay):
    """A relay that turns everybody away ``times`` times first."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times
        self.asked = 0

    async def connect(self, account: Account, ear: Ear) -> Talker:
        self.asked += 1
        if self.asked <= self._times:
            raise ConnectError("not now")
        return await super().connect(account, ear)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "PAUSE_SECONDS", 0.001)


async def test_who_is_turned_away_tries_again() -> None:
    venue, ledger = Reluctant(2), Ledger(0)
    try:
        line, failures = await insist(venue, ACCOUNT, Ear(ledger))
        line.end()
    finally:
        await venue.close()
    assert failures == 2
    assert not ledger.defects().any()


async def test_in_the_end_he_gives_up() -> None:
    venue = Reluctant(1000)
    try:
        with pytest.raises(ConnectError, match="not now"):
            await insist(venue, ACCOUNT, Ear(Ledger(0)))
    finally:
        await venue.close()
    assert venue.asked == pairs.TRIES


async def test_when_one_cannot_come_in_it_is_said_how_many_and_why() -> None:
    venue, ledger = Reluctant(2 * pairs.TRIES), Ledger(0)
    people = [Account(str(number), str(number)) for number in range(2)]
    try:
        with pytest.raises(ConnectError, match=r"relay: 2 of 2 .* not now"):
            await connect_all(venue, people, [Ear(ledger) for _ in people])
    finally:
        await venue.close()
    assert not ledger.defects().any()
