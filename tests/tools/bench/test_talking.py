"""Coming in: patience with a server that turns people away, and an end to it."""

import pytest

from tools.bench import talking
from tools.bench.accounting import Ledger
from tools.bench.client import Client
from tools.bench.environment import Account, ConnectError, Recorder
from tools.bench.relay import Relay
from tools.bench.talking import connect_all, connect_with_retries

ACCOUNT = Account("0", "0")


class Reluctant(Relay):
    """A relay that refuses the first ``times`` connections."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times
        self.attempts = 0

    async def connect(self, account: Account, recorder: Recorder) -> Client:
        self.attempts += 1
        if self.attempts <= self._times:
            raise ConnectError("not now")
        return await super().connect(account, recorder)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talking, "PAUSE_SECONDS", 0.001)


async def test_a_refused_client_tries_again() -> None:
    environment, ledger = Reluctant(2), Ledger(0)
    try:
        connection, failures = await connect_with_retries(environment, ACCOUNT, Recorder(ledger))
        connection.end()
    finally:
        await environment.close()
    assert failures == 2
    assert not ledger.defects().any()


async def test_after_the_last_try_the_client_gives_up() -> None:
    environment = Reluctant(1000)
    try:
        with pytest.raises(ConnectError, match="not now"):
            await connect_with_retries(environment, ACCOUNT, Recorder(Ledger(0)))
    finally:
        await environment.close()
    assert environment.attempts == talking.TRIES


async def test_a_failure_to_connect_names_how_many_failed_and_why() -> None:
    environment, ledger = Reluctant(2 * talking.TRIES), Ledger(0)
    accounts = [Account(str(number), str(number)) for number in range(2)]
    try:
        with pytest.raises(ConnectError, match=r"relay: 2 of 2 .* not now"):
            await connect_all(environment, accounts, [Recorder(ledger) for _ in accounts])
    finally:
        await environment.close()
    assert not ledger.defects().any()
