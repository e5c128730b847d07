"""What one client acks: first the senders get receipts, and only then the entries are settled."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from delivery.connection.sends import Desk
from delivery.connection.settles import Settles
from delivery.in_flight import Acked, Flights
from delivery.mailbox import Unloaded
from delivery.messenger import Messenger
from delivery.presence import Holder
from delivery.redis.failures import CommandFailed
from protocol.bad_frames import ack_names
from protocol.dialects import Dialect
from protocol.errors import ApiError

RESTS: Final = 4
"""After a round of receipts we rest so many times as long as it took: the busier all are, the more goes together. A
tick comes that much later, and each receipt is three scripts less for Redis."""
LONGEST_REST: Final = 0.02
"""Seconds."""
ENOUGH: Final = 4
"""So many chats end the rest: who waits for ticks before he sends on would wait longer than is saved."""


class Counter(Protocol):
    """What the carrier wants to know."""

    def landed(self) -> None: ...


class _Round:
    """Receipts that are on their way together: since when, of how many acks, with which reads to tell of afterwards (by
    sender), and how many senders were not told yet."""

    __slots__ = ("began", "left", "reads", "size")

    def __init__(self, began: float, senders: int, reads: dict[str, list[str]], size: int) -> None:
        self.began = began
        self.left = senders
        self.reads = reads
        self.size = size


class Acks:
    """One round of receipts at a time; what is acked or read meanwhile goes together in the next, one receipt a sender.

    Within a round what is delivered comes before what is read.
    """

    __slots__ = (
        "_chats",
        "_counter",
        "_desk",
        "_dialect",
        "_flights",
        "_holder",
        "_messenger",
        "_read_count",
        "_reads",
        "_rested",
        "_resting",
        "_settles",
        "_under_way",
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
        self._reads: dict[str, dict[str, None]] = {}
        self._read_count = 0
        self._rested = 0.0
        self._resting: asyncio.TimerHandle | None = None
        self._under_way: _Round | None = None
        self.pending = 0
        """Acks whose senders were not told yet."""

    def delivered(self, ids: Sequence[str]) -> int:
        """The client has these entries.

        :returns: how many of them waited for it. The rest is settled, or not this device's; or it was pending when
            the connection began, and then the ack counts as soon as the entry is read
        """
        chats, receipts = self._flights.ack(ids)
        if receipts:
            self._land(receipts)
        if chats:
            self._chats += chats
            self._work_on(len(chats))
        counted = len(chats) + len(receipts)
        if counted < len(ids):
            self._flights.keep(self.unknown(ids))
        return counted

    def delivered_chats(self, sender: str, message_ids: Sequence[str]) -> int:
        """The same for chats, by their sender and messageIds."""
        counted = self.delivered(self._flights.find(sender, message_ids))
        if counted < len(message_ids):
            self._flights.keep((sender, message_id) for message_id in message_ids)
        return counted

    def unknown(self, ids: Iterable[str]) -> list[str]:
        """Those of these that are not in flight here."""
        return [stream_id for stream_id in ids if stream_id not in self._flights]

    def read(self, sender: str, message_ids: list[str]) -> None:
        """The person read these chats of this sender."""
        self._reads.setdefault(sender, {}).update(dict.fromkeys(message_ids))
        self._read_count += 1
        self._work_on(1)

    async def finish(self) -> None:
        """Return when every sender was told, or could not be."""
        while self.pending:
            await asyncio.sleep(0.005)

    # ---- receipts

    def _work_on(self, more: int) -> None:
        idle, self.pending = self.pending == 0, self.pending + more
        if idle:
            self._rest()
        elif self._resting is not None and len(self._chats) >= ENOUGH:
            self._resting.cancel()
            self._work_soon()

    def _rest(self) -> None:
        """Then work, unless there is enough to do already."""
        loop = asyncio.get_running_loop()
        if len(self._chats) >= ENOUGH or self._rested <= loop.time():
            self._work_soon()
        else:
            self._resting = loop.call_at(self._rested, self._work)

    def _work_soon(self) -> None:
        self._resting = None
        asyncio.get_running_loop().call_soon(self._work)  # what else comes in this tick goes along

    def _work(self) -> None:
        self._resting = None
        chats, self._chats = self._chats, []
        reads, self._reads = {sender: list(names) for sender, names in self._reads.items()}, {}
        read_count, self._read_count = self._read_count, 0
        by_sender: defaultdict[str, list[Acked]] = defaultdict(list)
        for chat in chats:
            by_sender[chat.sender].append(chat)
        now, size = asyncio.get_running_loop().time(), len(chats) + read_count
        self._under_way = under_way = _Round(now, len(by_sender), reads, size)
        try:
            for sender, theirs in by_sender.items():
                self._tell(under_way, sender, theirs)
            if not by_sender:
                self._go_on(under_way)
        except Exception as error:  # noqa: BLE001 - the connection ends by it
            self._fail(error)

    def _tell(self, under_way: _Round, sender: str, chats: Sequence[Acked]) -> None:
        if self._flights.shared:
            # Another device may have told more of these chats already, and a tick must not go back.
            self._desk.spawn(self._tell_slowly(under_way, sender, chats))
            return
        message_ids = [chat.message_id for chat in chats]
        self._messenger.acknowledge_soon(
            self._holder, sender, message_ids, partial(self._told, under_way, sender, chats)
        )

    async def _tell_slowly(self, under_way: _Round, sender: str, chats: Sequence[Acked]) -> None:
        error: Exception | None = None
        try:
            message_ids = [chat.message_id for chat in chats]
            await self._messenger.acknowledge(self._holder, sender, message_ids, shared=self._flights.shared)
        except Exception as met:  # noqa: BLE001 - told like any other answer
            error = met
        except BaseException:
            self._drop()
            raise
        self._told(under_way, sender, chats, error)

    def _told(self, under_way: _Round, sender: str, chats: Sequence[Acked], error: Exception | None) -> None:
        if isinstance(error, Unloaded):
            self._desk.spawn(self._tell_slowly(under_way, sender, chats))
            return
        try:
            self._heard(sender, chats, error)
        except Exception as bug:  # noqa: BLE001 - the connection ends by it
            self._fail(bug)
            return
        under_way.left -= 1
        if not under_way.left and under_way is self._under_way:
            self._go_on(under_way)

    def _heard(self, sender: str, chats: Sequence[Acked], error: Exception | None) -> None:
        ids = [chat.stream_id for chat in chats]
        if error is None:
            self._land(ids)
        elif (refusal := _refusal_of(error)) is not None:
            if isinstance(error, CommandFailed):
                self._flights.forget(ids)  # it comes again with the next connection, and takes no room until then
            else:
                self._flights.resume(ids)
            self._desk.say(self._dialect.error(refusal, "ack", ack_names(sender, (), ids)))
        else:
            raise error

    def _go_on(self, under_way: _Round) -> None:
        """Everybody was told what was delivered."""
        if under_way.reads:
            self._desk.spawn(self._mark_all_read(under_way))
        else:
            self._end(under_way)

    async def _mark_all_read(self, under_way: _Round) -> None:
        try:
            await asyncio.gather(*[self._mark_read(sender, names) for sender, names in under_way.reads.items()])
        except BaseException:
            self._drop()
            raise
        self._end(under_way)

    def _end(self, under_way: _Round) -> None:
        now = asyncio.get_running_loop().time()
        self._rested = now + min(RESTS * (now - under_way.began), LONGEST_REST)
        self.pending -= under_way.size
        if self.pending:
            self._rest()
        self._desk.done()

    def _fail(self, error: Exception) -> None:
        self._drop()
        self._desk.done(error)

    def _drop(self) -> None:
        """The connection ends, and must not wait for what nobody will tell any more."""
        self._chats.clear()
        self._reads.clear()
        self._read_count = 0
        self._under_way = None  # whoever of it is told later counts no more
        self.pending = 0

    async def _mark_read(self, sender: str, message_ids: Sequence[str]) -> None:
        try:
            shared = self._flights.shared
            settled = await self._messenger.mark_read(self._holder, sender, message_ids, shared=shared)
        except (ApiError, CommandFailed) as error:
            refusal = error if isinstance(error, ApiError) else ApiError("internal")
            self._desk.say(self._dialect.error(refusal, "ack", ack_names(sender, message_ids, ())))
        else:
            self._flights.forget(settled)
            self._counter.landed()

    def _land(self, ids: Sequence[str]) -> None:
        self._settles.put(self._flights.land(ids))
        self._counter.landed()


def _refusal_of(error: Exception) -> ApiError | None:
    """What the client is told of an ack that could not be told on; None when the error is our own code's.

    A script that fails concerns one person, one of whose keys is broken, say: it is no reason to end the connections of
    everybody who has to do with them.
    """
    if isinstance(error, CommandFailed):
        return ApiError("internal")
    return error if isinstance(error, ApiError) else None
