"""Open loop: chats leave at a fixed rate, whatever comes back; how long until they arrive, and until the receipt.

Times run from when a chat is handed to the socket. How much later than planned that was is told as ``late``: were it
large, the client would have waited when the server was slow, and hidden it.
"""

import asyncio
import time
from typing import Final

from tools.bench.meter import Meter
from tools.bench.pairs import Pairs
from tools.bench.result import Result
from tools.bench.statistics import milliseconds, percentile
from tools.bench.venue import Venue

STEP_SECONDS: Final = 0.001


class Stopwatch:
    """When each chat of each pair was sent, and how long its two ways took; only what came after the warm-up."""

    def __init__(self, pairs: int) -> None:
        self._sent: list[list[float]] = [[] for _ in range(pairs)]
        self.counts_from = float("inf")
        self.arrivals: list[float] = []
        self.receipts: list[float] = []
        self.ticks: list[float] = []
        self.late: list[float] = []

    def begin(self) -> None:
        """What is sent from now on counts, and nothing that was sent before."""
        self.counts_from = time.perf_counter()
        for times in (self.arrivals, self.receipts, self.ticks, self.late):
            times.clear()

    def rest(self) -> None:
        """What is sent from now on does not count."""
        self.counts_from = float("inf")

    def sent(self, pair: int, planned: float) -> None:
        """Now."""
        now = time.perf_counter()
        self._sent[pair].append(now)
        if planned >= self.counts_from:
            self.late.append(now - planned)

    def arrived(self, pair: int, number: int) -> None:
        """Now."""
        self._note(self.arrivals, self._sent[pair][number])

    def stored(self, pair: int, number: int) -> None:
        """Now."""
        self._note(self.ticks, self._sent[pair][number])

    def receipt(self, pair: int, number: int) -> None:
        """Now."""
        self._note(self.receipts, self._sent[pair][number])

    def _note(self, times: list[float], sent: float) -> None:
        if sent >= self.counts_from:
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


async def open_loop(venue: Venue, *, pairs: int, rate: float, warm_up: float, seconds: float, name: str) -> Result:
    """Latencies at ``rate`` chats a second in all, spread evenly over the pairs.

    :param name: what the mode is called in the record
    :raises ConnectError: when somebody cannot connect
    """
    talk, watch = Pairs(venue, pairs), Stopwatch(pairs)
    await talk.connect(watch.arrived, watch.receipt, watch.stored)
    try:
        await send_at_rate(talk, watch, rate, warm_up)
        meter = Meter(venue)
        watch.begin()
        await send_at_rate(talk, watch, rate, seconds)
        meter.stop()
        await talk.settle()
        await talk.come_again()
    finally:
        talk.hang_up()
    setting = {"pairs": pairs, "rate": rate, "seconds": seconds}
    figures = watch.figures()
    return Result(name, venue.name, setting, figures, talk.ledger, meter.seconds, meter.used, per=len(watch.late))


async def send_at_rate(talk: Pairs, watch: Stopwatch, rate: float, seconds: float) -> None:
    """``rate`` chats a second in all, evenly over the pairs."""
    began, pairs, number, last = time.perf_counter(), len(talk.ledger.pairs), 0, int(rate * seconds)
    while number < last:
        # Whatever is due leaves together. At thousands a second a timer for each would take half of the client's time,
        # and with it the processor the servers under test stand on.
        await asyncio.sleep(max(STEP_SECONDS, began + number / rate - time.perf_counter()))
        due = min(last, int((time.perf_counter() - began) * rate) + 1, number + pairs)
        while number < due:
            watch.sent(number % pairs, began + number / rate)
            talk.send(number % pairs)
            number += 1
