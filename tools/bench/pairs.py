"""Pairs of people who are connected: what the modes closed and open have in common."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from tools.bench.accounting import Ledger
from tools.bench.line import Account, ConnectError, Ear, Line
from tools.bench.venue import Venue

SETTLE_SECONDS: Final = 45.0
"""Longer than the 30 seconds after which an unacked entry comes again: a doubled chat has its chance to show."""
CUT_SECONDS: Final = 3.0
"""So long is waited when a connection has ended by itself."""
GRACE_SECONDS: Final = 0.5
TRIES: Final = 6
PAUSE_SECONDS: Final = 0.25
"""Before the second try; doubled before each further one."""
CONNECTING: Final = 32
"""So many connect at once, so that no server's listen queue overflows."""


Told = Callable[[int, int], None]


class Pairs:
    """``count`` senders and ``count`` recipients; even people send to the odd one that follows."""

    def __init__(self, venue: Venue, count: int) -> None:
        self.venue, self.ledger = venue, Ledger(count)
        self.senders: list[Line] = []
        self.addresses: list[str] = []
        self._ears: list[Ear] = []
        self._lines: list[Line] = []
        self._people: Sequence[Account] = []

    async def connect(self, *told: Told) -> None:
        """Everybody comes in.

        :param told: what an :class:`Ear` calls: of arrivals, receipts, single ticks
        :raises ConnectError: when somebody cannot
        """
        count = len(self.ledger.pairs)
        self._people = await self.venue.people(2 * count)
        self._ears = [Ear(self.ledger, *told) for _ in self._people]
        self._lines = await connect_all(self.venue, self._people, self._ears)
        self.senders = self._lines[::2]
        self.addresses = [account.address for account in self._people[1::2]]

    def send(self, pair: int) -> None:
        """The next chat of a pair."""
        self.senders[pair].chat(self.addresses[pair], self.ledger.next_id(pair))

    async def settle(self) -> None:
        """Wait for all that is to come, and a moment longer for what is not; the books tell the rest."""
        began = time.monotonic()
        # Who was closed hears nothing more in this run, which is void already.
        while not self.ledger.settled() and time.monotonic() - began < (
            CUT_SECONDS if self.ledger.closed else SETTLE_SECONDS
        ):
            await asyncio.sleep(0.02)
        await asyncio.sleep(GRACE_SECONDS)

    async def come_again(self) -> None:
        """Everybody connects once more: what comes now was acked, and yet not settled, so it is doubled."""
        self.hang_up()
        await asyncio.sleep(GRACE_SECONDS)
        for ear in self._ears:
            ear.ended = False
        self._lines = await connect_all(self.venue, self._people, self._ears)
        await asyncio.sleep(GRACE_SECONDS)

    def hang_up(self) -> None:
        """Everybody leaves."""
        for line in self._lines:
            line.end()
        self._lines = []


async def insist(venue: Venue, account: Account, ear: Ear) -> tuple[Line, int]:
    """Connect; turned away, try again a little later, as clients do. The line, and how often that was.

    :raises ConnectError: when it cannot for too long
    """
    failures = 0
    while True:
        try:
            return await venue.connect(account, ear), failures
        except ConnectError:
            failures += 1
            if failures == TRIES:
                raise
            await asyncio.sleep(random.uniform(0.5, 1) * PAUSE_SECONDS * 2**failures)  # noqa: S311 - no secret


async def connect_all(venue: Venue, people: Sequence[Account], ears: Sequence[Ear]) -> list[Line]:
    """Connect everybody, a few at a time.

    :raises ConnectError: when somebody cannot
    """
    gate = asyncio.Semaphore(CONNECTING)

    async def one(account: Account, ear: Ear) -> Line:
        async with gate:
            line, _ = await insist(venue, account, ear)
            return line

    jobs = [asyncio.ensure_future(one(*each)) for each in zip(people, ears, strict=True)]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    failed = [each for each in done if isinstance(each, BaseException)]
    lines = [each for each in done if not isinstance(each, BaseException)]
    if failed:
        for line in lines:
            line.end()
        raise ConnectError(f"{venue.name}: {len(failed)} of {len(people)} could not connect: {failed[0]}")
    return lines
