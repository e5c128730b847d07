"""Connections that come and go: a backlog (``offline``), idle connections, and a storm of reconnects.

A backlog: chats wait for a person who is away, who then connects. How long until the last chat is there?

Idle connections: memory of one, CPU of all.

A storm: every client loses its connection at once and reconnects at once.
"""

import asyncio
import time
from collections.abc import Callable

from tools.bench import cpu
from tools.bench.accounting import Ledger
from tools.bench.cpu import CpuTimer
from tools.bench.environment import ConnectError, Connection, Environment, Recorder
from tools.bench.result import Result, milliseconds
from tools.bench.talking import GRACE_SECONDS, SETTLE_SECONDS, connect_all, connect_with_retries

SENDERS = 4
"""The product lets at most 1,000 chats of one sender wait for one person."""
BATCH = 25


async def offline(environment: Environment, *, waiting: int) -> Result:
    """Send ``waiting`` chats from four senders who stay connected, so that their receipts are part of the work.

    :raises ConnectError: when a client cannot connect
    """
    accounts = await environment.accounts(SENDERS + 1)
    ledger, last = Ledger(SENDERS), [0.0]

    def on_arrived(_pair: int, _number: int) -> None:
        last[0] = time.perf_counter()

    recorders = [Recorder(ledger, on_arrived) for _ in accounts]
    opened = await connect_all(environment, accounts, recorders)  # the recipient's device is registered by this
    try:
        opened.pop().end()
        await asyncio.sleep(GRACE_SECONDS)
        await _fill(opened, accounts[-1].address, ledger, waiting)
        recorders[-1].ended = False
        cpu_timer, began = CpuTimer(environment.processes), time.perf_counter()
        opened.append(await environment.connect(accounts[-1], recorders[-1]))
        ready = time.perf_counter() - began
        await _wait(lambda: all(pair.arrived.missing(pair.sent) == 0 for pair in ledger.pairs))
        took = last[0] - began
        await _wait(ledger.settled)
        settled = time.perf_counter() - began
        cpu_timer.stop()
        await asyncio.sleep(GRACE_SECONDS)
    finally:
        for connection in opened:
            connection.end()
    figures = {
        "connect_to_last_ms": round(took * 1000, 1),
        "connect_to_ready_ms": round(ready * 1000, 1),
        "connect_to_all_receipts_ms": round(settled * 1000, 1),
    }
    return Result(
        "offline",
        environment.name,
        {"waiting": waiting},
        figures,
        ledger,
        cpu_timer.seconds,
        cpu_timer.used,
        per=ledger.sent,
    )


async def _fill(senders: list[Connection], to: str, ledger: Ledger, waiting: int) -> None:
    while ledger.sent < waiting:
        for pair, sender in enumerate(senders):
            for _ in range(min(BATCH, waiting - ledger.sent)):
                sender.chat(to, ledger.next_id(pair))
        await _wait(lambda: all(pair.stored.missing(pair.sent) == 0 for pair in ledger.pairs))
    await asyncio.sleep(GRACE_SECONDS)


async def _wait(done: Callable[[], bool]) -> None:
    """Wait until ``done()``, or so long that what is missing counts as lost."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done() and time.monotonic() < deadline:
        await asyncio.sleep(0.001)


WARM = 100
"""Connections opened before the first measurement of memory: what the first ones load is shared by all."""
IDLE_REST_SECONDS = 3.0


async def idle(environment: Environment, *, connections: int, seconds: float) -> Result:
    """Memory a connection (PSS, after minus before), by role; CPU while nothing is sent for ``seconds``.

    The server processes have to be fresh: one that had more connections before keeps some of their memory.

    :raises ConnectError: when a client cannot connect
    """
    accounts = await environment.accounts(connections + WARM)
    ledger = Ledger(0)
    recorders = [Recorder(ledger) for _ in accounts]
    opened = await connect_all(environment, accounts[:WARM], recorders[:WARM])
    try:
        await asyncio.sleep(IDLE_REST_SECONDS)
        before = _memory(environment)
        opened += await connect_all(environment, accounts[WARM:], recorders[WARM:])
        await asyncio.sleep(IDLE_REST_SECONDS)
        after = _memory(environment)
        cpu_timer = CpuTimer(environment.processes)
        await asyncio.sleep(seconds)
        cpu_timer.stop()
    finally:
        for connection in opened:
            connection.end()
    figures = {f"{role}_kb_each": round((after[role] - before[role]) / 1024 / connections, 2) for role in after}
    figures["server_mb"] = round(after.get("server", 0) / 2**20, 1)
    figures["server_cpu_percent"] = round(100 * cpu_timer.used.get("server", 0.0) / cpu_timer.seconds, 1)
    setting = {"connections": connections, "seconds": seconds}
    return Result(
        "idle", environment.name, setting, figures, ledger, cpu_timer.seconds, cpu_timer.used, per=connections
    )


def _memory(environment: Environment) -> dict[str, int]:
    return {role: cpu.memory(pids) for role, pids in environment.processes().items() if role in ("server", "redis")}


STORM_REST_SECONDS = 2.0


async def storm(environment: Environment, *, connections: int) -> Result:
    """Reconnects a second, from the first attempt to the last one that is ready: its identity checked, presence
    claimed, and what waited read. A client that is refused tries again after a pause; ``turned_away`` counts that.

    :raises ConnectError: when a client cannot connect before the storm; in the storm, clients that give up are counted
    """
    accounts = await environment.accounts(connections)
    ledger = Ledger(0)
    recorders = [Recorder(ledger) for _ in accounts]
    opened = await connect_all(environment, accounts, recorders)
    for connection in opened:
        connection.end()
    await asyncio.sleep(STORM_REST_SECONDS)
    for recorder in recorders:
        recorder.ended = False
    times: list[float] = []
    turned_away = [0]
    cpu_timer, began = CpuTimer(environment.processes), time.perf_counter()

    async def again(number: int) -> None:
        try:
            opened[number], failures = await connect_with_retries(environment, accounts[number], recorders[number])
        except ConnectError as error:
            ledger.close(str(error))
        else:
            turned_away[0] += failures
            times.append(time.perf_counter() - began)

    await asyncio.gather(*map(again, range(connections)))
    cpu_timer.stop()
    for connection in opened:
        connection.end()
    ready = {**milliseconds("ready", times), "ready_last_ms": round(max(times) * 1000, 1)} if times else {}
    figures = {
        "reconnects_per_second": round(len(times) / cpu_timer.seconds, 1),
        "turned_away": turned_away[0],
        **ready,
    }
    setting = {"connections": connections}
    return Result(
        "storm", environment.name, setting, figures, ledger, cpu_timer.seconds, cpu_timer.used, per=connections
    )
