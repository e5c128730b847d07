"""Rounds: every contender once, then every contender once more, so that all meet the same weather."""

from collections.abc import Awaitable, Callable, Sequence

from tools.bench.accounting import Ledger
from tools.bench.contenders import Contenders
from tools.bench.growth import populate
from tools.bench.line import ConnectError
from tools.bench.result import Result
from tools.bench.stack import Ours
from tools.bench.venue import Absent, Venue

Mode = Callable[[Venue], Awaitable[Result]]
Say = Callable[[str], None]


async def rounds(
    results: list[Result],
    contenders: Contenders,
    label: str,
    names: Sequence[str],
    mode: Mode,
    count: int,
    say: Say,
    *,
    fresh: bool = False,
) -> None:
    """``count`` alternating rounds of one mode.

    :param results: grows by each run as it ends, so that what comes to grief later does not take it along
    :param label: what the mode is called in the record
    :param fresh: stop and start servers before each run
    """
    absent: set[str] = set()
    for number in range(count):
        for name in [each for each in names if each not in absent]:
            if fresh:
                await contenders.close()
            try:
                venue = contenders.get(name)
            except Absent as why:
                say(f"{'':<10}{name:<20} left out: {why}")
                absent.add(name)
                continue
            await venue.prepare()
            try:
                result = await mode(venue)
            except ConnectError as trouble:
                say(f"{'':<10}{name:<20} no figures: {trouble}")
                result = _failed(label, name, str(trouble))
            result.round, result.facts = number + 1, {**result.facts, **await venue.facts()}
            results.append(result)
            say(result.line())


def _failed(label: str, name: str, trouble: str) -> Result:
    """A run that gave no figures is void like one that lost something."""
    ledger = Ledger(0)
    ledger.close(trouble)
    return Result(label, name, {}, {}, ledger, 0.0, {}, per=0, facts={"trouble": trouble})


async def grown(contenders: Contenders, sizes: Sequence[int], say: Say) -> list[str]:
    """A stack of its own for each size of the crowd; their names as contenders."""
    names = []
    for size in sizes:
        name = f"mini-{size:.0e}".replace("e+0", "e")
        venue = Ours(contenders.stack(), "everysec", name=name)
        contenders.add(venue)
        await venue.prepare()
        await populate(venue, venue.running.mint, venue.running.redis, size)
        say(f"{'':<10}{name:<20} {size} people exist, each with a chat waiting")
        names.append(name)
    return names
