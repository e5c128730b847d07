"""Which entries to fetch next from the mailbox, and how they become frames."""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

import msgspec
import structlog

from delivery.in_flight import InFlightWindow
from delivery.policy import shown_receipt
from delivery.results import FIRST_ENTRY, Fetched
from delivery.session.effects import FetchEntries
from protocol.dialects import Dialect
from protocol.entries import Chat, Entry, OwnChat, OwnRead, Receipt
from protocol.identifiers import parse_stream_id
from protocol.privacy import OPEN

logger = structlog.get_logger(__name__)
BATCH: Final = 64
"""Entries in one fetch."""
RETRY_SECONDS: Final = 0.5
NOTHING: Final = (0, 0)
"""Before every streamId."""
TAKEN: Final = ""
"""A cursor from which a fetch is under way."""
NEVER: Final = float("inf")


class State(Enum):
    """What the reader does next when it is awake."""

    UNCLAIMED = "no lease yet: nothing may be read"
    SCANNING = "what earlier connections fetched and did not settle is claimed first, from a cursor"
    FOLLOWING = "all of that was sent: only new entries are fetched"
    RETRYING = "a fetch failed, but may have been executed: after a pause everything pending is scanned again"


class Encoded(NamedTuple):
    """What became of fetched entries.

    :param frames: to be sent
    :param receipts: streamIds of receipts among them that the client does not acknowledge
    :param acknowledged: streamIds that are in flight, and were not sent: the client had acknowledged them before, or
        they are nothing to this client
    :param failed: streamIds that our own code could not decode or encode, for the first time on this connection
    """

    frames: list[bytes]
    receipts: list[str]
    acknowledged: list[str]
    failed: list[str]


class MailboxReader:
    """At most one fetch is under way. The reader sleeps until something is notified, or the window has room again.

    Times are monotonic seconds; streamIds are compared as pairs of numbers.
    """

    __slots__ = (
        "_boundary", "_cursor", "_dead", "_device", "_dialect", "_mobile", "_more", "_newest_read", "_notified",
        "_overdue", "_prefetch", "_progress", "_settings_of_redelivery", "awake", "privacy", "retry_at", "state",
        "synced", "under_way", "waited",
    )  # fmt: skip

    def __init__(self, mobile: str, device: str, dialect: Dialect, redeliver: tuple[float, int], now: float) -> None:
        """:param redeliver: seconds after which an unacknowledged entry is sent again, and how often at most"""
        self._mobile = mobile
        self._device = device
        self._dialect = dialect
        self._settings_of_redelivery = redeliver
        self.privacy = OPEN
        """What the user hides: they do not see what others share of the same."""
        self.awake = False
        """Whether there may be something to fetch."""
        self.under_way = False
        """Whether a fetch has no reply yet."""
        self._cursor = FIRST_ENTRY
        self._more = True  # new entries may wait
        self._prefetch = False  # a new one is being stored
        self._overdue: list[str] = []
        self._notified = self._newest_read = self._boundary = NOTHING
        self._dead: dict[str, None] = {}  # smaller than an empty set
        self.synced = False
        """Whether everything that waited for this connection was sent, and the client was told so."""
        self._progress = now
        self.state = State.UNCLAIMED
        self.retry_at = NEVER
        """When a failed fetch is tried again."""
        self.waited = 0
        """Entries sent that had waited for this connection."""

    # ---- what wakes it

    def begin(self, newest: str) -> None:
        """The lease was claimed, perhaps anew, while ``newest`` was the last entry that waited ("": none)."""
        if newest:
            self._boundary = max(self._boundary, parse_stream_id(newest))
        self._notified = self._newest_read = NOTHING  # if storage was lost, ids may begin anew below what was read
        self._scan()

    def notify(self, stream_id: str) -> None:
        """This entry waits. One that was read already is ignored; "": look again, whatever was read."""
        if not stream_id:
            self._scan()
        elif (place := parse_stream_id(stream_id)) > self._newest_read:
            self._notified = max(self._notified, place)
            self._more = self.awake = True

    def prefetch(self) -> None:
        """An entry is being stored: a fetch that leaves now finds it. Nothing depends on that."""
        if self.state is State.FOLLOWING and self.synced and not self._overdue:
            self._prefetch = self.awake = True

    def note_progress(self, window: InFlightWindow, now: float) -> None:
        """Entries are in flight no more. With room for half a window it goes on."""
        self._progress = now
        if len(window.sent) <= window.size // 2:
            self.awake = True

    def check_overdue(self, window: InFlightWindow, now: float) -> None:
        """Once a second: what stayed unacknowledged for too long is to be sent again."""
        seconds, times = self._settings_of_redelivery
        # While a fetch is under way that brings them again, they are still as old as before.
        if window.sent and not self.under_way and (overdue := window.overdue(now - seconds, times)):
            self._overdue = overdue
            self.awake = True

    def stuck_seconds(self, window: InFlightWindow, now: float) -> float:
        """For how long the window has been full without an acknowledgement."""
        return 0.0 if window.room else now - self._progress

    # ---- fetching

    def next(self, window: InFlightWindow, now: float) -> FetchEntries | None:
        """What to fetch now, to be given what to settle on the way; then :meth:`fetched` or :meth:`failed` follows."""
        if not self.awake or self.under_way or self.state is State.UNCLAIMED:
            return None
        if self.state is State.RETRYING:
            if now < self.retry_at:
                return None
            self.state, self.retry_at = State.SCANNING, NEVER
        fetch = self._choose(window)
        self.awake = self.under_way = fetch is not None
        return fetch

    def _choose(self, window: InFlightWindow) -> FetchEntries | None:
        room = min(BATCH, window.size - len(window.sent))
        if self._overdue:
            ids = [stream_id for stream_id in self._overdue[:BATCH] if window.is_unacknowledged(stream_id)]
            del self._overdue[:BATCH]
            if ids:
                return FetchEntries("again", len(ids), FIRST_ENTRY, ids, [])
        if room <= 0:
            return None
        if self.state is State.SCANNING:
            cursor, self._cursor, self._prefetch = self._cursor, TAKEN, False
            return FetchEntries("pending", room, cursor, [], [])
        if self._more or self._prefetch:
            self._prefetch = False
            return FetchEntries("new", room, FIRST_ENTRY, [], [], self._notified)
        return None

    def fetched(self, fetch: FetchEntries, result: Fetched, window: InFlightWindow, now: float) -> Encoded:
        """Entries came: they are in flight from now on."""
        self.under_way = False
        had_room = len(window.sent) < window.size
        encoded, latest = self._encode(result.entries, window, now, again=fetch.mode == "again")
        self._newest_read = max(self._newest_read, latest)
        for stream_id in result.undecoded:
            if stream_id not in self._dead:
                self._dead[stream_id] = None
                encoded.failed.append(stream_id)
        if fetch.mode == "again":
            # Settled by another connection, or dropped since their sender is blocked: in flight no more.
            window.forget(set(fetch.ids) - {entry.stream_id for entry in result.entries})
        elif fetch.mode == "pending":
            if self._cursor == TAKEN:  # else it is to scan from the beginning by now
                self._scanned(result.cursor, window)
        elif self.state is State.FOLLOWING:
            # A fetch that brings less than it asked for has seen everything up to what was notified before it left.
            everything = result.read < fetch.count
            if everything:
                self._newest_read = max(self._newest_read, fetch.notified)
            self._more = not everything or self._notified > self._newest_read
        if had_room and len(window.sent) >= window.size:
            self._progress = now  # the window is full from now on; to send again is no progress
        return encoded

    def failed(self, now: float) -> None:
        """The fetch failed, or its reply was lost; then it may have been executed."""
        self.under_way = False
        self._scan()
        self.state, self.retry_at = State.RETRYING, now + RETRY_SECONDS

    def take_synced(self, window: InFlightWindow) -> bool:
        """Whether everything that waited for this connection has been sent. True once."""
        if self.synced or self.under_way or self.state is not State.FOLLOWING:
            return False
        room = window.room
        if (self._more and room) or not (room or self._newest_read >= self._boundary):
            return False
        self.synced = True
        return True

    def _scan(self) -> None:
        self.state, self._cursor, self.retry_at = State.SCANNING, FIRST_ENTRY, NEVER
        self._more = self.awake = True

    def _scanned(self, cursor: str, window: InFlightWindow) -> None:
        self._cursor = cursor
        if cursor == FIRST_ENTRY:
            self.state = State.FOLLOWING
            window.forget_early_acks()

    # ---- entries become frames

    def _encode(
        self, entries: Sequence[Entry], window: InFlightWindow, now: float, *, again: bool
    ) -> tuple[Encoded, tuple[int, int]]:
        """:returns: also the place of the latest entry that was encoded"""
        frames, receipts, acknowledged, failed = list[bytes](), list[str](), list[str](), list[str]()
        latest = NOTHING
        confirms = not self._dialect.acks_receipts
        for entry in entries:
            stream_id = entry.stream_id
            # What is fetched again may have been acknowledged meanwhile; what is pending may be in flight already.
            if again:
                if not window.is_unacknowledged(stream_id):
                    continue
            elif stream_id in window.sent or stream_id in window.settling or stream_id in self._dead:
                continue
            ms, _, number = stream_id.partition("-")
            place = int(ms), int(number)
            if window.early_acks and window.is_acknowledged_early(entry):
                acknowledged.append(stream_id)
            else:
                encoded = self._encode_one(entry, place)
                if encoded is None:
                    failed.append(stream_id)
                    continue
                if not encoded:
                    acknowledged.append(stream_id)
                else:
                    frames += encoded
                    if place <= self._boundary and not again:
                        self.waited += 1
                    if confirms and not isinstance(entry, Chat):
                        receipts.append(stream_id)
            window.add(entry, now)
            latest = max(latest, place)
        return Encoded(frames, receipts, acknowledged, failed), latest

    def _encode_one(self, entry: Entry, place: tuple[int, int]) -> list[bytes] | None:
        """:returns: no frames: the entry is nothing to this client. None: our own code failed"""
        try:
            if isinstance(entry, Chat):
                return self._dialect.chat(entry, self._mobile, "offline" if place <= self._boundary else "online")
            if isinstance(entry, Receipt):
                shown = shown_receipt(self.privacy, entry.ack_type)
                if shown != entry.ack_type:
                    entry = msgspec.structs.replace(entry, ack_type=shown)
                return self._dialect.receipt(entry, self._mobile)
            return self._encode_own(entry)
        except Exception:
            # The entries behind this one must be sent all the same.
            logger.exception("an entry could not be encoded", stream_id=entry.stream_id)
            self._dead[entry.stream_id] = None
            return None

    def _encode_own(self, entry: Entry) -> list[bytes]:
        """What this person did on a device, for the others."""
        if isinstance(entry, OwnChat):
            return [] if entry.device == self._device else self._dialect.own_chat(entry)
        if isinstance(entry, OwnRead):
            return [] if entry.device == self._device else self._dialect.own_read(entry)
        raise TypeError(f"{type(entry).__name__} is no entry of a mailbox")
