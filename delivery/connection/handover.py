"""How entries become frames: from then on they are in flight, until their owner acks them."""

import time
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import structlog

from delivery.in_flight import Flights
from delivery.mailbox import Mailbox
from delivery.presence import Holder
from protocol.dialects import Dialect
from protocol.entries import Chat, Entry, Receipt
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
Place: TypeAlias = tuple[int, int]
NOTHING: Final = (0, 0)


class Exit(Protocol):
    """Where frames leave."""

    async def carry(self, frames: Sequence[bytes]) -> None: ...
    def confirm(self, receipts: Sequence[str]) -> None: ...


class Said(NamedTuple):
    """What became of entries."""

    frames: list[bytes]
    receipts: list[str]
    """Those that are receipts which the client will not ack."""
    failed: list[str]
    """Those our own code could not say."""
    latest: Place
    """The place of the latest one said; ``NOTHING`` if none was."""
    acked: list[str]
    """Those that the client acked before it was sent them here: an earlier connection had sent them."""


class Handover:
    """The entries of one connection."""

    __slots__ = (
        "_dialect", "_exit", "_flights", "_holder", "_mailbox", "_park_after", "_parked", "boundary", "waited",
    )  # fmt: skip

    def __init__(
        self, exit_: Exit, holder: Holder, mailbox: Mailbox, dialect: Dialect, flights: Flights, park_after: int
    ) -> None:
        """
        :param park_after: failures of one entry after which it is said to be parked
        """
        self._exit = exit_
        self._holder = holder
        self._mailbox = mailbox
        self._dialect = dialect
        self._flights = flights
        self._park_after = park_after
        self._parked: dict[str, None] = {}  # smaller than an empty set
        self.boundary: Place = NOTHING
        """What is not behind this place waited for the connection: it is said to be ``offline``."""
        self.waited = 0
        """How many of those were said."""

    def say(self, entries: Sequence[Entry], *, again: bool) -> Said:
        """They are in flight from now on.

        :param again: they are already, and were not acked for too long
        """
        said, receipts, failed, acked = list[bytes](), list[str](), list[str](), list[str]()
        latest, now = NOTHING, time.monotonic()
        confirming = not self._dialect.acks_receipts
        for entry in entries:
            if not self._is_due(entry.stream_id, again=again):
                continue
            place = entry.place
            if self._flights.kept and self._flights.was_acked(entry):
                self._flights.start(entry, now)
                acked.append(entry.stream_id)
                latest = max(latest, place)
                continue
            frames = self._frames(entry, place)
            if frames is None:
                failed.append(entry.stream_id)
                continue
            said += frames
            self._flights.start(entry, now)
            if place <= self.boundary and not again:
                self.waited += 1
            if confirming and isinstance(entry, Receipt):
                receipts.append(entry.stream_id)
            latest = max(latest, place)
        return Said(said, receipts, failed, latest, acked)

    async def finish(self, said: Said) -> None:
        """Let them leave, however slowly the client reads."""
        for stream_id in said.failed:
            await self._fail(stream_id)
        if said.frames:
            await self._exit.carry(said.frames)
        self._exit.confirm(said.receipts)

    def _is_due(self, stream_id: str, *, again: bool) -> bool:
        """What is fetched again may have been acked meanwhile; what is pending may be on its way already."""
        if again:
            return self._flights.unacked(stream_id)
        return stream_id not in self._flights and stream_id not in self._parked

    def _frames(self, entry: Entry, place: Place) -> list[bytes] | None:
        try:
            if isinstance(entry, Chat):
                mode: Literal["online", "offline"] = "offline" if place <= self.boundary else "online"
                return self._dialect.chat(entry, self._holder.mobile, mode)
            if isinstance(entry, Receipt):
                return self._dialect.receipt(entry, self._holder.mobile)
            raise TypeError(type(entry).__name__)
        except Exception:
            logger.exception("an entry could not be said", stream_id=entry.stream_id)
            return None

    async def _fail(self, stream_id: str) -> None:
        """Our own code cannot say this entry: the ones behind it must flow all the same."""
        self._parked[stream_id] = None
        try:
            count = await self._mailbox.failed(self._holder.mobile, stream_id)
        except ApiError:
            return  # uncounted this time
        if count >= self._park_after:
            logger.error("an entry is parked", stream_id=stream_id, failures=count)
