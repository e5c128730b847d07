"""Rounds: every contender once, then every contender once more, so that all meet the same weather."""

from collections.abc import Awaitable, Callable, Sequence

from bench.contenders import Contenders
from bench.growth import populate
from bench.result import Result
from bench.stack import Ours
from bench.venue import Absent, Venue

Mode = Callable[[Venue], Awaitable[Result]]
Say = Callable[[str], None]


async def rounds(
    contenders: Contenders, names: Sequence[str], mode: Mode, count: int, say: Say, *, fresh: bool = False
) -> list[Result]:
    """``count`` alternating rounds of one mode.

    :param fresh: stop and start servers before each run
    :raises ConnectError: when people cannot connect to a contender
    """
    results: list[Result] = []
    absent: set[str] = set()
    for number in range(count):
        for name in [each for each in names if each not in absent]:
            if fresh:
                await contenders.close()
            try:
                venue = contenders.get(name)
            except Absent as why:
                say(f"{'':<10}{name:<14}left out: {why}")
                absent.add(name)
                continue
            await venue.prepare()
            result = await mode(venue)
            result.round, result.facts = number + 1, await venue.facts()
            results.append(result)
            say(result.line())
    return results


async def grown(contenders: Contenders, sizes: Sequence[int], say: Say) -> list[str]:
    """A stack of its own for each size of the crowd; their names as contenders."""
    names = []
    for size in sizes:
        name = f"mini-{size:.0e}".replace("e+0", "e")
        venue = Ours(contenders.stack(), "everysec", name=name)
        contenders.add(venue)
        await venue.prepare()
        await populate(venue, size)
        say(f"{'':<10}{name:<14}{size} people exist, each with a chat waiting")
        names.append(name)
    return names
