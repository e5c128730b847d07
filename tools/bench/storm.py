"""A storm: everybody is cut off at once, and comes back at once."""

import asyncio
import time

from tools.bench.accounting import Ledger
from tools.bench.line import ConnectError, Ear
from tools.bench.meter import Meter
from tools.bench.pairs import connect_all, insist
from tools.bench.result import Result
from tools.bench.statistics import milliseconds
from tools.bench.venue import Venue

REST_SECONDS = 2.0


async def storm(venue: Venue, *, connections: int) -> Result:
    """Reconnects a second, from the first attempt to the last one that is ready: its identity checked, presence
    claimed, and what waited read. Who is turned away tries again after a pause; how often that was is told.

    :raises ConnectError: when somebody cannot connect before the storm; in it, who gives up is counted
    """
    people = await venue.people(connections)
    ledger = Ledger(0)
    ears = [Ear(ledger) for _ in people]
    lines = await connect_all(venue, people, ears)
    for line in lines:
        line.end()
    await asyncio.sleep(REST_SECONDS)
    for ear in ears:
        ear.ended = False
    times: list[float] = []
    turned_away = [0]
    meter, began = Meter(venue), time.perf_counter()

    async def again(number: int) -> None:
        try:
            lines[number], failures = await insist(venue, people[number], ears[number])
        except ConnectError as error:
            ledger.close(str(error))
        else:
            turned_away[0] += failures
            times.append(time.perf_counter() - began)

    await asyncio.gather(*map(again, range(connections)))
    meter.stop()
    for line in lines:
        line.end()
    ready = {**milliseconds("ready", times), "ready_last_ms": round(max(times) * 1000, 1)} if times else {}
    figures = {"reconnects_per_second": round(len(times) / meter.seconds, 1), "turned_away": turned_away[0], **ready}
    setting = {"connections": connections}
    return Result("storm", venue.name, setting, figures, ledger, meter.seconds, meter.used, per=connections)
