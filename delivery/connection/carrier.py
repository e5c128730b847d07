"""Carries entries from the mailbox to one socket, at most a window of unacked ones at a time."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final, Protocol

from delivery.connection.handover import NOTHING, Handover, Place, Said
from delivery.connection.settles import Settles
from delivery.in_flight import Flights, Landed
from delivery.mailbox import START, Collected, Mailbox, Mode
from delivery.presence import Holder
from protocol.dialects import Dialect
from protocol.entries import Entry
from protocol.errors import SLOW_CONSUMER, ApiError, Close
from protocol.identifiers import parse_stream_id
from settings import Settings

BATCH: Final = 64
RETRY_SECONDS: Final = 0.5


class Road(Protocol):
    """What the carrier needs of its connection."""

    @property
    def ended(self) -> bool: ...
    @property
    def slow(self) -> bool: ...
    def say(self, frames: Sequence[bytes]) -> None: ...
    def done(self, error: BaseException | None = None) -> None: ...
    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...
    async def carry(self, frames: Sequence[bytes]) -> None: ...
    def confirm(self, receipts: Sequence[str]) -> None: ...
    def acked(self, ids: Sequence[str]) -> None: ...
    def close(self, close: Close) -> None: ...
    def lease_gone(self) -> None: ...


class Carrier:
    """Sleeps until rung, then reads until nothing is left or the window is full."""

    __slots__ = (
        "_cursor",
        "_dialect",
        "_due",
        "_expecting",
        "_flights",
        "_handover",
        "_holder",
        "_mailbox",
        "_more",
        "_progress",
        "_read",
        "_road",
        "_rung",
        "_running",
        "_settings",
        "_settles",
        "_synced",
    )

    def __init__(
        self,
        road: Road,
        holder: Holder,
        mailbox: Mailbox,
        dialect: Dialect,
        flights: Flights,
        settles: Settles,
        settings: Settings,
    ) -> None:
        self._road = road
        self._holder = holder
        self._mailbox = mailbox
        self._dialect = dialect
        self._flights = flights
        self._settles = settles
        self._settings = settings
        self._handover = Handover(road, holder, mailbox, dialect, flights, settings.park_after)
        self._cursor: str | None = START  # None: nothing pending is left to be claimed
        self._due = False
        self._expecting = False
        self._more = True  # new entries may wait
        self._rung = NOTHING
        self._read = NOTHING
        self._synced = False
        self._running = False
        self._progress = time.monotonic()

    def begin(self, newest: str) -> None:
        """The lease was (re)claimed while ``newest`` was the last entry waiting: what is pending comes first."""
        self._handover.boundary = max(self._handover.boundary, parse_stream_id(newest) if newest else NOTHING)
        self._rung = self._read = NOTHING  # if storage was lost, places may begin anew below what was read
        self._look()

    def expect(self) -> None:
        """Something is being stored, and very likely not refused: a read that leaves now finds it."""
        if self._follows:
            self._expecting = True
            self._wake()

    def ring(self, stream_id: str) -> None:
        """Something waits. A ring for what was read already is ignored; "" claims the pending ones again too."""
        if not stream_id:
            self._look()
        elif (place := parse_stream_id(stream_id)) > self._read:
            self._rung = max(self._rung, place)
            self._more = True
            self._wake()

    def landed(self) -> None:
        """Flights are through; with room for half a window, read on."""
        self._progress = time.monotonic()
        if len(self._flights) <= self._flights.window // 2 and self._wanted:
            self._wake()

    def tick(self, now: float) -> None:
        """Once a second: what stayed unacked for too long is due again; a window nobody empties ends the connection."""
        if len(self._flights) == 0:
            return
        if self._overdue(now):
            self._due = True
            self._wake()
        if not self._flights.room and now - self._progress >= self._settings.stuck_window_seconds:
            self._road.close(SLOW_CONSUMER)

    @property
    def _wanted(self) -> bool:
        """Whether there is anything to do, and room to do it in."""
        new = self._more or self._expecting
        return self._due or (self._flights.room > 0 and (new or self._cursor is not None))

    @property
    def _follows(self) -> bool:
        """Whether all is through that was there before, and only what is new is read."""
        return self._synced and self._cursor is None and not self._due

    def _look(self) -> None:
        self._doubt()
        self._wake()

    def _wake(self) -> None:
        if not self._running:
            self._running = True
            self._go_on()

    def _go_on(self) -> None:
        """Most reads are of what is new, and need no task; all else is a round."""
        if not self._wanted or self._road.ended:
            self._running = False
        elif self._follows:
            self._expecting = False
            asked, rung, landed = self._room, self._rung, self._settles.take()
            self._mailbox.collect_soon(self._holder, asked, landed, partial(self._heard, asked, rung, landed))
        else:
            self._road.spawn(self._run())

    def _heard(self, asked: int, rung: Place, landed: list[Landed], found: Collected | Exception) -> None:
        try:
            collected = self._taken(found, landed)
            said = self._said(collected.entries)
            self._read_to(rung, everything=collected.read < asked)
        except ApiError:
            self._doubt()
            self._road.spawn(self._run(RETRY_SECONDS))
        except Exception as error:  # noqa: BLE001 - the connection ends by it
            self._road.done(error)
        else:
            if said.failed or self._road.slow:
                self._road.spawn(self._go_on_after(said))
            else:
                self._road.say(said.frames)
                self._road.confirm(said.receipts)
                self._go_on()

    async def _go_on_after(self, said: Said) -> None:
        await self._handover.finish(said)
        self._go_on()

    async def _run(self, pause: float = 0) -> None:
        """While Redis is away it tries again."""
        try:
            while self._wanted and not self._road.ended:
                if pause:
                    await asyncio.sleep(pause)
                try:
                    await self._round()
                    pause = 0
                except ApiError:
                    self._doubt()
                    pause = RETRY_SECONDS
        finally:
            self._running = False

    def _doubt(self) -> None:
        """A read whose answer was lost has been executed: look at what may be pending first."""
        self._cursor = START
        self._more = True

    async def _round(self) -> None:
        self._expecting = False  # what is to be done here has no haste: the ring is enough
        if self._due:
            self._due = False
            await self._redeliver()
        self._more = self._more or self._cursor is not None  # a read on its way may have been told that nothing is new
        while self._cursor is not None and self._room:
            found = await self._collect("pending", self._cursor)
            self._cursor = None if found.cursor == START else found.cursor
        if self._cursor is None:
            self._flights.keep_no_more()
        while self._cursor is None and self._more and self._room:
            await self._read_on()
        await self._say_synced()

    async def _read_on(self) -> None:
        """A read that brings less than was asked for has seen everything up to the latest ring before it."""
        asked, rung = self._room, self._rung
        self._read_to(rung, everything=(await self._collect("new")).read < asked)

    def _read_to(self, rung: Place, *, everything: bool) -> None:
        if everything:
            self._read = max(self._read, rung)
        self._more = not everything or self._rung > self._read

    @property
    def _room(self) -> int:
        return min(BATCH, self._flights.room)

    async def _collect(self, mode: Mode, cursor: str = START, ids: Sequence[str] = ()) -> Collected:
        landed = self._settles.take()
        found: Collected | ApiError
        try:
            found = await self._mailbox.collect(self._holder, mode, self._room or len(ids), cursor, ids, landed)
        except ApiError as refusal:
            found = refusal
        collected = self._taken(found, landed)
        said = self._said(collected.entries, again=mode == "again")
        await self._handover.finish(said)
        if said.acked and not self._road.ended:
            self._road.acked(said.acked)
        return collected

    def _taken(self, found: Collected | Exception, landed: list[Landed]) -> Collected:
        if isinstance(found, Collected) and found.verdict == "ok":
            self._settles.gone(landed)
            self._flights.shared = self._flights.shared or found.shared
            return found
        self._settles.put_back(landed)
        if isinstance(found, Exception):
            raise found
        # Whether another connection has it is for the lease to find out; it may be nobody's again by then.
        self._road.lease_gone()
        raise ApiError("unavailable")

    def _said(self, entries: Sequence[Entry], *, again: bool = False) -> Said:
        had_room = self._flights.room > 0
        said = self._handover.say(entries, again=again)
        self._read = max(self._read, said.latest)
        if had_room and not self._flights.room:
            self._progress = time.monotonic()  # the window is full from now on; sending again is no progress
        return said

    def _overdue(self, now: float) -> list[str]:
        return self._flights.overdue(now - self._settings.redeliver_seconds, self._settings.redeliver_times)

    async def _redeliver(self) -> None:
        again = self._overdue(time.monotonic())
        for start in range(0, len(again), BATCH):
            batch = again[start : start + BATCH]
            found = await self._collect("again", ids=batch)
            # Settled by another connection, or dropped since its sender is blocked: in flight no more.
            self._flights.forget(set(batch) - {entry.stream_id for entry in found.entries})

    async def _say_synced(self) -> None:
        if not self._synced and self._cursor is None and (self._room or self._read >= self._handover.boundary):
            self._synced = True
            await self._road.carry(self._dialect.synced(self._handover.waited))
