"""How often something may happen: token buckets, in Redis or in this process.

A bucket holds ``burst`` tokens and gets ``rate`` of them back a second. Buckets that all servers share are in Redis,
one key each, which expires when the bucket is full again. Buckets that bound one process only are in its memory.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from delivery import keys
from delivery.redis.client import Arg, RedisClient
from delivery.results import CommandFailed
from delivery.scripts import FORGIVE_FAILURES, TAKE_TOKEN
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)
FAILURE_SECONDS: Final = 3600
"""How long failures are counted after the last one. Longer than any wait, or waiting would begin a new burst."""
DELAY_SECONDS: Final = 1.0
MAX_DELAYED: Final = 1000
"""By how much errors are delayed, and how many at once."""
CLEAN_UP_AT: Final = 1000
"""Local buckets, beyond which full ones are deleted."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    :param name: part of its buckets' keys
    :param rate: tokens a second
    :param burst: tokens of a full bucket
    :param closed: while Redis is away, every attempt fails; without it, every attempt is allowed
    :param max_wait: seconds up to which failures beyond the burst double the wait; 0: they do not
    """

    name: str
    rate: float
    burst: int
    closed: bool = False
    max_wait: float = 0

    @property
    def arguments(self) -> list[Arg]:
        """The arguments of the scripts, in whole microseconds."""
        return [max(1, round(1e6 / self.rate)), self.burst, round(self.max_wait * 1e6), FAILURE_SECONDS * 10**6]


@dataclass(frozen=True, slots=True)
class Taken:
    """A token was taken.

    :param in_use: tokens that were taken and are not back yet, with this one
    :param failures: attempts before this one that were not forgiven
    """

    in_use: int = 0
    failures: int = 0


class RateLimits:
    """The buckets in Redis.

    :param on: whether there are limits at all
    """

    def __init__(self, redis: RedisClient, *, on: bool) -> None:
        self._redis = redis
        self.on = on
        self._delayed = 0

    async def take(self, limit: Limit, whose: str, count: int = 1) -> Taken:
        """Take a token of this bucket, or several at once: all of them or none.

        :param count: at most ``limit.burst``: more are never there. One, where failures double the wait
        :raises ApiError: ``rate_limited``; ``unavailable``, for a closed limit while Redis is away
        """
        if not self.on:
            return Taken()
        try:
            wait, in_use, failures = await self._redis.call(
                TAKE_TOKEN, [keys.rate_bucket(limit.name, whose)], [*limit.arguments, count]
            )
        except (ApiError, CommandFailed) as error:
            logger.warning("a rate limit could not be checked", limit=limit.name, closed=limit.closed, error=str(error))
            if limit.closed:
                raise ApiError("unavailable") from None
            return Taken()
        if wait:
            if limit.closed:
                await self._delay(wait / 1e6)
            raise rate_limited(wait / 1e6)
        return Taken(in_use, failures)

    async def _delay(self, seconds: float) -> None:
        """Delay an error: sent at once, it would only cause the next attempt. Two hundred clients that tried passwords
        as fast as they got errors used all the time of two server processes."""
        if self._delayed >= MAX_DELAYED:
            return
        self._delayed += 1
        try:
            await asyncio.sleep(min(seconds, DELAY_SECONDS))
        finally:
            self._delayed -= 1

    def forgive(self, limit: Limit, whose: str, which: Literal["one", "all"]) -> None:
        """The last attempt was no failure, or no earlier failure counts any more. Does not wait for Redis: failures are
        forgotten after an hour anyway."""
        if self.on:
            name = keys.rate_bucket(limit.name, whose)
            self._redis.request(FORGIVE_FAILURES, [name], [*limit.arguments, which], _log_failure)


class LocalLimit:
    """The buckets of one limit in this process: for limits that need not be exact over all servers, and must not wait
    for Redis."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate
        self._room = (burst - 1) / rate
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._clean_up_at = CLEAN_UP_AT

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, whose: str) -> float:
        """Seconds until there is a token. Takes none."""
        return max(0.0, self._full_at.get(whose, 0.0) - self._clock() - self._room)

    def take(self, whose: str) -> None:
        """Take a token, whether there is one or not."""
        now = self._clock()
        if len(self._full_at) >= self._clean_up_at:
            self._full_at = {one: full_at for one, full_at in self._full_at.items() if full_at > now}
            self._clean_up_at = max(CLEAN_UP_AT, 2 * len(self._full_at))
        self._full_at[whose] = max(now, self._full_at.get(whose, 0.0)) + self._interval


class Upgrades:
    """How often sockets may be opened on this server process, by person and by address."""

    def __init__(self, settings: Settings) -> None:
        self._on = settings.rate_limits == "on"
        self._person = LocalLimit(settings.upgrades_per_second, settings.upgrades_burst)
        self._address = LocalLimit(settings.upgrades_per_address_per_second, settings.upgrades_per_address_burst)

    def admit(self, address: str) -> None:
        """An upgrade from this address, before it is known who it is.

        :raises ApiError: ``rate_limited``
        """
        if self._on:
            _take(self._address, address)

    def enter(self, mobile: str) -> None:
        """An upgrade of this person.

        :raises ApiError: ``rate_limited``
        """
        if self._on:
            _take(self._person, mobile)

    def enter_at_once(self, mobile: str, address: str) -> bool:
        """Both at once: whether the upgrade is allowed. If not, no token is taken."""
        if not self._on:
            return True
        if self._address.wait(address) or self._person.wait(mobile):
            return False
        self._address.take(address)
        self._person.take(mobile)
        return True


class Refreshes:
    """How often sessions may be refreshed on this server process, by address and by session.

    In memory, because Redis being away must neither log everybody out nor lift the limits: a refresh token cannot be
    guessed, so these only bound the work.
    """

    def __init__(self, settings: Settings) -> None:
        self._on = settings.rate_limits == "on"
        self._session = LocalLimit(settings.refreshes_per_minute / 60, settings.refreshes_burst)
        self._address = LocalLimit(settings.refreshes_per_address_per_second, settings.refreshes_per_address_burst)

    def admit(self, address: str) -> None:
        """A refresh from this address, before it is known whether its token is authentic.

        :raises ApiError: ``rate_limited``
        """
        if self._on:
            _take(self._address, address)

    def enter(self, session_id: str) -> None:
        """A refresh of this session, with an authentic token.

        :raises ApiError: ``rate_limited``
        """
        if self._on:
            _take(self._session, session_id)


def rate_limited(seconds: float) -> ApiError:
    """The error, with the time to wait in whole milliseconds, rounded up: an attempt after it must succeed."""
    return ApiError("rate_limited", retry_after=max(1, math.ceil(seconds * 1000 - 1e-6)) / 1000)


def lookups(settings: Settings) -> Limit:
    """How many numbers one person may look up."""
    return Limit("lookups", settings.lookups_per_minute / 60, settings.lookups_burst)


def address_lookups(settings: Settings) -> Limit:
    """How many numbers one address may look up, with however many accounts."""
    rate, burst = settings.lookups_per_address_per_minute / 60, settings.lookups_per_address_burst
    return Limit("lookups-address", rate, burst)


def own_account(settings: Settings) -> Limit:
    """How often one person may read or change what belongs to their own account."""
    return Limit("account", settings.account_requests_per_minute / 60, settings.account_requests_burst)


def number_changes(settings: Settings) -> Limit:
    """How often one account may get another number: with each it escapes blocks, and limits that count by number."""
    burst = max(1, int(settings.number_changes_per_day))
    return Limit("number-changes", settings.number_changes_per_day / 86_400, burst, closed=True)


def exports(settings: Settings) -> Limit:
    """How often one person may have everything exported."""
    return Limit("exports", settings.exports_per_minute / 60, 1)


def sign_ups(settings: Settings) -> Limit:
    """How many accounts one address may make."""
    burst = max(1, int(settings.sign_ups_per_hour))
    return Limit("sign-ups", settings.sign_ups_per_hour / 3600, burst, closed=True)


def _take(limit: LocalLimit, whose: str) -> None:
    if wait := limit.wait(whose):
        raise rate_limited(wait)
    limit.take(whose)


def _log_failure(reply: object) -> None:
    if isinstance(reply, Exception):
        logger.warning("a rate limit could not be reset", error=str(reply))
