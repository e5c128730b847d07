"""How much one person may send: limits in this process, and limits that the script which stores chats checks.

None of it costs a trip to Redis. In this process are the buckets of a pair (sender and recipient) and of a sender over
all recipients, shared by all connections of the sender to this process. In Redis, with the recipient, are the buckets
of strangers: senders to whom the recipient never wrote. ``store_chats.lua`` checks those, and returns whether the
sender is a stranger, so that the answer can be cached here.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from delivery.rate_limits import RateLimits, lookups, rate_limited
from delivery.redis.client import Arg
from settings import Settings

HOLD_SECONDS: Final = 1.0
"""When a chat is rate limited, no later chat of its pair is admitted for at least so long: it would overtake the first
one, and each chat of a flood would cost a trip. The same for a sender whose own bucket is empty."""
CACHE_SECONDS: Final = 3600.0
"""How long it is cached that a recipient wrote to a sender, and that this was noted."""
PAIR_IDLE_SECONDS: Final = 60.0
SENDER_IDLE_SECONDS: Final = 3600.0
"""After so long without a chat a pair or a sender may be forgotten. What is cached of a pair goes with its sender."""
MAX_SENDERS: Final = 10_000
MAX_PAIRS: Final = 512
"""At this number idle ones are forgotten, and later whenever there are twice as many as were left: so the cost of each
clean-up is shared by as many additions."""
STRANGER_SECONDS: Final = 30 * 86_400
"""How long Redis remembers that somebody wrote and got no answer."""
ANSWERED_SECONDS: Final = 180 * 86_400
MAX_ANSWERED: Final = 2_000
"""How long, and of how many, Redis remembers to whom a person wrote."""


class _Pair:
    """A sender and one recipient."""

    __slots__ = ("answered_until", "full_at", "held_until", "noted_until", "reserved", "seen", "used")

    def __init__(self) -> None:
        self.full_at = 0.0
        self.held_until = 0.0
        self.answered_until = 0.0  # the recipient wrote to the sender
        self.noted_until = 0.0  # that the sender wrote to the recipient is noted
        self.reserved = False  # a token for new recipients was taken, and it is not known yet whether it was needed
        self.seen = False  # the sender wrote to the recipient before
        self.used = 0.0


class _Sender:
    __slots__ = ("bytes_full_at", "clean_up_at", "full_at", "held_until", "new_full_at", "pairs", "used")

    def __init__(self) -> None:
        self.full_at = 0.0
        self.bytes_full_at = 0.0
        self.new_full_at = 0.0
        self.held_until = 0.0
        self.pairs: dict[str, _Pair] = {}
        self.clean_up_at = MAX_PAIRS
        self.used = 0.0

    def is_idle(self, now: float) -> bool:
        """Whether nothing is lost when it is forgotten."""
        latest = max(self.full_at, self.bytes_full_at, self.new_full_at, self.held_until)
        return latest <= now and self.used <= now - SENDER_IDLE_SECONDS


class SendLimits:
    """The limits of one server process. Times are in seconds of ``clock``."""

    def __init__(self, settings: Settings, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.on = settings.rate_limits == "on"
        self._limits = limits
        self._lookups = lookups(settings)
        self._clock = clock
        self._senders: dict[str, _Sender] = {}
        self._clean_up_at = MAX_SENDERS
        self._pair = 1 / settings.pair_chats_per_second
        self._pair_room = (settings.pair_chats_burst - 1) * self._pair
        self._all = 1 / settings.sender_chats_per_second
        self._all_room = (settings.sender_chats_burst - 1) * self._all
        self._byte = 1 / settings.sender_bytes_per_second
        self._bytes_room = settings.sender_bytes_burst * self._byte
        self._new = 3600 / settings.new_recipients_per_hour
        self._new_room = (max(1, int(settings.new_recipients_per_hour)) - 1) * self._new
        self._stranger: list[Arg] = [
            max(1, round(1e6 / settings.stranger_chats_per_second)),
            settings.stranger_chats_burst,
        ]

    def admit(self, sender: str, to: str, size: int) -> None:
        """A chat of so many bytes may be stored. A chat that may not takes no tokens.

        :raises ApiError: ``rate_limited``; for so long no chat of this pair, or of this sender, is admitted
        """
        if not self.on:
            return
        now = self._clock()
        one = self._senders.get(sender) or self._add_sender(sender, now)
        one.used = now
        if one.held_until > now:
            raise rate_limited(one.held_until - now)
        wait = max(one.full_at - now - self._all_room, one.bytes_full_at - now - self._bytes_room)
        if wait > 0:
            wait = max(wait, HOLD_SECONDS)
            one.held_until = now + wait
            raise rate_limited(wait)
        pair = one.pairs.get(to)
        if pair is None:
            pair = _add_pair(one, to, now)
        pair.used = now
        if pair.held_until > now:
            raise rate_limited(pair.held_until - now)
        wait = pair.full_at - now - self._pair_room
        if wait > 0:
            wait = max(wait, HOLD_SECONDS)
            pair.held_until = now + wait
            raise rate_limited(wait)
        pair.full_at = max(pair.full_at, now) + self._pair
        one.full_at = max(one.full_at, now) + self._all
        one.bytes_full_at = max(one.bytes_full_at, now) + size * self._byte

    def script_args(self, sender: str, to: str) -> list[Arg]:
        """Arguments of ``store_chats.lua``: interval and burst of a stranger, or ''; whether this may be a new
        recipient; how long a stranger is remembered."""
        if not self.on:
            return ["", 0, 0, 0]
        now = self._clock()
        one, pair = self._of(sender, to, now)
        if pair.answered_until > now:
            return ["", 0, 0, 0]
        if not pair.reserved and not pair.seen and one.new_full_at - now <= self._new_room:
            one.new_full_at = max(one.new_full_at, now) + self._new
            pair.reserved = True
        return [*self._stranger, int(pair.reserved), STRANGER_SECONDS]

    def handle_result(self, sender: str, to: str, standing: bytes, answers: Sequence[bytes]) -> list[float]:
        """Take what ``store_chats.lua`` returned.

        :param standing: what the sender is to the recipient: ``new``, ``stranger`` or ``answered``
        :param answers: one for each chat; some say that it must wait
        :returns: for each answer the seconds to wait; 0: it need not
        """
        if not self.on:
            return [0.0] * len(answers)
        now = self._clock()
        one, pair = self._of(sender, to, now)
        stored = any(b"-" in answer for answer in answers)
        if standing == b"answered":
            pair.answered_until = now + CACHE_SECONDS
        if pair.reserved and (standing != b"new" or not stored):
            one.new_full_at -= self._new
        if standing != b"new" or stored:
            pair.seen = True
        pair.reserved = False
        waits = [self._wait(answer, one, now) for answer in answers]
        if longest := max(waits):
            pair.held_until = max(pair.held_until, now + longest)
        return waits

    def handle_unknown_recipient(self, sender: str, to: str) -> None:
        """There is no such recipient: the token for a new one comes back."""
        if self.on:
            one, pair = self._of(sender, to, self._clock())
            if pair.reserved:
                pair.reserved = False
                one.new_full_at -= self._new

    def needs_note(self, sender: str, to: str) -> bool:
        """Whether Redis must note that this sender wrote to this recipient, their contact from then on: True only
        the first time in an hour. Privacy needs it also where there are no limits."""
        now = self._clock()
        _, pair = self._of(sender, to, now)
        if pair.noted_until > now:
            return False
        pair.noted_until = now + CACHE_SECONDS
        return True

    async def look_up(self, sender: str) -> None:
        """The recipient is looked up in PostgreSQL, which reveals whether there is such a person.

        :raises ApiError: ``rate_limited``
        """
        await self._limits.take(self._lookups, sender)

    def _wait(self, answer: bytes, one: _Sender, now: float) -> float:
        if answer == b"new":
            return max(HOLD_SECONDS, one.new_full_at - now - self._new_room)
        if answer.isdigit():
            return max(HOLD_SECONDS, int(answer) / 1e6)
        return 0.0

    def _of(self, sender: str, to: str, now: float) -> tuple[_Sender, _Pair]:
        """The sender and the pair of a chat that was admitted."""
        one = self._senders.get(sender) or self._add_sender(sender, now)
        pair = one.pairs.get(to)
        if pair is None:
            pair = _add_pair(one, to, now)
        one.used = pair.used = now
        return one, pair

    def _add_sender(self, sender: str, now: float) -> _Sender:
        if len(self._senders) >= self._clean_up_at:
            self._senders = {who: each for who, each in self._senders.items() if not each.is_idle(now)}
            self._clean_up_at = max(MAX_SENDERS, 2 * len(self._senders))
        one = self._senders[sender] = _Sender()
        return one


def _add_pair(one: _Sender, to: str, now: float) -> _Pair:
    if len(one.pairs) >= one.clean_up_at:
        one.pairs = {who: each for who, each in one.pairs.items() if each.used > now - PAIR_IDLE_SECONDS}
        one.clean_up_at = max(MAX_PAIRS, 2 * len(one.pairs))
    pair = one.pairs[to] = _Pair()
    return pair
