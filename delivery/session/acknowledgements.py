"""What the client acknowledged: the senders get receipts, and only then the entries are settled.

Receipts are stored in rounds, one round at a time. What is acknowledged or read meanwhile goes together in the next
round: one receipt for each sender. Within a round delivered chats come before read ones.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from delivery.in_flight import NEVER, Acknowledged, on_beat
from delivery.session.effects import Effect, FindUnread, NoteDelivered, SendReceipt

PAUSE_FACTOR: Final = 4
"""After a round the next one waits for so many times as long as the round took: the busier Redis is, the more goes
together. A tick comes later by as much, and each receipt that is saved is three scripts less for Redis."""
LONGEST_PAUSE: Final = 0.02
"""Seconds."""
ENOUGH_CHATS: Final = 4
"""So many chats end the pause: a client that waits for ticks before it sends more would lose more than is saved."""
MOST_NAMES: Final = 400
"""messageIds in one script: everybody else waits for Redis meanwhile. Of the longest, they are 51 KiB of a receipt."""
CONFIRM_SECONDS: Final = 1 / 8
"""The first ping that confirms receipts is sent at once: a client that leaves soon must not get them again. The next
one is sent so much later, on a beat: each is a write, wakes the client, and is a read when its pong comes."""
MANY_RECEIPTS: Final = 64
"""So many end that wait: unsettled they take room in the window, which chats need."""


class Acknowledgements:
    """Rounds of receipts. And pings, for a client that does not acknowledge receipts (seed dialect): the pong of a ping
    that was sent after receipts says that they have arrived. Times are monotonic seconds."""

    __slots__ = (
        "_began", "_chats", "_left", "_many", "_no_ping_before", "_paused_until", "_pinged", "_pinging", "_read_count",
        "_reads", "_round_reads", "_size", "_unpinged", "due", "pending", "ping_due",
    )  # fmt: skip

    def __init__(self, window_size: int) -> None:
        """:param window_size: how many entries may be in flight, receipts among them"""
        self._many = max(1, min(MANY_RECEIPTS, window_size // 4))
        self._chats: list[Acknowledged] = []
        self._reads: dict[str, dict[str, None]] = {}
        self._read_count = 0
        self._paused_until = 0.0
        self._began: float | None = None
        """Since when a round is under way; None: none is."""
        self._round_reads: dict[str, list[str]] = {}
        self._left = 0
        """Replies that the round, or its first part, waits for."""
        self._size = 0
        self.due = NEVER
        """When the next round begins."""
        self.pending = 0
        """Acknowledgements whose senders do not know of them yet."""
        self._unpinged: list[str] = []
        self._pinging: list[str] | None = None
        self._pinged: tuple[int, list[str]] | None = None
        self._no_ping_before = 0.0
        self.ping_due = NEVER
        """When a ping is to be sent that confirms receipts."""

    def add_delivered(self, chats: Sequence[Acknowledged], now: float) -> None:
        """The client has these chats."""
        self._chats += chats
        self.pending += len(chats)
        self._schedule(now)

    def add_read(self, sender: str, message_ids: Sequence[str], now: float) -> None:
        """The user read these chats of this sender."""
        self._reads.setdefault(sender, {}).update(dict.fromkeys(message_ids))
        self._read_count += 1
        self.pending += 1
        self._schedule(now)

    def begin(self, now: float, *, shared: bool) -> list[Effect]:
        """Begin a round; to be called when :attr:`due`.

        :param shared: other devices have these chats too. One of them may have told more of them already, and a tick
            must not go back: what the senders know is looked up first
        """
        self.due = NEVER
        chats, self._chats = self._chats, []
        self._round_reads, self._reads = {sender: list(names) for sender, names in self._reads.items()}, {}
        self._size, self._read_count = len(chats) + self._read_count, 0
        self._began = now
        by_sender: defaultdict[str, list[Acknowledged]] = defaultdict(list)
        for chat in chats:
            by_sender[chat.sender].append(chat)
        effects: list[Effect] = []
        for sender, theirs in by_sender.items():
            for start in range(0, len(theirs), MOST_NAMES):
                part = theirs[start : start + MOST_NAMES]
                names, ids = [chat.message_id for chat in part], [chat.stream_id for chat in part]
                receipt = SendReceipt(sender, "delivered", names, ids, stream_ids=ids)
                effects.append(NoteDelivered("a", receipt) if shared else receipt)
        self._left = len(effects)
        return effects or self._begin_reads()

    def next(self, now: float) -> list[Effect]:
        """One of the round's effects, and all that followed from it, was answered; :returns: what comes next."""
        self._left -= 1
        if self._left > 0:
            return []
        if self._round_reads:
            return self._begin_reads()
        self._end(now)
        return []

    def forget(self, ids: Sequence[str]) -> None:
        """These entries were read meanwhile: their senders know more than that they are delivered."""
        if self._chats and ids:
            read = set(ids)
            left = [chat for chat in self._chats if chat.stream_id not in read]
            self.pending -= len(self._chats) - len(left)
            self._chats = left

    def drop(self) -> None:
        """Our own code failed, and the connection ends: it must not wait for replies that do not come."""
        self._chats, self._reads, self._round_reads = [], {}, {}
        self._read_count = self._left = self.pending = 0
        self._began, self.due = None, NEVER

    def _begin_reads(self) -> list[Effect]:
        reads, self._round_reads = self._round_reads, {}
        effects: list[Effect] = [
            FindUnread(sender, names[start : start + MOST_NAMES])
            for sender, names in reads.items()
            for start in range(0, len(names), MOST_NAMES)
        ]
        self._left = len(effects)
        return effects

    def _end(self, now: float) -> None:
        if self._began is None:
            return  # dropped
        self._paused_until = now + min(PAUSE_FACTOR * (now - self._began), LONGEST_PAUSE)
        self._began = None
        self.pending -= self._size
        if self.pending:
            self._schedule(now)

    def _schedule(self, now: float) -> None:
        if self._began is None:
            self.due = now if len(self._chats) >= ENOUGH_CHATS else max(now, self._paused_until)

    # ---- receipts that a pong confirms; one such ping at a time

    def add_unconfirmed(self, receipts: Sequence[str], now: float) -> None:
        """These receipts were sent to a client that does not acknowledge them."""
        self._unpinged += receipts
        self._schedule_ping(now)

    def begin_ping(self, now: float) -> None:
        """A ping is being sent; to be called when :attr:`ping_due`. :meth:`pinged` follows."""
        self._pinging, self._unpinged = self._unpinged, []
        self._no_ping_before, self.ping_due = now + CONFIRM_SECONDS, NEVER

    def pinged(self, mark: int) -> None:
        """It was sent under this mark."""
        if self._pinging is not None:
            self._pinged, self._pinging = (mark, self._pinging), None

    def ponged(self, mark: int, now: float) -> list[str]:
        """The pong for the ping ``mark``, and with it every earlier one; :returns: receipts that have arrived."""
        if self._pinged is None or mark < self._pinged[0]:
            return []
        receipts, self._pinged = self._pinged[1], None
        self._schedule_ping(now)
        return receipts

    def _schedule_ping(self, now: float) -> None:
        if self._unpinged and self._pinged is None and self._pinging is None:
            is_now = now >= self._no_ping_before or len(self._unpinged) >= self._many
            self.ping_due = now if is_now else on_beat(self._no_ping_before)
