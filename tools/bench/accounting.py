"""Strict accounting: what was sent, and what became of it. Lost, doubled or reordered chats make a run void.

A chat's ``messageId`` is ``<run>-<pair>-<number>``: numbers of a pair count up from 0 in the order of sending, so that
one comparison tells whether the next thing that comes is the one expected. Runs have names of their own, because a
server remembers the ``messageId``s of a day.
"""

import secrets
from dataclasses import dataclass, field


class Sequence:
    """Items numbered 0, 1, 2, …, in the order in which they arrive."""

    __slots__ = ("doubled", "gaps", "next", "reordered")

    def __init__(self) -> None:
        self.next = 0
        self.gaps: set[int] = set()
        self.doubled = self.reordered = 0

    def add(self, number: int) -> bool:
        """Record one number; True when it is new."""
        if number == self.next:
            self.next = number + 1
            return True
        if number > self.next:
            self.gaps.update(range(self.next, number))
            self.next = number + 1
            return True
        if number in self.gaps:  # a later number arrived before it
            self.gaps.remove(number)
            self.reordered += 1
            return True
        self.doubled += 1
        return False

    def missing(self, sent: int, refused: frozenset[int] | set[int] = frozenset()) -> int:
        """How many of ``sent`` never arrived, without those that were ``refused``."""
        if not refused:
            return len(self.gaps) + max(0, sent - self.next)
        return len((self.gaps | set(range(self.next, sent))) - refused)

    def unknown(self, sent: int) -> int:
        """How many arrived that were never sent."""
        return max(0, self.next - sent)


@dataclass(slots=True)
class Pair:
    """One sender and one recipient."""

    sent: int = 0
    refused: set[int] = field(default_factory=set)
    stored: Sequence = field(default_factory=Sequence)
    arrived: Sequence = field(default_factory=Sequence)
    receipted: Sequence = field(default_factory=Sequence)

    @property
    def settled(self) -> bool:
        """Whether every sent chat has its tick, has arrived and has its receipt."""
        return not any(kind.missing(self.sent, self.refused) for kind in (self.stored, self.arrived, self.receipted))


@dataclass(slots=True)
class Defects:
    """What was wrong in a run; all zeros, or the run is void.

    :param lost: chats that never arrived
    :param doubled: chats that arrived again
    :param reordered: chats that arrived after a later one of the same sender
    :param unanswered: chats without a single tick
    :param unreceipted: chats whose sender got no receipt
    :param receipts_doubled: receipts or ticks for a chat that had one
    :param unknown: chats, ticks or receipts that arrived and belong to no sent chat
    :param refused: chats the server refused
    :param closed: connections that ended by themselves
    :param unstored: chats that a server's archive lacks, where it was looked into
    """

    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    unanswered: int = 0
    unreceipted: int = 0
    receipts_doubled: int = 0
    unknown: int = 0
    refused: int = 0
    closed: int = 0
    unstored: int = 0

    def any(self) -> bool:
        """Whether the run is void."""
        return any(self.counts().values())

    def counts(self) -> dict[str, int]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def text(self) -> str:
        """What there was, or ``none``."""
        return ", ".join(f"{count} {name}" for name, count in self.counts().items() if count) or "none"


class Ledger:
    """What was sent and what arrived in one run: a :class:`Pair` each, and what belongs to no pair."""

    def __init__(self, pairs: int) -> None:
        self.run = secrets.token_hex(4)
        self.pairs = [Pair() for _ in range(pairs)]
        self.refusals: dict[str, int] = {}
        self.closes: dict[str, int] = {}
        self.strange = self.unstored = 0

    @property
    def sent(self) -> int:
        """Chats sent so far."""
        return sum(pair.sent for pair in self.pairs)

    def next_id(self, pair: int) -> str:
        """Record a chat as sent; its ``messageId``."""
        entry = self.pairs[pair]
        message_id = f"{self.run}-{pair}-{entry.sent}"
        entry.sent += 1
        return message_id

    def locate(self, message_id: str) -> tuple[int, int] | None:
        """Pair and number of a chat of this run; None, which is recorded, for any other ``messageId``."""
        run, _, rest = message_id.partition("-")
        pair, _, number = rest.partition("-")
        if run == self.run and int(pair) < len(self.pairs):
            return int(pair), int(number)
        self.strange += 1
        return None

    def refuse(self, code: str, message_id: str) -> None:
        """Record an error frame. ``message_id`` is empty when the error names no chat."""
        self.refusals[code] = self.refusals.get(code, 0) + 1
        if message_id and (locate := self.locate(message_id)):
            self.pairs[locate[0]].refused.add(locate[1])

    def close(self, why: str) -> None:
        """Record that a connection ended by itself. ``why`` is its close code and reason."""
        self.closes[why] = self.closes.get(why, 0) + 1

    @property
    def closed(self) -> int:
        """Connections that ended by themselves."""
        return sum(self.closes.values())

    def settled(self) -> bool:
        """Whether nothing is outstanding."""
        return all(pair.settled for pair in self.pairs)

    def defects(self) -> Defects:
        """Every defect so far; final once nothing more can arrive."""
        found = Defects(
            refused=sum(self.refusals.values()), closed=self.closed, unknown=self.strange, unstored=self.unstored
        )
        for pair in self.pairs:
            found.lost += pair.arrived.missing(pair.sent, pair.refused)
            found.doubled += pair.arrived.doubled
            found.reordered += pair.arrived.reordered
            found.unanswered += pair.stored.missing(pair.sent, pair.refused)
            found.unreceipted += pair.receipted.missing(pair.sent, pair.refused)
            found.receipts_doubled += pair.receipted.doubled + pair.stored.doubled
            found.unknown += sum(kind.unknown(pair.sent) for kind in (pair.stored, pair.arrived, pair.receipted))
        return found

    def per_pair(self) -> list[dict[str, int]]:
        """What was wrong, pair by pair; only pairs with something wrong."""
        wrong = []
        for number, pair in enumerate(self.pairs):
            alone = Ledger(0)
            alone.pairs = [pair]
            if (defects := alone.defects()).any():
                wrong.append({"pair": number, "sent": pair.sent, **{k: v for k, v in defects.counts().items() if v}})
        return wrong
