"""Codes: six digits, sent to a number, that show that it is somebody's.

Redis holds a digest with a key that only the servers know: of six digits every plain hash could be tried out. A code
lives for ten minutes and ends with the fifth wrong try.
"""

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from delivery import keys
from delivery.rate_limits import Limit, RateLimits
from delivery.redis.client import RedisClient
from delivery.scripts import DROP_CODE, TRY_CODE
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)

LIFE_SECONDS: Final = 600
MAX_WRONG: Final = 5

Send = Callable[[str, str, datetime], Awaitable[None]]
"""``await send(mobile, code, expires_at)``; raises ``ApiError("code_not_sent")``."""


async def log_code(mobile: str, code: str, _expires_at: datetime) -> None:
    """Print the code: for development. The number is masked as everywhere in the log."""
    logger.warning("a code was asked for (SIGNUP_CODE=log prints it: for development only)", mobile=mobile, code=code)


class Codes:
    """Sends and checks codes. While Redis is away neither is possible.

    :param send: how codes reach people; None: there are none, and nothing asks for one
    """

    def __init__(self, redis: RedisClient, limits: RateLimits, settings: Settings, send: Send | None) -> None:
        self._redis = redis
        self._limits = limits
        self._send = send
        self._key = hmac.digest(settings.jwt_secret.get_secret_value().encode(), b"whatsapp-mini codes", "sha256")
        number, address = settings.codes_per_hour, settings.codes_per_address_per_hour
        self._number = Limit("codes", number / 3600, max(1, int(number)), closed=True)
        self._address = Limit("codes-address", address / 3600, max(1, int(address)), closed=True)
        self._uses = Limit("code-uses", address / 3600, max(1, int(address)), closed=True)

    @property
    def on(self) -> bool:
        """Whether codes are wanted."""
        return self._send is not None

    async def send(self, mobile: str, address: str) -> int:
        """Send a new code, which replaces an earlier one; returns for how many seconds it is valid. Whether the number
        has an account makes no difference.

        :param mobile: canonical
        :raises ApiError: ``codes_off``, ``code_not_sent``, ``rate_limited``, ``unavailable``
        """
        if self._send is None:
            raise ApiError("codes_off")
        await self._limits.take(self._address, address)
        await self._limits.take(self._number, mobile)
        code = f"{secrets.randbelow(10**6):06}"
        digest = self._digest(mobile, code)
        expires_at = datetime.now(UTC) + timedelta(seconds=LIFE_SECONDS)
        await self._redis.write("SET", keys.code(mobile), f"{digest} 0", "EX", LIFE_SECONDS)
        try:
            await self._send(mobile, code, expires_at)
        except ApiError:
            await self._drop(mobile, digest)
            raise
        return LIFE_SECONDS

    @asynccontextmanager
    async def proven(self, mobile: str, code: str | None, address: str) -> AsyncIterator[None]:
        """What is done within this needs a code that was sent to this number, if codes are on. It is used up when the
        block has succeeded.

        :param mobile: canonical
        :param address: from which it is given: one address cannot try the codes of many numbers
        :raises ApiError: ``code_missing``, ``code_wrong``, ``rate_limited``, ``unavailable``
        """
        if not self.on:
            yield
            return
        if not code:
            raise ApiError("code_missing")
        await self._limits.take(self._uses, address)
        digest = self._digest(mobile, code.replace(" ", "").replace("-", ""))
        verdict, _left = await self._redis.call(TRY_CODE, [keys.code(mobile)], [digest, MAX_WRONG])
        if verdict != b"right":
            raise ApiError("code_wrong")
        yield
        await self._drop(mobile, digest)

    async def _drop(self, mobile: str, digest: str) -> None:
        try:
            await self._redis.call(DROP_CODE, [keys.code(mobile)], [digest])
        except ApiError:
            logger.warning("a code that was used, or not sent, stays until its time is over")

    def _digest(self, mobile: str, code: str) -> str:
        return hmac.new(self._key, f"{mobile} {code}".encode(), hashlib.sha256).hexdigest()
