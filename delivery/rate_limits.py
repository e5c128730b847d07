"""How often something may happen: one kind of bucket for all limits, in Redis or in this process.

A bucket holds ``burst`` tokens and gets ``rate`` of them back a second. What is shared between servers is in Redis, one
key a bucket, which ends as soon as the bucket is full again. What only has to bound one process is in its memory.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import structlog
from redis.exceptions import RedisError

from delivery import keys
from delivery.redis.client import Arg, RedisClient
from delivery.scripts import FORGIVE_FAILURES, TAKE_TOKEN
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)
REMEMBERED_SECONDS: Final = 3600
"""How long failures are counted after the last one. Longer than any wait, or waiting would begin a new burst."""
HELD_SECONDS: Final = 1.0
MOST_HELD: Final = 1000
"""Refusals that are kept back, and for how long."""
TIDIED_AT: Final = 1000
"""Local buckets above which the full ones are thrown away."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    :param name: part of its buckets' keys
    :param rate: tokens a second
    :param burst: tokens of a full bucket
    :param closed: whether nobody passes while Redis is away; else everybody does
    :param longest_wait: seconds up to which failures beyond the burst double the wait; 0: they do not
    """

    name: str
    rate: float
    burst: int
    closed: bool = False
    longest_wait: float = 0

    @property
    def arguments(self) -> list[Arg]:
        """As the scripts take it, in whole microseconds."""
        return [max(1, round(1e6 / self.rate)), self.burst, round(self.longest_wait * 1e6), REMEMBERED_SECONDS * 10**6]


@dataclass(frozen=True, slots=True)
class Taken:
    """A token was taken.

    :param in_use: of the bucket's tokens, this one among them
    :param failures: attempts before this one that were not forgiven
    """

    in_use: int = 0
    failures: int = 0


class RateLimits:
    """The buckets in Redis.

    :param on: whether limits hold at all
    """

    def __init__(self, link: RedisClient, *, on: bool) -> None:
        self._link = link
        self.on = on
        self._held = 0

    async def take(self, limit: Limit, whose: str) -> Taken:
        """A token of this bucket.

        :raises ApiError: ``rate_limited``; ``unavailable``, for a closed limit while Redis is away
        """
        if not self.on:
            return Taken()
        try:
            wait, in_use, failures = await self._link.call(
                TAKE_TOKEN, [keys.rate_bucket(limit.name, whose)], limit.arguments
            )
        except (ApiError, RedisError) as error:
            logger.warning("a rate limit could not be asked", limit=limit.name, closed=limit.closed, error=str(error))
            if limit.closed:
                raise ApiError("unavailable") from None
            return Taken()
        if wait:
            if limit.closed:
                await self._hold(wait / 1e6)
            raise rate_limited(wait / 1e6)
        return Taken(in_use, failures)

    async def _hold(self, seconds: float) -> None:
        """Keep a refusal back for a moment. At once, it would only be answered by the next attempt: two hundred who
        guess as fast as they are refused took all the time of two server processes."""
        if self._held >= MOST_HELD:
            return
        self._held += 1
        try:
            await asyncio.sleep(min(seconds, HELD_SECONDS))
        finally:
            self._held -= 1

    def forgive(self, limit: Limit, whose: str, which: Literal["one", "all"]) -> None:
        """The last attempt was no failure, or no failure counts any more. Not waited for: when it is lost, failures are
        forgotten after an hour all the same."""
        if self.on:
            name = keys.rate_bucket(limit.name, whose)
            self._link.request(FORGIVE_FAILURES, [name], [*limit.arguments, which], _note_loss)


class LocalLimit:
    """The buckets of one limit in this process: for what need not be exact over all servers and must cost no trip."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate
        self._room = (burst - 1) / rate
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._tidy_at = TIDIED_AT

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, whose: str) -> float:
        """Seconds until there is a token; nothing is taken."""
        return max(0.0, self._full_at.get(whose, 0.0) - self._clock() - self._room)

    def take(self, whose: str) -> None:
        """Take a token, whether there is one or not."""
        now = self._clock()
        if len(self._full_at) >= self._tidy_at:
            self._full_at = {one: full_at for one, full_at in self._full_at.items() if full_at > now}
            self._tidy_at = max(TIDIED_AT, 2 * len(self._full_at))
        self._full_at[whose] = max(now, self._full_at.get(whose, 0.0)) + self._interval


class Upgrades:
    """How often sockets may be opened, by person and by address, on this server process."""

    def __init__(self, settings: Settings) -> None:
        self._on = settings.rate_limits == "on"
        self._person = LocalLimit(settings.upgrades_per_second, settings.upgrades_burst)
        self._address = LocalLimit(settings.upgrades_per_address_per_second, settings.upgrades_per_address_burst)

    def admit(self, address: str) -> None:
        """Somebody there wants a socket; who it is, is not known yet.

        :raises ApiError: ``rate_limited``
        """
        if self._on:
            _take(self._address, address)

    def enter(self, mobile: str) -> None:
        """This person opens a socket.

        :raises ApiError: ``rate_limited``
        """
        if self._on:
            _take(self._person, mobile)

    def enter_at_once(self, mobile: str, address: str) -> bool:
        """Both in one: whether this person may. If not, nothing is taken."""
        if not self._on:
            return True
        if self._address.wait(address) or self._person.wait(mobile):
            return False
        self._address.take(address)
        self._person.take(mobile)
        return True


def rate_limited(seconds: float) -> ApiError:
    """The refusal, with how long to wait: in whole milliseconds, rounded up, for who waits so long must be let in."""
    return ApiError("rate_limited", retry_after=max(1, math.ceil(seconds * 1000 - 1e-6)) / 1000)


def lookups(settings: Settings) -> Limit:
    """Of one person: numbers asked about."""
    return Limit("lookups", settings.lookups_per_minute / 60, settings.lookups_burst)


def sign_ups(settings: Settings) -> Limit:
    """Of one address."""
    burst = max(1, int(settings.sign_ups_per_hour))
    return Limit("sign-ups", settings.sign_ups_per_hour / 3600, burst, closed=True)


def _take(limit: LocalLimit, whose: str) -> None:
    if wait := limit.wait(whose):
        raise rate_limited(wait)
    limit.take(whose)


def _note_loss(reply: object) -> None:
    if isinstance(reply, Exception):
        logger.warning("a failure could not be taken back", error=str(reply))
