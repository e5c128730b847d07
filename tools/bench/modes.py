"""How each mode is run: from the command line to results, in alternating rounds.

Each contender runs once, then each runs once more, so that other load on the machine disturbs all alike.
"""

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tools.bench.accounting import Ledger
from tools.bench.connecting import idle, offline, storm
from tools.bench.contenders import Contenders
from tools.bench.environment import ConnectError, Environment, NotInstalled
from tools.bench.floods import Case, Floods, cases
from tools.bench.people import populate
from tools.bench.relay import Relay
from tools.bench.result import Result
from tools.bench.stack import Product
from tools.bench.talking import closed, open_loop
from tools.bench.xmpp_servers import EjabberdArchive

Mode = Callable[[Environment], Awaitable[Result]]
Print = Callable[[str], None]


async def rounds(
    results: list[Result],
    contenders: Contenders,
    label: str,
    names: Sequence[str],
    mode: Mode,
    count: int,
    print_line: Print,
    *,
    fresh: bool = False,
    setting: Mapping[str, Any] | None = None,
) -> None:
    """``count`` alternating rounds of one mode.

    :param results: gets each run as it ends, so that a later failure does not lose it
    :param label: what the mode is called in the record
    :param fresh: stop and start servers before each run
    :param setting: recorded of a run that gave no figures
    """
    absent: set[str] = set()
    for number in range(count):
        for name in [each for each in names if each not in absent]:
            if fresh:
                await contenders.close()
            try:
                environment = contenders.get(name)
            except NotInstalled as why:
                print_line(f"{'':<10}{name:<20} left out: {why}")
                absent.add(name)
                continue
            await environment.prepare()
            try:
                result = await mode(environment)
            except ConnectError as trouble:
                print_line(f"{'':<10}{name:<20} no figures: {trouble}")
                result = _failed(label, name, str(trouble), setting or {})
            if isinstance(environment, EjabberdArchive):
                await environment.check_archive(result)
            result.round, result.facts = number + 1, {**result.facts, **await environment.facts()}
            results.append(result)
            print_line(result.line())


def _failed(label: str, name: str, trouble: str, setting: Mapping[str, Any]) -> Result:
    """A run that gave no figures is void like one that lost something."""
    ledger = Ledger(0)
    ledger.close(trouble)
    return Result(label, name, setting, {}, ledger, 0.0, {}, per=0, facts={"trouble": trouble})


async def growth_environments(contenders: Contenders, sizes: Sequence[int], print_line: Print) -> list[str]:
    """Start a stack for each number of existing people; their names as contenders."""
    names = []
    for size in sizes:
        name = f"mini-{size:.0e}".replace("e+0", "e")
        environment = Product(contenders.stack(), "everysec", name=name)
        contenders.add(environment)
        await environment.prepare()
        await populate(environment, environment.running.accounts, environment.running.redis, size)
        print_line(f"{'':<10}{name:<20} {size} people exist, each with a chat waiting")
        names.append(name)
    return names


CEILING_SECONDS = 3.0


class Bench:
    """One session: runs modes one after the other and keeps every result."""

    def __init__(self, options: argparse.Namespace, contenders: Contenders, print_line: Print) -> None:
        self._options, self._contenders, self._print_line = options, contenders, print_line
        self.results: list[Result] = []

    async def run(self, mode: str) -> None:
        """One of :data:`tools.bench.options.MODES`, or ``ceiling``.

        :raises ConnectError: when clients cannot connect to a contender
        """
        self._print_line(f"\n── {mode}")
        await getattr(self, f"_{mode}")()

    async def _rounds(
        self,
        label: str,
        mode: Mode,
        names: Sequence[str] | None = None,
        *,
        fresh: bool = False,
        count: int | None = None,
        setting: Mapping[str, Any] | None = None,
    ) -> None:
        options = self._options
        names = options.contenders if names is None else names
        count = 1 if fresh else count or options.rounds
        await rounds(
            self.results, self._contenders, label, names, mode, count, self._print_line, fresh=fresh, setting=setting
        )

    def _closed_mode(self, name: str = "closed") -> Mode:
        options = self._options

        async def run(environment: Environment) -> Result:
            how = {"warm_up": options.warm_up, "seconds": options.seconds}
            result = await closed(environment, pairs=options.pairs, in_flight=options.in_flight, **how)
            result.mode = name
            return result

        return run

    async def _ceiling(self) -> None:
        """The client's own limit; part of every session."""
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
        self._print_line(
            f"{result.line()}\n{'':<24}the client's ceiling, with a core of its own: {alone:,.0f} messages/s"
        )

    async def _closed(self) -> None:
        await self._rounds("closed", self._closed_mode())

    async def _open(self) -> None:
        options = self._options
        for rate in options.rate:
            await self._rounds("open", self._open_mode(rate), setting={"rate": rate})

    def _open_mode(self, rate: float) -> Mode:
        options = self._options

        async def run(environment: Environment) -> Result:
            how = {"warm_up": options.warm_up, "seconds": options.seconds}
            return await open_loop(environment, pairs=options.pairs, rate=rate, **how)

        return run

    async def _offline(self) -> None:
        await self._rounds("offline", lambda environment: offline(environment, waiting=self._options.waiting))

    async def _idle(self) -> None:
        """Once, on fresh servers for each contender: memory that was used before is not given back. ``always`` is left
        out: how Redis writes to disk makes no difference here."""
        options = self._options
        connections = options.connections or 10_000
        names = [name for name in options.contenders if not name.startswith("mini-always")]
        await self._rounds(
            "idle",
            lambda environment: idle(environment, connections=connections, seconds=options.seconds),
            names,
            fresh=True,
        )

    async def _storm(self) -> None:
        await self._rounds(
            "storm", lambda environment: storm(environment, connections=self._options.connections or 5_000)
        )

    async def _growth(self) -> None:
        names = await growth_environments(self._contenders, self._options.existing, self._print_line)
        await self._rounds("growth", self._closed_mode("growth"), names)

    async def _floods(self) -> None:
        options, runs = self._options, dict[str, tuple[Case, Floods]]()
        every_case = list(cases(options.floods, options.flood_dialects, options.accounts))
        stacks = {"": None, **({" before": options.before} if options.before else {})}
        for suffix, checkout in stacks.items():
            running = self._contenders.stack(checkout=checkout, limits=options.flood_limits)
            floods = Floods(Product(running, "everysec", scattered=True), options.pairs)
            for case in every_case:
                environment = Product(running, "everysec", name=case.name + suffix)
                self._contenders.add(environment)
                runs[environment.name] = case, floods

        async def run(environment: Environment) -> Result:
            case, floods = runs[environment.name]
            result = await floods.run(case, options.flood_seconds)
            result.contender = environment.name
            return result

        names = [case.name + suffix for case in every_case for suffix in stacks]
        await self._rounds("floods", run, names, count=options.flood_rounds)
