"""A backlog: chats wait for somebody who is away; then he connects. How long until he has the last?"""

import asyncio
import time
from collections.abc import Callable

from tools.bench.accounting import Ledger
from tools.bench.line import Ear, Line
from tools.bench.meter import Meter
from tools.bench.pairs import GRACE_SECONDS, SETTLE_SECONDS, connect_all
from tools.bench.result import Result
from tools.bench.venue import Venue

SENDERS = 4
"""The product lets at most 1,000 chats of one sender wait for one person."""
BATCH = 25


async def offline(venue: Venue, *, waiting: int) -> Result:
    """``waiting`` chats, from four senders who stay connected, so that their receipts are part of the work.

    :raises ConnectError: when somebody cannot connect
    """
    people = await venue.people(SENDERS + 1)
    ledger, last = Ledger(SENDERS), [0.0]

    def on_arrived(_pair: int, _number: int) -> None:
        last[0] = time.perf_counter()

    ears = [Ear(ledger, on_arrived) for _ in people]
    lines = await connect_all(venue, people, ears)  # he was here before: his device is known
    try:
        lines.pop().end()
        await asyncio.sleep(GRACE_SECONDS)
        await _fill(lines, people[-1].address, ledger, waiting)
        ears[-1].ended = False
        meter, began = Meter(venue), time.perf_counter()
        lines.append(await venue.connect(people[-1], ears[-1]))
        ready = time.perf_counter() - began
        await _wait(lambda: all(pair.arrived.missing(pair.sent) == 0 for pair in ledger.pairs))
        took = last[0] - began
        await _wait(ledger.settled)
        settled = time.perf_counter() - began
        meter.stop()
        await asyncio.sleep(GRACE_SECONDS)
    finally:
        for line in lines:
            line.end()
    figures = {
        "connect_to_last_ms": round(took * 1000, 1),
        "connect_to_ready_ms": round(ready * 1000, 1),
        "connect_to_all_receipts_ms": round(settled * 1000, 1),
    }
    return Result(
        "offline", venue.name, {"waiting": waiting}, figures, ledger, meter.seconds, meter.used, per=ledger.sent
    )


async def _fill(senders: list[Line], to: str, ledger: Ledger, waiting: int) -> None:
    while ledger.sent < waiting:
        for pair, sender in enumerate(senders):
            for _ in range(min(BATCH, waiting - ledger.sent)):
                sender.chat(to, ledger.next_id(pair))
        await _wait(lambda: all(pair.stored.missing(pair.sent) == 0 for pair in ledger.pairs))
    await asyncio.sleep(GRACE_SECONDS)


async def _wait(done: Callable[[], bool]) -> None:
    """Until ``done()``, or so long that what is missing is lost."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done() and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
