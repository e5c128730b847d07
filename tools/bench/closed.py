"""Closed loop: every pair keeps some chats in flight; a place is free again when the receipt has come."""

import asyncio

from tools.bench.meter import Meter
from tools.bench.pairs import Pairs
from tools.bench.result import Result
from tools.bench.venue import Venue


class Counter:
    """Full cycles (sent, stored, delivered, acked, receipted) that ended while it was open."""

    def __init__(self) -> None:
        self.open = False
        self.cycles = 0

    def count(self) -> None:
        """One more."""
        if self.open:
            self.cycles += 1


async def closed(venue: Venue, *, pairs: int, in_flight: int, warm_up: float, seconds: float) -> Result:
    """Messages a second, and what one costs.

    :raises ConnectError: when somebody cannot connect
    """
    talk, counter = Pairs(venue, pairs), Counter()
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
        meter, counter.open = Meter(venue), True
        await asyncio.sleep(seconds)
        counter.open = False
        meter.stop()
        going = False
        await talk.settle()
        await talk.come_again()
    finally:
        talk.hang_up()
    figures = {"messages_per_second": round(counter.cycles / meter.seconds, 1), "messages": counter.cycles}
    setting = {"pairs": pairs, "in_flight": in_flight, "seconds": seconds}
    return Result("closed", venue.name, setting, figures, talk.ledger, meter.seconds, meter.used, per=counter.cycles)
