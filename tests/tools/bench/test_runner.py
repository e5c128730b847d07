"""Rounds: who runs when, and what is kept when something goes wrong."""

import pytest

from tools.bench.accounting import Ledger
from tools.bench.contenders import PACKAGED, Contenders
from tools.bench.line import ConnectError
from tools.bench.relay import Relay
from tools.bench.result import Result
from tools.bench.runner import Mode, rounds
from tools.bench.venue import Absent, Venue


def absent() -> Venue:
    raise Absent("install it like this")


async def fine(venue: Venue) -> Result:
    return Result("closed", venue.name, {}, {"messages_per_second": 1}, Ledger(0), 1.0, {}, per=1)


async def run(names: list[str], mode: Mode = fine, count: int = 2) -> tuple[list[Result], list[str]]:
    results: list[Result] = []
    said: list[str] = []
    contenders = Contenders()
    for name in names:
        if name not in PACKAGED:
            relay = Relay()
            relay.name = name
            contenders.add(relay)
    try:
        await rounds(results, contenders, "closed", names, mode, count, said.append)
    finally:
        await contenders.close()
    return results, said


async def test_contenders_alternate() -> None:
    results, _ = await run(["one", "two"])
    assert [(each.round, each.contender) for each in results] == [(1, "one"), (1, "two"), (2, "one"), (2, "two")]


async def test_who_is_not_here_is_left_out_with_a_word_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED, "ejabberd", absent)
    results, said = await run(["one", "ejabberd"])
    assert [each.contender for each in results] == ["one", "one"]
    assert sum("install it like this" in line for line in said) == 1


async def test_a_run_nobody_could_connect_in_is_void_and_the_others_go_on() -> None:
    async def failing(venue: Venue) -> Result:
        if venue.name == "one":
            raise ConnectError("closed door")
        return await fine(venue)

    results, said = await run(["one", "two"], failing, count=1)
    assert [(each.contender, each.void) for each in results] == [("one", True), ("two", False)]
    assert results[0].facts["trouble"] == "closed door"
    assert any("closed door" in line for line in said)
