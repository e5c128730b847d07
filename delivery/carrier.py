"""Carries entries from the mailbox to one socket, at most a window of unacked ones at a time."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import structlog

from delivery.mailbox import START, Collected, Mailbox, Mode
from delivery.messenger import Acked
from delivery.presence import Holder
from protocol.dialects import Dialect
from protocol.entries import Chat, Entry, Receipt
from protocol.identifiers import parse_stream_id
from protocol.refusals import SLOW_CONSUMER, Close, Refusal
from settings import Settings

logger = structlog.get_logger(__name__)
BATCH: Final = 128
RETRY_SECONDS: Final = 0.5
NOTHING: Final = (0, 0)


@dataclass(slots=True)
class Flight:
    """An entry on its way: sent and not acked. A receipt has no ``message_id``."""

    sender: str
    message_id: str
    sent_at: float
    times: int = 1


class Road(Protocol):
    """What the carrier needs of its connection."""

    async def carry(self, frames: Sequence[bytes]) -> None: ...
    def confirm(self, receipts: Sequence[str]) -> None: ...
    def close(self, close: Close) -> None: ...
    def lease_gone(self) -> None: ...


class Carrier:
    """Sleeps until rung, then reads until nothing is left or the window is full."""

    def __init__(self, road: Road, holder: Holder, mailbox: Mailbox, dialect: Dialect, settings: Settings) -> None:
        self._road = road
        self._holder = holder
        self._mailbox = mailbox
        self._dialect = dialect
        self._settings = settings
        self._window = settings.window
        self._bell = asyncio.Event()
        self._flights: dict[str, Flight] = {}
        self._parked: set[str] = set()
        self._cursor: str | None = START  # None: nothing pending is left to be claimed
        self._due = False
        self._read = NOTHING
        self._boundary = NOTHING
        self._waited = 0
        self._synced = False
        self._progress = time.monotonic()

    def begin(self, newest: str) -> None:
        """The lease was (re)claimed while ``newest`` was the last entry waiting: what is pending comes first."""
        self._boundary = max(self._boundary, parse_stream_id(newest) if newest else NOTHING)
        self._cursor = START
        self._bell.set()

    def ring(self, stream_id: str) -> None:
        """Something waits. A ring for what was read already is ignored; "" claims the pending ones again too."""
        if not stream_id:
            self._cursor = START
        elif parse_stream_id(stream_id) <= self._read:
            return
        self._bell.set()

    def acked(self, ids: Iterable[str]) -> tuple[list[Acked], list[str]]:
        """Those of these entries that are in flight here: chats, and streamIds of receipts. The rest is no business
        of this connection's: settled, or never its own."""
        chats, receipts = [], []
        for stream_id in dict.fromkeys(ids):
            flight = self._flights.get(stream_id)
            if flight is None:
                continue
            if flight.message_id:
                chats.append(Acked(stream_id, flight.sender, flight.message_id))
            else:
                receipts.append(stream_id)
        return chats, receipts

    def settled(self, ids: Iterable[str]) -> None:
        """These are through; with room for half a window, read on."""
        for stream_id in ids:
            self._flights.pop(stream_id, None)
        self._progress = time.monotonic()
        if len(self._flights) <= self._window // 2:
            self._bell.set()

    def tick(self, now: float) -> None:
        """Once a second: what stayed unacked for too long is due again; a window nobody empties ends the connection."""
        if self._overdue(now):
            self._due = True
            self._bell.set()
        if len(self._flights) >= self._window and now - self._progress >= self._settings.stuck_window_seconds:
            self._road.close(SLOW_CONSUMER)

    async def run(self) -> None:
        """Carry, until cancelled. While Redis is away it tries again, and then looks at what may be pending first:
        a read whose answer was lost has been executed."""
        while True:
            await self._bell.wait()
            self._bell.clear()
            try:
                await self._round()
            except Refusal:
                self._cursor = START
                self._bell.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _round(self) -> None:
        if self._due:
            self._due = False
            await self._redeliver()
        while self._cursor is not None and self._room:
            found = await self._collect("pending", self._cursor)
            self._cursor = None if found.cursor == START else found.cursor
        while self._cursor is None and self._room:
            if (await self._collect("new")).read == 0:
                break
        await self._say_synced()

    @property
    def _room(self) -> int:
        return max(0, min(BATCH, self._window - len(self._flights)))

    async def _collect(self, mode: Mode, cursor: str = START, ids: Sequence[str] = ()) -> Collected:
        found = await self._mailbox.collect(self._holder, mode, self._room or len(ids), cursor, ids)
        if found.verdict != "ok":
            # Whether another connection has it is for the lease to find out; it may be nobody's again by then.
            self._road.lease_gone()
            raise Refusal("unavailable")
        await self._deliver(found.entries, again=mode == "again")
        return found

    async def _deliver(self, entries: Sequence[Entry], *, again: bool) -> None:
        frames: list[bytes] = []
        receipts: list[str] = []
        now = time.monotonic()
        for entry in entries:
            place = parse_stream_id(entry.stream_id)
            if not again and (entry.stream_id in self._flights or entry.stream_id in self._parked):
                continue
            said = await self._say(entry, place)
            if said is None:
                continue
            frames += said
            before = self._flights.pop(entry.stream_id, None)
            message_id = entry.message_id if isinstance(entry, Chat) else ""
            self._flights[entry.stream_id] = Flight(entry.sender, message_id, now, before.times + 1 if before else 1)
            if not again and place <= self._boundary:
                self._waited += 1
            if not message_id and not self._dialect.acks_receipts:
                receipts.append(entry.stream_id)
            self._read = max(self._read, place)
        if len(self._flights) >= self._window:
            self._progress = now
        if frames:
            await self._road.carry(frames)
        if receipts:
            self._road.confirm(receipts)

    async def _say(self, entry: Entry, place: tuple[int, int]) -> list[bytes] | None:
        try:
            if isinstance(entry, Chat):
                mode: Literal["online", "offline"] = "offline" if place <= self._boundary else "online"
                return self._dialect.chat(entry, self._holder.mobile, mode)
            if isinstance(entry, Receipt):
                return self._dialect.receipt(entry, self._holder.mobile)
            raise TypeError(type(entry).__name__)
        except Exception:  # noqa: BLE001 - whatever our own code does with an entry, the next ones must flow
            await self._fail(entry.stream_id)
            return None

    async def _fail(self, stream_id: str) -> None:
        """Our own code cannot say this entry: the ones behind it must flow all the same."""
        self._parked.add(stream_id)
        count = await self._mailbox.failed(self._holder.mobile, stream_id)
        parked = count >= self._settings.park_after
        logger.exception("an entry could not be said", stream_id=stream_id, failures=count, parked=parked)

    def _overdue(self, now: float) -> list[str]:
        limit, most = now - self._settings.redeliver_seconds, self._settings.redeliver_times
        return [one for one, flight in self._flights.items() if flight.sent_at <= limit and flight.times <= most]

    async def _redeliver(self) -> None:
        again = self._overdue(time.monotonic())
        for start in range(0, len(again), BATCH):
            batch = again[start : start + BATCH]
            found = await self._collect("again", ids=batch)
            # Settled by another connection, or dropped since its sender is blocked: in flight no more.
            for stream_id in set(batch) - {entry.stream_id for entry in found.entries}:
                self._flights.pop(stream_id, None)

    async def _say_synced(self) -> None:
        if not self._synced and self._cursor is None and (self._room or self._read >= self._boundary):
            self._synced = True
            await self._road.carry(self._dialect.synced(self._waited))
