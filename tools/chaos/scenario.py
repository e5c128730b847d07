"""One scenario: clients chat, something breaks and is repaired, and then everything must be well."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from tools.chaos import probe
from tools.chaos.checker import Limits, Report, check
from tools.chaos.faults import Fault
from tools.chaos.history import History, read
from tools.chaos.stack import LEASE_SECONDS, Stack
from tools.chaos.workload import Workload

P = ParamSpec("P")
T = TypeVar("T")
GREEN_SECONDS: Final = 10.0
"""Everything serves again within, after the repair."""
LOOK_SECONDS: Final = 0.1
LIMITS: Final = Limits(lease=LEASE_SECONDS, heal=GREEN_SECONDS, device_known=LEASE_SECONDS + GREEN_SECONDS)
EXPECTED_ERRORS: Final = (
    *("worker died", "the manager is gone", "this process stood still for longer than a lease"),
    *("an entry is a dead letter", "an entry could not be encoded"),
    *("failed, ApiError: unavailable", "Resetting connection with an active transaction"),
)
"""Log lines of level error that faults cause: a job while Redis was away, say, or a pooled connection on which
PostgreSQL froze."""


@dataclass(frozen=True)
class Times:
    """How long the parts of a scenario last, in seconds, and what the clients do.

    :param before: of chats before the faults
    :param after: of chats after the repair
    :param drain: within which everything must arrive
    :param people: number of clients
    :param rate: chats a second of all clients
    :param settle: within which the stack must come back to base
    :param clients: names of real clients that some more people use
    :param often: how often people do what, where it differs from ``activities.RATES``
    """

    before: float = 2.0
    after: float = 2.0
    drain: float = 25.0
    people: int = 50
    rate: float = 200.0
    settle: float = probe.BACK_SECONDS
    rates: Mapping[str, float] = field(default_factory=dict)
    clients: Sequence[str] = ()


@dataclass
class Outcome:
    """The result of a scenario. ``green``: seconds after the repair. ``history``: a file, kept when it is red."""

    name: str
    seed: int
    report: Report
    green: float
    base: probe.Probe
    now: probe.Probe
    excuses: frozenset[str]
    history: Path
    complaints: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def broken(self) -> list[str]:
        """Violations that no fault excuses, and complaints."""
        found = [str(each) for each in self.report.violations if each.invariant not in self.excuses]
        if not self.report.drained and "I1" not in self.excuses:
            found.append("not everything arrived that was waited for")
        return found + self.complaints

    @property
    def red(self) -> bool:
        """Whether anything is broken."""
        return bool(self.broken)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        figures = {name: round(value, 2) for name, value in self.report.figures().items()}
        return {
            "scenario": self.name,
            "seed": self.seed,
            "red": self.red,
            **figures,
            "drained": self.report.drained,
            "green": round(self.green, 2),
            "base": self.base.record(),
            "after": self.now.record(),
            "broken": self.broken,
            "excused": sorted(self.excuses),
            "seconds": round(self.seconds, 1),
        }


class Scenario:
    """Some faults at the same time on a running stack.

    :param faults: without any, what must hold outside of faults is checked
    :param seed: of the clients and of the moments at which a second fault strikes
    """

    def __init__(self, stack: Stack, faults: Sequence[Fault], seed: int, times: Times, limits: Limits = LIMITS) -> None:
        self.stack, self.faults, self.seed, self.times, self.limits = stack, faults, seed, times, limits
        self.name = "+".join(fault.name for fault in faults) or "nothing"
        self._rng = random.Random(seed)  # noqa: S311 - a seed that can be repeated
        self.path = stack.home / f"{self.name}-{seed}.jsonl"

    async def run(self) -> Outcome:
        """Run all of it.

        :raises TimeoutError: the clients could not connect
        """
        began, read_to = time.monotonic(), _sizes(self.stack)
        with History(self.path) as history:
            workload = self._workload(history)
            try:
                async with asyncio.timeout(60):
                    await workload.start()
                await workload.run(self.times.before)
                await self._in_thread(self.stack.await_ready, GREEN_SECONDS)
                base = await self._in_thread(probe.take, self.stack)
                green = await self._break(workload, history)
                await workload.run(self.times.after)
                await workload.drain(self.times.drain)
                now, complaints = await self._in_thread(
                    probe.settle, self.stack, self._allowed(base), self.times.settle
                )
            finally:
                await workload.stop()
        report = await self._in_thread(lambda: check(read(self.path), limits=self.limits))
        complaints += [each for fault in self.faults for each in await self._in_thread(fault.after, self.stack)]
        expected = frozenset(EXPECTED_ERRORS).union(*(fault.logs for fault in self.faults))
        complaints += errors(self.stack.logs, read_to, expected)
        if green > GREEN_SECONDS:
            complaints.append(f"green only after {green:.1f} s")
        excuses = frozenset[str]().union(*(fault.excuses for fault in self.faults))
        seconds = time.monotonic() - began
        return Outcome(self.name, self.seed, report, green, base, now, excuses, self.path, complaints, seconds)

    def _workload(self, history: History) -> Workload:
        times, rates = self.times, dict(self.times.rates)
        for fault in self.faults:
            rates.update(fault.rates)
        return Workload(
            history,
            self.stack.addresses,
            people=times.people,
            rate=times.rate,
            seed=self.seed,
            rates=rates,
            clients=times.clients,
        )

    async def _break(self, workload: Workload, history: History) -> float:
        """Break things while clients chat; the seconds from the repair until all serve."""
        breaking = asyncio.create_task(self._strike_and_heal(history))
        while not breaking.done():
            await workload.run(LOOK_SECONDS)
        return breaking.result()

    def _allowed(self, base: probe.Probe) -> probe.Probe:
        """The figures that the stack must come back to."""
        more = Counter[str]()
        for fault in self.faults:
            more.update(fault.keeps)
        return replace(base, **{name: getattr(base, name) + count for name, count in more.items()})

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.stack.threads, partial(work, *args, **kwargs))

    async def _strike_and_heal(self, history: History) -> float:
        for fault in self.faults:
            await self._in_thread(fault.prepare, self.stack)
        async with asyncio.TaskGroup() as together:
            for n, fault in enumerate(self.faults):
                together.create_task(self._one(fault, history, self._rng.uniform(0, 2) if n else 0))
        return await self._in_thread(self._until_green)

    async def _one(self, fault: Fault, history: History, wait: float) -> None:
        await asyncio.sleep(wait)
        fields: dict[str, Any] = {"loses_storage": fault.loses_storage}
        fields["servers_answer"] = all(each.servers_answer for each in self.faults)
        if fault.outage_limit is not None and len(self.faults) == 1:
            fields["outage_limit"] = fault.outage_limit
        if not fault.mild:
            history.record("fault start", fault=fault.name, **fields)
        await self._in_thread(fault.strike, self.stack)
        await asyncio.sleep((self.stack.long and fault.long_seconds) or fault.seconds)
        await self._in_thread(fault.heal, self.stack)
        if not fault.mild:
            history.record("fault end", fault=fault.name)

    def _until_green(self) -> float:
        began = time.monotonic()
        while not self.stack.ready() and time.monotonic() - began < 3 * GREEN_SECONDS:
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began


def _sizes(stack: Stack) -> dict[Path, int]:
    return {path: path.stat().st_size for path in stack.logs.glob("*.log")}


def errors(logs: Path, since: dict[Path, int], expected: Iterable[str]) -> list[str]:
    """The errors in the product's logs that no fault causes: one line for each message.

    :param since: the size of each log before
    :param expected: parts of the messages that faults cause
    """
    found: dict[str, int] = {}
    for path in logs.glob("*.log"):
        for event in _lines(path, since.get(path, 0)):
            if event.get("level") in ("error", "critical"):
                message = str(event.get("event"))[:160]
                if not any(each in message for each in expected):
                    found[message] = found.get(message, 0) + 1
    return [f"logged {count} times: {message}" for message, count in found.items()]


def _lines(path: Path, start: int) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if line.startswith(b"{"):
                try:
                    yield json.loads(line)
                except ValueError:  # a part of a line: its writer was killed
                    continue
