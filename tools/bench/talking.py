"""Pairs of people who talk: the modes ``closed`` and ``open``.

Closed loop: each pair keeps some chats in flight; a receipt makes room for the next.

Open loop: chats leave at a fixed rate, whatever comes back; how long until they arrive, and until the receipt.

Times run from when a chat is handed to the socket. ``late`` is how much later than planned that was: were it
large, the client would have waited for a slow server, and the times would hide that.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from tools.bench.accounting import Ledger
from tools.bench.activity import ActivityMeter, watch
from tools.bench.cpu import CpuTimer
from tools.bench.environment import Account, ConnectError, Connection, Environment, Recorder
from tools.bench.result import Result, milliseconds, percentile

SETTLE_SECONDS: Final = 45.0
"""Longer than the 30 seconds after which an unacked entry comes again: a doubled chat has its chance to show."""
CUT_SECONDS: Final = 3.0
"""How long to wait when a connection has ended by itself."""
GRACE_SECONDS: Final = 0.5
WATCH_SECONDS: Final = 0.5
"""After the measured part, for looking at each of Redis' commands, which makes it slower."""
TRIES: Final = 6
PAUSE_SECONDS: Final = 0.25
"""Before the second try; doubled before each further one."""
CONNECTING: Final = 32
"""Connections opened at once: no server's listen queue may overflow."""


Callback = Callable[[int, int], None]


class Pairs:
    """``count`` senders and ``count`` recipients; even people send to the odd one that follows."""

    def __init__(self, environment: Environment, count: int) -> None:
        self.environment, self.ledger = environment, Ledger(count)
        self.senders: list[Connection] = []
        self.addresses: list[str] = []
        self._recorders: list[Recorder] = []
        self._connections: list[Connection] = []
        self._accounts: Sequence[Account] = []

    async def connect(self, *callbacks: Callback) -> None:
        """Connect all senders and recipients.

        :param callbacks: for a :class:`Recorder`: of arrivals, receipts, single ticks
        :raises ConnectError: when somebody cannot
        """
        count = len(self.ledger.pairs)
        self._accounts = await self.environment.accounts(2 * count)
        self._recorders = [Recorder(self.ledger, *callbacks) for _ in self._accounts]
        self._connections = await connect_all(self.environment, self._accounts, self._recorders)
        self.senders = self._connections[::2]
        self.addresses = [account.address for account in self._accounts[1::2]]

    def send(self, pair: int) -> None:
        """The next chat of a pair."""
        self.senders[pair].chat(self.addresses[pair], self.ledger.next_id(pair))

    async def settle(self) -> None:
        """Wait until nothing is outstanding, and a moment longer for duplicates."""
        began = time.monotonic()
        # A closed connection receives nothing more, and the run is void already.
        while not self.ledger.settled() and time.monotonic() - began < (
            CUT_SECONDS if self.ledger.closed else SETTLE_SECONDS
        ):
            await asyncio.sleep(0.02)
        await asyncio.sleep(GRACE_SECONDS)

    async def reconnect(self) -> None:
        """Connect all of them once more: what arrives now was acked and yet not settled, so it is doubled."""
        self.disconnect()
        await asyncio.sleep(GRACE_SECONDS)
        for recorder in self._recorders:
            recorder.ended = False
        self._connections = await connect_all(self.environment, self._accounts, self._recorders)
        await asyncio.sleep(GRACE_SECONDS)

    def disconnect(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.end()
        self._connections = []


async def connect_with_retries(
    environment: Environment, account: Account, recorder: Recorder
) -> tuple[Connection, int]:
    """Connect; refused, try again a little later, as clients do. The connection, and how often it was refused.

    :raises ConnectError: when the last try fails
    """
    failures = 0
    while True:
        try:
            return await environment.connect(account, recorder), failures
        except ConnectError:
            failures += 1
            if failures == TRIES:
                raise
            await asyncio.sleep(random.uniform(0.5, 1) * PAUSE_SECONDS * 2**failures)  # noqa: S311 - no secret


async def connect_all(
    environment: Environment, accounts: Sequence[Account], recorders: Sequence[Recorder]
) -> list[Connection]:
    """Connect all of them, a few at a time.

    :raises ConnectError: when somebody cannot
    """
    limit = asyncio.Semaphore(CONNECTING)

    async def one(account: Account, recorder: Recorder) -> Connection:
        async with limit:
            connection, _ = await connect_with_retries(environment, account, recorder)
            return connection

    jobs = [asyncio.ensure_future(one(*each)) for each in zip(accounts, recorders, strict=True)]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    failed = [each for each in done if isinstance(each, BaseException)]
    connections = [each for each in done if not isinstance(each, BaseException)]
    if failed:
        for connection in connections:
            connection.end()
        raise ConnectError(f"{environment.name}: {len(failed)} of {len(accounts)} could not connect: {failed[0]}")
    return connections


class Counter:
    """Full cycles (sent, stored, delivered, acked, receipted) that ended while it was open."""

    def __init__(self) -> None:
        self.open = False
        self.cycles = 0

    def count(self) -> None:
        """One more."""
        if self.open:
            self.cycles += 1


async def closed(environment: Environment, *, pairs: int, in_flight: int, warm_up: float, seconds: float) -> Result:
    """Messages a second, and what one costs.

    :raises ConnectError: when somebody cannot connect
    """
    talk, counter, meter = Pairs(environment, pairs), Counter(), ActivityMeter(environment)
    going = True

    def on_receipt(pair: int, _number: int) -> None:
        counter.count()
        if going:
            talk.send(pair)

    await talk.connect(lambda _pair, _number: None, on_receipt)
    try:
        for pair in range(pairs):
            for _ in range(in_flight):
                talk.send(pair)
        await asyncio.sleep(warm_up)
        await meter.begin()
        cpu_timer, counter.open = CpuTimer(environment.processes), True
        await asyncio.sleep(seconds)
        counter.open = False
        cpu_timer.stop()
        await meter.end()
        scripts = await _watch(talk, lambda: asyncio.sleep(WATCH_SECONDS))
        going = False
        await talk.settle()
        await talk.reconnect()
    finally:
        talk.disconnect()
    figures = {"messages_per_second": round(counter.cycles / cpu_timer.seconds, 1), "messages": counter.cycles}
    setting = {"pairs": pairs, "in_flight": in_flight, "seconds": seconds}
    result = Result(
        "closed", environment.name, setting, figures, talk.ledger, cpu_timer.seconds, cpu_timer.used, per=counter.cycles
    )
    result.activity = {**meter.each(counter.cycles), **scripts}
    return result


async def _watch(talk: Pairs, work: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """Which scripts Redis runs during ``work``, for each chat sent in it; nothing where there is no Redis."""
    redis = talk.environment.watched_redis
    if redis is None:
        return {}
    before = talk.ledger.sent
    scripts = await watch(redis, work())
    return scripts.each(talk.ledger.sent - before)


STEP_SECONDS: Final = 0.001
HELD_SHARE: Final = 0.97
"""A rate is held if at least so much of it comes back as receipts in the measured part, but for one of each pair,"""
LATE_MS: Final = 50.0
"""and if 99 of 100 chats leave at most so much later than planned."""


class Stopwatch:
    """When each chat of each pair was sent, and how long its two ways took; only what came after the warm-up."""

    def __init__(self, pairs: int) -> None:
        self._sent: list[list[float]] = [[] for _ in range(pairs)]
        self.counts_from = self.counts_until = float("inf")
        self.arrivals: list[float] = []
        self.receipts: list[float] = []
        self.ticks: list[float] = []
        self.late: list[float] = []
        self.completed = 0
        """Receipts that came in the measured part, also of what was sent before it."""

    def begin(self) -> None:
        """What is sent from now on counts, and nothing that was sent before."""
        self.counts_from, self.counts_until = time.perf_counter(), float("inf")
        self.completed = 0
        for times in (self.arrivals, self.receipts, self.ticks, self.late):
            times.clear()

    def rest(self) -> None:
        """What is sent from now on does not count; what is under way does."""
        self.counts_until = time.perf_counter()

    def sent(self, pair: int, planned: float) -> None:
        """Now."""
        now = time.perf_counter()
        self._sent[pair].append(now)
        if self.counts_from <= planned < self.counts_until:
            self.late.append(now - planned)

    def arrived(self, pair: int, number: int) -> None:
        """Now."""
        self._note(self.arrivals, self._sent[pair][number])

    def stored(self, pair: int, number: int) -> None:
        """Now."""
        self._note(self.ticks, self._sent[pair][number])

    def receipt(self, pair: int, number: int) -> None:
        """Now."""
        self.completed += 1
        self._note(self.receipts, self._sent[pair][number])

    def _note(self, times: list[float], sent: float) -> None:
        if self.counts_from <= sent < self.counts_until:
            times.append(time.perf_counter() - sent)

    def figures(self) -> dict[str, float]:
        """In ms; nothing when nothing came."""
        if not (self.arrivals and self.receipts and self.ticks):
            return {}
        late = round(percentile(self.late, 99) * 1000, 3)
        return {
            **milliseconds("stored", self.ticks),
            **milliseconds("received", self.arrivals),
            **milliseconds("receipt", self.receipts),
            "late_p99_ms": late,
        }


def only_if_held(figures: Mapping[str, float], rate: float, reached: float, under_way: float) -> dict[str, float]:
    """Figures of the open loop. The latencies of a rate that was not held are left out: they would tell for how long it
    was tried.

    :param reached: receipts a second
    :param under_way: chats that may be without a receipt at the end, divided by the seconds
    """
    late = figures.get("late_p99_ms", float("inf"))
    held = reached + under_way >= HELD_SHARE * rate and late <= LATE_MS
    kept = figures if held else {name: value for name, value in figures.items() if name == "late_p99_ms"}
    return {**kept, "reached_per_second": round(reached, 1)}


async def open_loop(environment: Environment, *, pairs: int, rate: float, warm_up: float, seconds: float) -> Result:
    """Latencies at ``rate`` chats a second in all, spread evenly over the pairs. A rate that was not held has none:
    they would say how long it was tried.

    :raises ConnectError: when somebody cannot connect
    """
    talk, stopwatch, meter = Pairs(environment, pairs), Stopwatch(pairs), ActivityMeter(environment)
    await talk.connect(stopwatch.arrived, stopwatch.receipt, stopwatch.stored)
    try:
        await send_at_rate(talk, stopwatch, rate, warm_up)
        await meter.begin()
        cpu_timer = CpuTimer(environment.processes)
        stopwatch.begin()
        await send_at_rate(talk, stopwatch, rate, seconds)
        reached = stopwatch.completed
        cpu_timer.stop()
        await meter.end()
        stopwatch.rest()
        scripts = await _watch(talk, lambda: send_at_rate(talk, stopwatch, rate, WATCH_SECONDS))
        await talk.settle()
        await talk.reconnect()
    finally:
        talk.disconnect()
    setting = {"pairs": pairs, "rate": rate, "seconds": seconds}
    figures = only_if_held(stopwatch.figures(), rate, reached / cpu_timer.seconds, pairs / cpu_timer.seconds)
    per = len(stopwatch.late)
    result = Result("open", environment.name, setting, figures, talk.ledger, cpu_timer.seconds, cpu_timer.used, per=per)
    result.activity = {**meter.each(per), **scripts}
    return result


async def send_at_rate(talk: Pairs, stopwatch: Stopwatch, rate: float, seconds: float) -> None:
    """``rate`` chats a second in all, evenly over the pairs."""
    began, pairs, number, last = time.perf_counter(), len(talk.ledger.pairs), 0, int(rate * seconds)
    while number < last:
        # Chats that are due leave together. At thousands a second, a timer for each would take half of the client's
        # time, and with it the processor that the servers under test need.
        await asyncio.sleep(max(STEP_SECONDS, began + number / rate - time.perf_counter()))
        due = min(last, int((time.perf_counter() - began) * rate) + 1, number + pairs)
        while number < due:
            stopwatch.sent(number % pairs, began + number / rate)
            talk.send(number % pairs)
            number += 1
