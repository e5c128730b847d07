"""What one client acks: first their senders get receipts, and only then the entries are settled."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from delivery.connection.sends import Desk
from delivery.connection.settles import Settles
from delivery.flights import Acked, Flights
from delivery.messenger import Messenger
from delivery.presence import Holder
from protocol.dialects import Dialect
from protocol.refusals import Refusal

RESTS: Final = 4
"""After a round of receipts we rest so many times as long as it took: the busier all are, the more goes together. A
tick comes that much later, and each receipt is three scripts less for Redis."""
LONGEST_REST: Final = 0.02
"""Seconds."""


class Counter(Protocol):
    """What the carrier wants to know."""

    def landed(self) -> None: ...


class Acks:
    """One round of receipts at a time; what is acked meanwhile goes together in the next, one receipt a sender."""

    __slots__ = (
        "_chats",
        "_counter",
        "_desk",
        "_dialect",
        "_flights",
        "_holder",
        "_messenger",
        "_reads",
        "_rested",
        "_settles",
        "pending",
    )

    def __init__(
        self,
        desk: Desk,
        holder: Holder,
        dialect: Dialect,
        messenger: Messenger,
        flights: Flights,
        settles: Settles,
        counter: Counter,
    ) -> None:
        self._desk = desk
        self._holder = holder
        self._dialect = dialect
        self._messenger = messenger
        self._flights = flights
        self._settles = settles
        self._counter = counter
        self._chats: list[Acked] = []
        self._reads: list[tuple[str, list[str]]] = []
        self._rested = 0.0
        self.pending = 0
        """Acks whose senders were not told yet."""

    def delivered(self, ids: Iterable[str]) -> None:
        """The client has these entries. Ids not in flight are ignored."""
        chats, receipts = self._flights.ack(ids)
        if receipts:
            self._land(receipts)
        if chats:
            self._chats += chats
            self._work_on(len(chats))

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of these that are not in flight here."""
        return [stream_id for stream_id in ids if stream_id not in self._flights]

    def read(self, sender: str, message_ids: list[str]) -> None:
        """The person read these chats of this sender."""
        self._reads.append((sender, message_ids))
        self._work_on(1)

    async def finish(self) -> None:
        """Return when every sender was told, or could not be."""
        while self.pending:
            await asyncio.sleep(0.005)

    # ---- receipts

    def _work_on(self, more: int) -> None:
        idle, self.pending = self.pending == 0, self.pending + more
        if idle:
            self._work_at(self._rested)

    def _work_at(self, moment: float) -> None:
        loop = asyncio.get_running_loop()
        if moment <= loop.time():
            self._desk.spawn(self._work())
        else:
            loop.call_at(moment, lambda: self._desk.spawn(self._work()))

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        chats, self._chats = self._chats, []
        reads, self._reads = self._reads, []
        try:
            await self._tell_senders(chats)
            for sender, message_ids in reads:
                await self._mark_read(sender, message_ids)
        except BaseException:
            # The connection ends by this, and must not wait for what nobody will tell any more.
            self._chats.clear()
            self._reads.clear()
            self.pending = 0
            raise
        ended = loop.time()
        self._rested = ended + min(RESTS * (ended - began), LONGEST_REST)
        self.pending -= len(chats) + len(reads)
        if self.pending:
            self._work_at(self._rested)

    async def _tell_senders(self, chats: Sequence[Acked]) -> None:
        by_sender: defaultdict[str, list[Acked]] = defaultdict(list)
        for chat in chats:
            by_sender[chat.sender].append(chat)
        tellings = [self._tell(sender, theirs) for sender, theirs in by_sender.items()]
        if len(tellings) == 1:
            await tellings[0]  # a gathering costs as much as the telling
        else:
            await asyncio.gather(*tellings)

    async def _tell(self, sender: str, chats: Sequence[Acked]) -> None:
        ids = [chat.stream_id for chat in chats]
        try:
            await self._messenger.acknowledge(self._holder, sender, [chat.message_id for chat in chats])
        except Refusal as refusal:
            self._flights.resume(ids)
            self._desk.say(self._dialect.error(refusal, "ack"))
        else:
            self._land(ids)

    async def _mark_read(self, sender: str, message_ids: Sequence[str]) -> None:
        try:
            settled = await self._messenger.mark_read(self._holder, sender, message_ids)
        except Refusal as refusal:
            self._desk.say(self._dialect.error(refusal, "ack"))
        else:
            self._flights.forget(settled)
            self._counter.landed()

    def _land(self, ids: Sequence[str]) -> None:
        self._settles.put(self._flights.land(ids))
        self._counter.landed()
