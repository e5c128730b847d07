"""Entries on their way to one client: sent and not acked yet."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from protocol.entries import Chat, Entry

MOST_KEPT: Final = 4_096
"""Acks that came before what they are for: as many as a few windows."""


class Acked(NamedTuple):
    """A chat its recipient has: where it waits, and how its sender knows it."""

    stream_id: str
    sender: str
    message_id: str


class Landed(NamedTuple):
    """An entry that is through and to be settled: its chat's sender and bytes of text; a receipt has none."""

    stream_id: str
    sender: str
    size: int


class _Flight:
    """A receipt has no ``message_id``. ``acked``: the client has it, its sender is being told."""

    __slots__ = ("acked", "message_id", "sender", "sent_at", "size", "times")

    def __init__(self, sender: str, message_id: str, size: int, sent_at: float, times: int) -> None:
        self.sender = sender
        self.message_id = message_id
        self.size = size
        self.sent_at = sent_at
        self.times = times
        self.acked = False


class Flights:
    """At most a window of them. Times are monotonic seconds."""

    __slots__ = ("_flights", "_landed", "kept", "shared", "window")

    def __init__(self, window: int) -> None:
        self.window = window
        self._flights: dict[str, _Flight] = {}
        self._landed: dict[str, None] = {}  # smaller than an empty set
        self.kept: dict[str | tuple[str, str], None] | None = {}
        """Acks that came before the entries they are for; None: none is kept any more."""
        self.shared = False
        """Whether the person has other devices, which have copies of these entries."""

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, stream_id: str) -> bool:
        """Whether it is on its way, or through and not settled yet: either way not to be sent because it is pending."""
        return stream_id in self._flights or stream_id in self._landed

    @property
    def room(self) -> int:
        """How many more may leave."""
        return max(0, self.window - len(self._flights))

    def unacked(self, stream_id: str) -> bool:
        """Whether it is on its way, and the client did not say yet that it has it."""
        flight = self._flights.get(stream_id)
        return flight is not None and not flight.acked

    def start(self, entry: Entry, now: float) -> None:
        """It was sent, perhaps not for the first time."""
        before = self._flights.pop(entry.stream_id, None)
        times = 1 if before is None else before.times + 1
        if isinstance(entry, Chat):
            flight = _Flight(entry.sender, entry.message_id, entry.size, now, times)
        else:
            flight = _Flight("", "", 0, now, times)
        self._flights[entry.stream_id] = flight

    def ack(self, ids: Iterable[str]) -> tuple[list[Acked], list[str]]:
        """Those of these entries that are in flight here and were not acked yet: chats, and streamIds of receipts.
        The rest is no business of this connection's: settled, or never its own."""
        chats, receipts = [], []
        for stream_id in ids:
            flight = self._flights.get(stream_id)
            if flight is None or flight.acked:
                continue
            flight.acked = True
            if flight.message_id:
                chats.append(Acked(stream_id, flight.sender, flight.message_id))
            else:
                receipts.append(stream_id)
        return chats, receipts

    def find(self, sender: str, message_ids: Iterable[str]) -> list[str]:
        """The streamIds of those of this sender's chats that are in flight here."""
        wanted = {message_id: None for message_id in message_ids}
        return [
            stream_id
            for stream_id, flight in self._flights.items()
            if flight.sender == sender and flight.message_id in wanted
        ]

    # ---- acks of what an earlier connection of the device was sent

    def keep(self, acks: Iterable[str | tuple[str, str]]) -> None:
        """Acks of entries that are not in flight here, by streamId or by sender and messageId: they count if the device
        turns out to have the entry pending. At most ``MOST_KEPT``."""
        kept = self.kept
        if kept is not None:
            for ack in acks:
                if len(kept) >= MOST_KEPT:
                    return
                kept[ack] = None

    def was_acked(self, entry: Entry) -> bool:
        """Whether one of the kept acks names this entry."""
        if not self.kept:
            return False
        by_name = (entry.sender, entry.message_id) if isinstance(entry, Chat) else ""
        return entry.stream_id in self.kept or by_name in self.kept

    def keep_no_more(self) -> None:
        """All that was pending when the connection began is in flight, or through."""
        self.kept = None

    def resume(self, ids: Iterable[str]) -> None:
        """Their senders could not be told: an ack counts again."""
        for stream_id in ids:
            if (flight := self._flights.get(stream_id)) is not None:
                flight.acked = False

    def land(self, ids: Iterable[str]) -> list[Landed]:
        """These are through: they count no more. Until they are settled they are known."""
        landed = []
        for stream_id in ids:
            if (flight := self._flights.pop(stream_id, None)) is not None:
                self._landed[stream_id] = None
                landed.append(Landed(stream_id, flight.sender, flight.size))
        return landed

    def forget(self, ids: Iterable[str]) -> None:
        """These are settled, or gone from the mailbox."""
        for stream_id in ids:
            self._flights.pop(stream_id, None)
            self._landed.pop(stream_id, None)

    def overdue(self, sent_before: float, times: int) -> list[str]:
        """Those sent before this moment, at most so many times, and not acked."""
        return [
            stream_id
            for stream_id, flight in self._flights.items()
            if flight.sent_at <= sent_before and flight.times <= times and not flight.acked
        ]
