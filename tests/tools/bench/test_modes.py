"""The modes against the real product, briefly (no figure is judged). Rounds: their order, and what a failure keeps."""

import pytest

from tests.support.stack import ServerGroup, Stack
from tools.bench.accounting import Ledger
from tools.bench.client import Client, SeedClient
from tools.bench.connecting import offline, storm
from tools.bench.contenders import PACKAGED, Contenders
from tools.bench.environment import ConnectError, Environment, NotInstalled
from tools.bench.modes import Mode, rounds
from tools.bench.relay import Relay
from tools.bench.result import Result
from tools.bench.stack import RemoteProduct
from tools.bench.talking import LATE_MS, closed, only_if_held, open_loop


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    return lasting_stack.start(workers=2)


def test_a_rate_that_is_not_held_has_no_latencies() -> None:
    figures = {"received_p50_ms": 1.0, "late_p99_ms": 2.0}
    assert only_if_held(figures, 100, 99, 0) == {**figures, "reached_per_second": 99}
    assert only_if_held(figures, 100, 90, 5) == {"late_p99_ms": 2, "reached_per_second": 90}
    assert "received_p50_ms" not in only_if_held({**figures, "late_p99_ms": 200}, 100, 100, 5)


@pytest.mark.parametrize("kind", [Client, SeedClient])
async def test_every_mode_finishes_without_defects(group: ServerGroup, kind: type[Client]) -> None:
    environment = RemoteProduct(group.url, kind=kind)
    run = await closed(environment, pairs=2, in_flight=4, warm_up=0.2, seconds=1)
    assert run.ledger.per_pair() == []
    assert run.figures["messages"] > 0
    assert run.ledger.sent >= run.figures["messages"]
    assert all(pair.sent > 4 for pair in run.ledger.pairs), "a receipt makes room for the next"

    run = await open_loop(environment, pairs=2, rate=50, warm_up=0.2, seconds=1)
    assert run.ledger.per_pair() == []
    assert run.ledger.sent == 60
    assert run.figures["reached_per_second"] > 0
    if run.figures["late_p99_ms"] <= LATE_MS:  # else this machine was too busy to send
        assert 0 < run.figures["received_p50_ms"] <= run.figures["receipt_p99_ms"]

    run = await offline(environment, waiting=300)
    assert run.ledger.per_pair() == []
    assert run.ledger.sent == 300
    assert 0 < run.figures["connect_to_last_ms"] <= run.figures["connect_to_all_receipts_ms"]

    run = await storm(environment, connections=5)
    assert not run.void
    assert run.figures["reconnects_per_second"] > 0


def absent() -> Environment:
    raise NotInstalled("install it like this")


async def fine(environment: Environment) -> Result:
    return Result("closed", environment.name, {}, {"messages_per_second": 1}, Ledger(0), 1.0, {}, per=1)


async def run(names: list[str], mode: Mode = fine, count: int = 2) -> tuple[list[Result], list[str]]:
    results: list[Result] = []
    lines: list[str] = []
    contenders = Contenders()
    for name in names:
        if name not in PACKAGED:
            relay = Relay()
            relay.name = name
            contenders.add(relay)
    try:
        await rounds(results, contenders, "closed", names, mode, count, lines.append)
    finally:
        await contenders.close()
    return results, lines


async def test_contenders_alternate() -> None:
    results, _ = await run(["one", "two"])
    assert [(each.round, each.contender) for each in results] == [(1, "one"), (1, "two"), (2, "one"), (2, "two")]


async def test_a_missing_contender_is_left_out_and_the_message_is_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PACKAGED, "ejabberd", absent)
    results, lines = await run(["one", "ejabberd"])
    assert [each.contender for each in results] == ["one", "one"]
    assert sum("install it like this" in line for line in lines) == 1


async def test_a_run_without_connections_is_void_and_the_others_go_on() -> None:
    async def failing(environment: Environment) -> Result:
        if environment.name == "one":
            raise ConnectError("not now")
        return await fine(environment)

    results, lines = await run(["one", "two"], failing, count=1)
    assert [(each.contender, each.void) for each in results] == [("one", True), ("two", False)]
    assert results[0].facts["trouble"] == "not now"
    assert any("not now" in line for line in lines)
