"""Entries in flight to one client: sent and not acknowledged yet, at most a window of them; and those to be settled."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from delivery.keys import OWN_CHATS
from protocol.entries import Chat, Entry, OwnChat

MOST_EARLY_ACKS: Final = 4_096
"""As many as a few windows."""
BEAT_SECONDS: Final = 1 / 64
"""What nobody waits for leaves at multiples of it, for all connections of a process in one write: it wakes the process
and Redis once, and not once for each connection. Longer beats would make bursts of it, which others wait for."""
SETTLE_SECONDS: Final = 1 / 16
"""Settling waits so long, and until the next beat, for a fetch to go along with. A crash meanwhile shows an
acknowledged chat again, under the same streamId."""
RETRY_SECONDS: Final = 0.5
MOST_SETTLED: Final = 500
"""Entries in one script: everybody else waits for Redis meanwhile."""
NEVER: Final = float("inf")


def on_beat(when: float) -> float:
    """The first beat that is not before ``when`` (monotonic seconds)."""
    return -(-when // BEAT_SECONDS) * BEAT_SECONDS


class Acknowledged(NamedTuple):
    """A chat that the client has: its entry, and the names by which its sender knows it."""

    stream_id: str
    sender: str
    message_id: str


class ToSettle(NamedTuple):
    """An entry that may leave the mailbox: the chat's sender and the bytes of its text. The sender is ``OWN_CHATS`` for
    a copy of what this person sent, and "" for what has no text."""

    stream_id: str
    sender: str
    size: int


class _Sent:
    """An entry in flight. Only a chat has a ``message_id``: nobody is told that another entry arrived."""

    __slots__ = ("acknowledged", "message_id", "sender", "sent_at", "size", "times")

    def __init__(self, sender: str, message_id: str, size: int, sent_at: float, times: int) -> None:
        self.sender = sender
        self.message_id = message_id
        self.size = size
        self.sent_at = sent_at
        self.times = times
        self.acknowledged = False


class InFlightWindow:
    """Times are monotonic seconds."""

    __slots__ = ("_to_settle", "early_acks", "sent", "settle_due", "settling", "shared", "size")

    def __init__(self, size: int) -> None:
        """:param size: how many entries may be in flight"""
        self.size = size
        self.sent: dict[str, _Sent] = {}
        """The entries in flight, by streamId."""
        self.settling: dict[str, None] = {}  # smaller than an empty set
        """Entries that are acknowledged and not settled yet."""
        self._to_settle: list[ToSettle] = []
        self.settle_due = NEVER
        """When what may leave the mailbox is settled, if no fetch takes it along before."""
        self.early_acks: dict[str | tuple[str, str], None] | None = {}
        """Acknowledgements that came before the entries they name, by streamId or by sender and messageId; None: no
        more are kept."""
        self.shared = True
        """Whether the user has other devices, which have copies of these entries. Until the lease is claimed it is not
        known, and those that there may be must miss nothing."""

    def __len__(self) -> int:
        return len(self.sent)

    def __contains__(self, stream_id: str) -> bool:
        """Whether the entry is in flight, or acknowledged and not settled yet: then it is not sent as a pending one."""
        return stream_id in self.sent or stream_id in self.settling

    @property
    def room(self) -> int:
        """How many more entries may be sent."""
        return max(0, self.size - len(self.sent))

    def is_unacknowledged(self, stream_id: str) -> bool:
        """Whether the entry is in flight, and the client did not acknowledge it."""
        sent = self.sent.get(stream_id)
        return sent is not None and not sent.acknowledged

    def add(self, entry: Entry, now: float) -> None:
        """The entry was sent, perhaps not for the first time."""
        before = self.sent.pop(entry.stream_id, None)
        times = 1 if before is None else before.times + 1
        if isinstance(entry, Chat):
            sent = _Sent(entry.sender, entry.message_id, entry.size, now, times)
        elif isinstance(entry, OwnChat):
            sent = _Sent(OWN_CHATS, "", entry.size, now, times)
        else:
            sent = _Sent("", "", 0, now, times)
        self.sent[entry.stream_id] = sent

    def acknowledge(self, ids: Iterable[str]) -> tuple[list[Acknowledged], list[str]]:
        """The client has these entries.

        :returns: chats, and streamIds of other entries, that were in flight and are acknowledged for the first time
        """
        chats: list[Acknowledged] = []
        others: list[str] = []
        for stream_id in ids:
            sent = self.sent.get(stream_id)
            if sent is None or sent.acknowledged:
                continue
            sent.acknowledged = True
            if sent.message_id:
                chats.append(Acknowledged(stream_id, sent.sender, sent.message_id))
            else:
                others.append(stream_id)
        return chats, others

    def find(self, sender: str, message_ids: Iterable[str]) -> list[str]:
        """The streamIds of those of this sender's chats that are in flight."""
        wanted = {message_id: None for message_id in message_ids}
        return [
            stream_id for stream_id, sent in self.sent.items() if sent.sender == sender and sent.message_id in wanted
        ]

    def reopen(self, ids: Sequence[str]) -> None:
        """The senders of these chats could not be told: an acknowledgement counts again."""
        for stream_id in ids:
            if (sent := self.sent.get(stream_id)) is not None:
                sent.acknowledged = False
        self.count_anew(ids)

    def count_anew(self, ids: Iterable[str]) -> None:
        """What the client said of these entries could not be passed on, which is not the client's fault: they may be
        sent again as often as if they had been sent once."""
        for stream_id in ids:
            if (sent := self.sent.get(stream_id)) is not None:
                sent.times = 1

    # ---- entries that may leave the mailbox

    def settle_later(self, ids: Iterable[str], now: float) -> None:
        """The senders of these chats know, or these are no chats. They take no room any more, and stay known until they
        are settled (:meth:`forget`)."""
        for stream_id in ids:
            if (sent := self.sent.pop(stream_id, None)) is not None:
                self.settling[stream_id] = None
                self._to_settle.append(ToSettle(stream_id, sent.sender, sent.size))
        if self._to_settle:
            self.settle_due = min(self.settle_due, on_beat(now + SETTLE_SECONDS))

    def take_to_settle(self) -> list[ToSettle]:
        """Entries for one script. They are forgotten when they are settled, or put back."""
        taken, self._to_settle = self._to_settle[:MOST_SETTLED], self._to_settle[MOST_SETTLED:]
        if not self._to_settle:
            self.settle_due = NEVER
        return taken

    def put_back(self, taken: Sequence[ToSettle], now: float) -> None:
        """They could not be settled, or that is not known."""
        if taken:
            self._to_settle = [*taken, *self._to_settle]
            self.settle_due = now + RETRY_SECONDS

    def drop_to_settle(self) -> None:
        """The next connection of the device settles them."""
        self._to_settle, self.settle_due = [], NEVER

    def forget(self, ids: Iterable[str]) -> None:
        """These entries are settled, or gone from the mailbox."""
        for stream_id in ids:
            self.sent.pop(stream_id, None)
            self.settling.pop(stream_id, None)

    def overdue(self, sent_before: float, times: int) -> list[str]:
        """Entries sent before this moment, at most so many times, and not acknowledged."""
        return [
            stream_id
            for stream_id, sent in self.sent.items()
            if sent.sent_at <= sent_before and sent.times <= times and not sent.acknowledged
        ]

    # ---- acknowledgements of what an earlier connection of the device was sent

    def keep_early_acks(self, acks: Iterable[str | tuple[str, str]]) -> None:
        """Keep acknowledgements of entries that are not in flight. They count if the device has the entry pending."""
        kept = self.early_acks
        if kept is not None:
            for ack in acks:
                if len(kept) >= MOST_EARLY_ACKS:
                    return
                kept[ack] = None

    def is_acknowledged_early(self, entry: Entry) -> bool:
        """Whether a kept acknowledgement names this entry."""
        if not self.early_acks:
            return False
        by_name = (entry.sender, entry.message_id) if isinstance(entry, Chat) else ""
        return entry.stream_id in self.early_acks or by_name in self.early_acks

    def forget_early_acks(self) -> None:
        """All that was pending when the connection began is in flight, or settled."""
        self.early_acks = None
