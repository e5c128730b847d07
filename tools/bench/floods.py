"""Floods: what a hostile client costs the other clients, and the servers."""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tools.bench import cpu, flooder, probe
from tools.bench.accounting import Ledger
from tools.bench.cpu import CpuTimer
from tools.bench.environment import ConnectError, Recorder
from tools.bench.flooder import HEADS, PROTOCOL, Hostile
from tools.bench.result import Result
from tools.bench.stack import Product
from tools.bench.talking import Pairs, Stopwatch, connect_all, send_at_rate
from tools.devstack.options import ROOT

CALM: Final = "calm"
RATE: Final = 500.0
LOOK_SECONDS: Final = 0.25
REST_SECONDS: Final = 1.0
FIRST_SECONDS: Final = 0.3
"""How long the flood runs before the measured time."""
LAST_SECONDS: Final = 0.2
"""How long it runs after the measured time."""
SETTLE_SECONDS: Final = 10.0
"""For the chats that recipients send first (see ``Floods._let_recipients_write``)."""
_PROBES: Final = itertools.count()
_ACCOUNTS: Final = itertools.count()
"""Each hostile client gets new accounts: a penalty of the last one would spare the servers the next."""


@dataclass(frozen=True, slots=True)
class Case:
    """One flood.

    :param kind: one of :data:`tools.bench.flooder.KINDS`, or :data:`CALM`
    :param dialect: what the hostile client speaks
    """

    kind: str
    dialect: str
    accounts: int

    @property
    def name(self) -> str:
        """The contender's name in the record."""
        return CALM if self.kind == CALM else f"{self.kind} {self.dialect} ×{self.accounts}"


def cases(kinds: Sequence[str], dialects: Sequence[str], accounts: Sequence[int]) -> Iterator[Case]:
    """A calm run, and all floods; once those that are the same in each dialect: they send no frame of the protocol."""
    yield Case(CALM, dialects[0], 0)
    for kind in kinds:
        for dialect in dialects if kind in PROTOCOL else dialects[:1]:
            for count in accounts:
                yield Case(kind, dialect, count)


class _ServerWatch:
    """Server processes: their most memory while it looks, and their open descriptors."""

    def __init__(self, environment: Product) -> None:
        self._pids = environment.processes()["server"]
        self.before = self.most = cpu.memory(self._pids)
        self.descriptors_before = self.descriptors()

    async def look(self) -> None:
        """Until cancelled."""
        while True:
            self.most = max(self.most, cpu.memory(self._pids))
            await asyncio.sleep(LOOK_SECONDS)

    def descriptors(self) -> int:
        """Open now."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self._pids)


class _Helper:
    """A process of the benchmark that is given an order on its input."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        assert process.stdin is not None  # noqa: S101 - requested above
        assert process.stdout is not None  # noqa: S101
        self._process, self._module = process, module
        self._input, self.output = process.stdin, process.stdout

    @classmethod
    async def start(cls, module: str, order: msgspec.Struct, *before: str) -> "_Helper":
        """:param before: commands that start it, such as ``nice``"""
        pipe, command = asyncio.subprocess.PIPE, [*before, sys.executable, "-m", module]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
        helper = cls(process, module)
        helper.write_line(msgspec.json.encode(order).decode())
        return helper

    def write_line(self, line: str) -> None:
        """Write a line to its input."""
        self._input.write(line.encode() + b"\n")

    async def end(self) -> bytes:
        """Close its input; the rest of its output.

        :raises ConnectError: when it failed
        """
        self._input.close()
        output = await self.output.read()
        if await self._process.wait() != 0:
            raise ConnectError(f"{self._module} failed; its output is above")
        return output

    def kill(self) -> None:
        """End it, after something else has failed."""
        if self._process.returncode is None:
            self._process.kill()


@dataclass(slots=True)
class _Window:
    """A part of a run, by ``time.monotonic``."""

    begin: float = 0.0
    end: float = 0.0

    def worst(self, report: probe.ProbeReport) -> float:
        """The longest that one server process took to answer a ping that was sent in it, in ms."""
        took = [took for slow in report.slow.values() for sent, took in slow if self.begin <= sent < self.end]
        return round(1000 * max(took, default=0.0), 1)


class Floods:
    """Runs cases on one stack."""

    def __init__(self, environment: Product, pairs: int) -> None:
        self._environment, self._pairs = environment, pairs
        self._recipients_wrote = False

    async def run(self, case: Case, seconds: float) -> Result:
        """Latencies as in the open loop, calm and then with the flood, of the same connections.

        :raises ConnectError: when a client cannot connect, or the hostile client or the probe fails
        """
        if not self._recipients_wrote:
            await self._let_recipients_write()
            self._recipients_wrote = True
        watch = _ServerWatch(self._environment)
        watching = asyncio.ensure_future(watch.look())
        calm, flooded = _Window(), _Window()
        try:
            async with self._helpers(case, seconds) as (prober, hostile):
                talk, stopwatch = Pairs(self._environment, self._pairs), Stopwatch(self._pairs)
                await talk.connect(stopwatch.arrived, stopwatch.receipt, stopwatch.stored)
                try:
                    await self._window(talk, stopwatch, calm, seconds)
                    before = stopwatch.figures()
                    if hostile:
                        hostile.write_line("now")
                    stopwatch.rest()
                    await send_at_rate(talk, stopwatch, RATE, FIRST_SECONDS)
                    cpu_timer = CpuTimer(self._environment.processes)
                    await self._window(talk, stopwatch, flooded, seconds)
                    cpu_timer.stop()
                    report = (
                        msgspec.json.decode(await hostile.end(), type=flooder.FloodReport)
                        if hostile
                        else flooder.FloodReport()
                    )
                    await talk.settle()
                    await talk.reconnect()
                finally:
                    talk.disconnect()
                seen = msgspec.json.decode(await prober.end(), type=probe.ProbeReport)
            await asyncio.sleep(REST_SECONDS)
        finally:
            watching.cancel()
        after = stopwatch.figures()
        figures = {
            **{f"calm_{name}": value for name, value in before.items()},
            **after,
            "calm_stood_still_ms": calm.worst(seen),
            "stood_still_ms": flooded.worst(seen),
            "probes_closed": seen.closed,
            "server_mb_more": round((watch.most - watch.before) / 2**20, 1),
            "descriptors_left": watch.descriptors() - watch.descriptors_before,
            "flood_frames_per_second": round(report.frames / (seconds + FIRST_SECONDS + LAST_SECONDS)),
            "flood_megabytes": report.megabytes,
            "flood_connections": report.connections,
        }
        setting = {**msgspec.to_builtins(case), "pairs": self._pairs, "rate": RATE, "seconds": seconds}
        facts = {"hostile": outcome(case, report), "probe_priority": str(seen.priority)}
        ledger, used = talk.ledger, cpu_timer.used
        return Result("floods", case.name, setting, figures, ledger, cpu_timer.seconds, used, per=0, facts=facts)

    async def _window(self, talk: Pairs, stopwatch: Stopwatch, window: _Window, seconds: float) -> None:
        stopwatch.begin()
        window.begin = time.monotonic()
        await send_at_rate(talk, stopwatch, RATE, seconds)
        window.end = time.monotonic()

    @asynccontextmanager
    async def _helpers(self, case: Case, seconds: float) -> AsyncIterator[tuple[_Helper, _Helper | None]]:
        prober = await self._start_probe()
        hostile = None
        try:
            if case.kind != CALM:
                hostile = await self._start_hostile(case, FIRST_SECONDS + seconds + LAST_SECONDS)
            if await prober.output.readline() != b"ready\n":
                raise ConnectError("bench.probe failed; its output is above")
            yield prober, hostile
        finally:
            prober.kill()
            if hostile:
                hostile.kill()

    async def _start_probe(self) -> _Helper:
        accounts = (await self._environment.accounts(2 * self._pairs + probe.PEOPLE))[2 * self._pairs :]
        tokens = [account.secret for account in accounts]
        source = f"127.67.{next(_PROBES) % 250}.1"
        return await _Helper.start(
            "tools.bench.probe", probe.Order(self._environment.url, tokens, self._environment.server_ids(), source)
        )

    async def _start_hostile(self, case: Case, seconds: float) -> _Helper:
        first = 2 * self._pairs + probe.PEOPLE
        numbers = [next(_ACCOUNTS) for _ in range(2 * case.accounts)]
        accounts = await self._environment.accounts(first + numbers[-1] + 1)
        chosen = [accounts[first + number] for number in numbers]
        pairs = zip(chosen[::2], chosen[1::2], strict=True)
        hostile = [
            Hostile(each.secret, f"127.66.{number // 250}.{number % 250 + 1}", sybil.address, sybil.secret)
            for number, (each, sybil) in zip(numbers[::2], pairs, strict=True)
        ]
        order = flooder.Order(self._environment.url, case.kind, case.dialect, seconds, hostile)
        # The lowest priority: a client on another machine would not take processor time from the servers.
        return await _Helper.start("tools.bench.flooder", order, "nice", "-n", "19")

    async def _let_recipients_write(self) -> None:
        """Every recipient sends one chat first: the servers limit what people send to those who never wrote to them."""
        accounts = await self._environment.accounts(2 * self._pairs)
        ledger = Ledger(self._pairs)
        connections = await connect_all(self._environment, accounts, [Recorder(ledger) for _ in accounts])
        for pair in range(self._pairs):
            connections[2 * pair + 1].chat(accounts[2 * pair].address, ledger.next_id(pair))
        deadline = time.monotonic() + SETTLE_SECONDS
        while not ledger.settled() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for connection in connections:
            connection.end()
        await asyncio.sleep(REST_SECONDS)
        if (defects := ledger.defects()).any():
            raise ConnectError(f"recipients could not write to their senders first: {defects.text()} {ledger.refusals}")


def outcome(case: Case, report: flooder.FloodReport) -> str:
    """The outcome for the hostile client, in words."""
    if case.kind == CALM:
        return ""
    words = [f"closed {code} ×{count}" for code, count in report.closes.items()]
    words += [f"refused {status} ×{count}" for status, count in report.refused.items()]
    if case.kind not in HEADS and report.blocked_percent >= 50:
        words.append(f"kept waiting {report.blocked_percent:.0f} % of the time")
    return ", ".join(words) or "left alone"
