"""Idle connections: what one costs in memory, and all of them in CPU."""

import asyncio

from tools.bench import cpu
from tools.bench.accounting import Ledger
from tools.bench.line import Ear
from tools.bench.meter import Meter
from tools.bench.pairs import connect_all
from tools.bench.result import Result
from tools.bench.venue import Venue

WARM = 100
"""Connections that are there before the first look at the memory: what the first ones load, they all share."""
REST_SECONDS = 3.0


async def idle(venue: Venue, *, connections: int, seconds: float) -> Result:
    """Memory a connection (PSS, after minus before), by role; CPU while nothing is said for ``seconds``.

    For a server process that is fresh: one that had more connections before keeps memory it does not give back.

    :raises ConnectError: when somebody cannot connect
    """
    people = await venue.people(connections + WARM)
    ledger = Ledger(0)
    ears = [Ear(ledger) for _ in people]
    lines = await connect_all(venue, people[:WARM], ears[:WARM])
    try:
        await asyncio.sleep(REST_SECONDS)
        before = _memory(venue)
        lines += await connect_all(venue, people[WARM:], ears[WARM:])
        await asyncio.sleep(REST_SECONDS)
        after = _memory(venue)
        meter = Meter(venue)
        await asyncio.sleep(seconds)
        meter.stop()
    finally:
        for line in lines:
            line.end()
    figures = {f"{role}_kb_each": round((after[role] - before[role]) / 1024 / connections, 2) for role in after}
    figures["server_mb"] = round(after.get("server", 0) / 2**20, 1)
    figures["server_cpu_percent"] = round(100 * meter.used.get("server", 0.0) / meter.seconds, 1)
    setting = {"connections": connections, "seconds": seconds}
    return Result("idle", venue.name, setting, figures, ledger, meter.seconds, meter.used, per=connections)


def _memory(venue: Venue) -> dict[str, int]:
    return {role: cpu.memory(pids) for role, pids in venue.processes().items() if role in ("server", "redis")}
