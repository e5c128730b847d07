"""Limits on log-ins, checked before a password is hashed: by address, by number, and separately for known devices.

Failures of strangers must not lock out the owner of a number. Therefore a successful log-in is remembered as a place:
the device at its address, and, unless it has the default deviceId, the device at any address. Each place has a bucket
of its own, and a device known at its address needs no token of the address.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from delivery.keys import Person
from delivery.rate_limits import Limit, RateLimits, Taken
from delivery.redis.client import RedisClient
from delivery.results import CommandFailed
from delivery.scripts import REMEMBER_LOGIN_PLACE
from protocol.errors import ApiError
from protocol.identifiers import PRIMARY
from settings import Settings

logger = structlog.get_logger(__name__)
MAX_PLACES: Final = 32
"""Places of one number; a log-in from somewhere new adds two."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in whose password may be checked.

    :param known: whether it comes from a known place
    :param used: tokens in use and failures, of its number and of its address; a person has few
    """

    mobile: str
    bucket: str
    places: tuple[str, ...]
    known: bool
    used: int


class LoginAttempts:
    """Limits log-ins. While Redis is away, none is allowed: attempts that are not counted would be free guesses.

    :param note_limited: called with the number and the device when log-ins to a number were limited
    """

    def __init__(
        self, redis: RedisClient, limits: RateLimits, settings: Settings, note_limited: Callable[[str, str], None]
    ) -> None:
        self._note_limited = note_limited
        self._redis = redis
        self._limits = limits
        self._life = int(settings.device_days * 86_400)
        rate, of_address = settings.logins_per_minute / 60, settings.logins_per_address_per_minute / 60
        self._address = Limit("logins-address", of_address, settings.logins_per_address_burst, closed=True)
        self._number = Limit("logins", rate, settings.logins_burst, closed=True, max_wait=settings.login_wait_seconds)

    async def admit(self, mobile: str, device: str, address: str) -> Attempt:
        """Count an attempt. It counts as a failure until :meth:`succeeded` or :meth:`undecided` is called.

        The same is done for unknown numbers, so that the time it takes reveals nothing.

        :raises ApiError: ``rate_limited``, ``unavailable``
        """
        if not self._limits.on:
            return Attempt(mobile, mobile, (), known=True, used=0)
        here, anywhere = _digest(device, address), _digest(device)
        known_here, known_anywhere = await self._known(mobile, here, anywhere)
        address_taken = Taken() if known_here else await self._limits.take(self._address, address)
        bucket = f"{mobile}:{here}" if known_here else f"{mobile}:{anywhere}" if known_anywhere else mobile
        try:
            taken = await self._limits.take(self._number, bucket)
        except ApiError as error:
            if error.code == "rate_limited":
                self._note_limited(mobile, device)
            raise
        places = (here,) if device == PRIMARY else (here, anywhere)
        used = max(address_taken.in_use, taken.in_use) + taken.failures
        return Attempt(mobile, bucket, places, known_here or known_anywhere, used)

    def succeeded(self, attempt: Attempt) -> None:
        """The password was right: from now on its place is known. Failures of a known place are forgotten; those of
        strangers stay, because they may be another person's."""
        if not self._limits.on:
            return
        self._limits.forgive(self._number, attempt.bucket, "all" if attempt.known else "one")
        name = Person(attempt.mobile).login_places
        self._redis.request(REMEMBER_LOGIN_PLACE, [name], [self._life, MAX_PLACES, *attempt.places], _log_failure)

    def undecided(self, attempt: Attempt) -> None:
        """The password was not checked: that is no failure."""
        self._limits.forgive(self._number, attempt.bucket, "one")

    async def _known(self, mobile: str, *places: str) -> list[bool]:
        try:
            scores = await self._redis.command("ZMSCORE", Person(mobile).login_places, *places)
        except (ApiError, CommandFailed) as error:
            logger.warning("known devices could not be looked up", error=str(error))
            raise ApiError("unavailable") from None
        return [score is not None for score in scores]


def _digest(*what: str) -> str:
    """The name of a place in Redis, which does not contain the address."""
    return hashlib.blake2b("\0".join(what).encode(), digest_size=8).hexdigest()


def _log_failure(reply: object) -> None:
    if isinstance(reply, Exception):
        logger.warning("a known device could not be remembered", error=str(reply))
