"""Log-ins, counted before a password is hashed: by address, by number, and apart for devices that are known.

Failures of strangers must not keep the owner of a number out. So what logged in once is remembered as a place: the
device at its address, and, unless it has the name that every client uses, the device anywhere. Each place has a bucket
of its own, and what is known at its address does not need one of the address's tokens.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import structlog
from redis.exceptions import RedisError

from delivery import keys
from delivery.rate_limits import Limit, RateLimits, Taken
from delivery.redis.client import RedisClient
from delivery.scripts import REMEMBER_LOGIN_PLACE
from protocol.errors import ApiError
from protocol.identifiers import PRIMARY
from settings import Settings

logger = structlog.get_logger(__name__)
MOST_PLACES: Final = 32
"""Of one number: two for each log-in from somewhere new."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A log-in that may go on to the hash.

    :param known: whether it comes from a known place
    :param used: tokens in use and failures, of its number and of its address: few speak for a person
    """

    mobile: str
    bucket: str
    places: tuple[str, ...]
    known: bool
    used: int


class LoginAttempts:
    """Admits log-ins. Closed: while Redis is away nobody is admitted, for nobody could be counted."""

    def __init__(self, link: RedisClient, limits: RateLimits, settings: Settings) -> None:
        self._link = link
        self._limits = limits
        self._life = int(settings.device_days * 86_400)
        rate, of_address = settings.logins_per_minute / 60, settings.logins_per_address_per_minute / 60
        self._address = Limit("logins-address", of_address, settings.logins_per_address_burst, closed=True)
        self._number = Limit(
            "logins", rate, settings.logins_burst, closed=True, longest_wait=settings.login_wait_seconds
        )

    async def admit(self, mobile: str, device: str, address: str) -> Attempt:
        """Count it. It is a failure until it is told otherwise.

        The same is done for numbers nobody has: how long it takes tells nothing.

        :raises ApiError: ``rate_limited``, ``unavailable``
        """
        if not self._limits.on:
            return Attempt(mobile, mobile, (), known=True, used=0)
        here, anywhere = _digest(device, address), _digest(device)
        at_home, elsewhere = await self._known(mobile, here, anywhere)
        address_taken = Taken() if at_home else await self._limits.take(self._address, address)
        bucket = f"{mobile}:{here}" if at_home else f"{mobile}:{anywhere}" if elsewhere else mobile
        taken = await self._limits.take(self._number, bucket)
        places = (here,) if device == PRIMARY else (here, anywhere)
        used = max(address_taken.in_use, taken.in_use) + taken.failures
        return Attempt(mobile, bucket, places, at_home or elsewhere, used)

    def succeeded(self, attempt: Attempt) -> None:
        """The password was right: from here on its place is known. Failures of a known place are forgotten; those of
        strangers stay, for they may be somebody else's."""
        if not self._limits.on:
            return
        self._limits.forgive(self._number, attempt.bucket, "all" if attempt.known else "one")
        name = keys.login_places(attempt.mobile)
        self._link.request(REMEMBER_LOGIN_PLACE, [name], [self._life, MOST_PLACES, *attempt.places], _note_loss)

    def undecided(self, attempt: Attempt) -> None:
        """Nobody looked at the password: that is no failure."""
        self._limits.forgive(self._number, attempt.bucket, "one")

    async def _known(self, mobile: str, *places: str) -> list[bool]:
        try:
            scores = await self._link.command("ZMSCORE", keys.login_places(mobile), *places)
        except (ApiError, RedisError) as error:
            logger.warning("known devices could not be asked", error=str(error))
            raise ApiError("unavailable") from None
        return [score is not None for score in scores]


def _digest(*what: str) -> str:
    """What a place is called in Redis: no address is written down."""
    return hashlib.blake2b("\0".join(what).encode(), digest_size=8).hexdigest()


def _note_loss(reply: object) -> None:
    if isinstance(reply, Exception):
        logger.warning("a known device could not be remembered", error=str(reply))
