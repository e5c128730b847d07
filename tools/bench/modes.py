"""Which mode is run how: from the command line to results."""

import argparse
from collections.abc import Callable, Sequence

from tools.bench.closed import closed
from tools.bench.contenders import Contenders
from tools.bench.floods import Case, Floods, cases
from tools.bench.idle import idle
from tools.bench.offline import offline
from tools.bench.open import open_loop
from tools.bench.relay import Relay
from tools.bench.report import summary
from tools.bench.result import Result
from tools.bench.runner import Mode, Say, grown, rounds
from tools.bench.stack import Ours
from tools.bench.storm import storm
from tools.bench.venue import Venue

CEILING_SECONDS = 3.0


class Bench:
    """One session: runs modes one after the other and keeps every result."""

    def __init__(self, options: argparse.Namespace, contenders: Contenders, say: Say) -> None:
        self._options, self._contenders, self._say = options, contenders, say
        self.results: list[Result] = []

    async def run(self, mode: str) -> None:
        """One of :data:`tools.bench.options.MODES`, or ``ceiling``.

        :raises ConnectError: when people cannot connect to a contender
        """
        self._say(f"\n── {mode}")
        await getattr(self, f"_{mode}")()

    async def _rounds(
        self,
        label: str,
        mode: Mode,
        names: Sequence[str] | None = None,
        *,
        fresh: bool = False,
        count: int | None = None,
    ) -> None:
        options = self._options
        names = options.contenders if names is None else names
        count = 1 if fresh else count or options.rounds
        await rounds(self.results, self._contenders, label, names, mode, count, self._say, fresh=fresh)

    def _closed_mode(self, name: str = "closed") -> Mode:
        options = self._options

        async def run(venue: Venue) -> Result:
            how = {"warm_up": options.warm_up, "seconds": options.seconds}
            result = await closed(venue, pairs=options.pairs, in_flight=options.in_flight, **how)
            result.mode = name
            return result

        return run

    async def _ceiling(self) -> None:
        """What the client can do; it belongs to every session."""
        relay = Relay()
        try:
            options = self._options
            result = await closed(
                relay, pairs=options.pairs, in_flight=options.in_flight, warm_up=1, seconds=CEILING_SECONDS
            )
        finally:
            await relay.close()
        result.mode = "ceiling"
        self.results.append(result)
        alone = 1e6 / result.microseconds()["client"]
        self._say(f"{result.line()}\n{'':<24}the client's ceiling, with a core of its own: {alone:,.0f} messages/s")

    async def _closed(self) -> None:
        await self._rounds("closed", self._closed_mode())

    async def _open(self) -> None:
        options = self._options
        for rate in options.rate:
            if rate == "half":
                if not any(result.mode == "closed" for result in self.results):
                    await self._rounds("closed", self._closed_mode())
                await self._rounds("open-half", self._open_mode(self._half, "open-half"))
            else:
                await self._rounds("open", self._open_mode(_always(rate), "open"))

    def _open_mode(self, rate: Callable[[Venue], float], name: str) -> Mode:
        options = self._options

        async def run(venue: Venue) -> Result:
            how = {"warm_up": options.warm_up, "seconds": options.seconds}
            return await open_loop(venue, pairs=options.pairs, rate=rate(venue), name=name, **how)

        return run

    def _half(self, venue: Venue) -> float:
        """Half of what this contender reached in the closed loop."""
        closed_runs = [each.record() for each in self.results if (each.mode, each.contender) == ("closed", venue.name)]
        reached: float = summary(closed_runs)[0]["figures"]["messages_per_second"]["median"]
        return round(reached / 2, 1)

    async def _offline(self) -> None:
        await self._rounds("offline", lambda venue: offline(venue, waiting=self._options.waiting))

    async def _idle(self) -> None:
        """Each on fresh servers, and once: memory that was used before is not given back. How our Redis writes to disk
        makes no difference to it."""
        options = self._options
        connections = options.connections or 10_000
        names = [name for name in options.contenders if not name.startswith("mini-always")]
        await self._rounds(
            "idle", lambda venue: idle(venue, connections=connections, seconds=options.seconds), names, fresh=True
        )

    async def _storm(self) -> None:
        await self._rounds("storm", lambda venue: storm(venue, connections=self._options.connections or 5_000))

    async def _growth(self) -> None:
        names = await grown(self._contenders, self._options.existing, self._say)
        await self._rounds("growth", self._closed_mode("growth"), names)

    async def _floods(self) -> None:
        options, runs = self._options, dict[str, tuple[Case, Floods]]()
        everything = list(cases(options.floods, options.flood_dialects, options.accounts))
        stacks = {"": None, **({" before": options.before} if options.before else {})}
        for suffix, checkout in stacks.items():
            running = self._contenders.stack(checkout=checkout, limits=options.flood_limits)
            floods = Floods(Ours(running, "everysec", scattered=True), options.pairs)
            for case in everything:
                venue = Ours(running, "everysec", name=case.name + suffix)
                self._contenders.add(venue)
                runs[venue.name] = case, floods

        async def run(venue: Venue) -> Result:
            case, floods = runs[venue.name]
            result = await floods.run(case, options.flood_seconds)
            result.contender = venue.name
            return result

        names = [case.name + suffix for case in everything for suffix in stacks]
        await self._rounds("floods", run, names, count=options.flood_rounds)


def _always(rate: float) -> Callable[[Venue], float]:
    return lambda _venue: rate
