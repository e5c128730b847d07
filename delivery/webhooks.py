"""Sends codes to a webhook, signed as Standard Webhooks says (https://www.standardwebhooks.com, version 1).

However the receiver behaves, the client of ours that asked for the code gets an answer within six seconds: all attempts
together have a deadline, and so has each of them.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Final

import httpx
import msgspec
import structlog

from protocol.errors import ApiError

logger = structlog.get_logger(__name__)

ATTEMPTS: Final = 3
PAUSE_SECONDS: Final = 0.3
"""Before the second attempt; twice that before the third."""
MAX_SENDING: Final = 50
"""Deliveries under way at once in one process. Further ones fail at once: a receiver that hangs must not collect
them."""
_AGAIN: Final = frozenset({408, 425, 429})
"""Statuses below 500 after which another attempt may succeed."""


class _Data(msgspec.Struct, rename="camel"):
    mobile_no: str
    code: str
    expires_at: datetime


class _Payload(msgspec.Struct):
    type: str
    timestamp: datetime
    data: _Data


def signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``.

    :param secret: ``whsec_`` and base64
    :param timestamp: unix time in seconds
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class CodeWebhook:
    """Posts codes to one address.

    :param seconds: for all attempts of one delivery together
    """

    def __init__(self, url: str, secret: str, seconds: float) -> None:
        self._url = url
        self._secret = secret
        self._seconds = seconds
        self._sending = 0
        self._client: httpx.AsyncClient | None = None

    async def send(self, mobile: str, code: str, expires_at: datetime) -> None:
        """Deliver a code.

        :raises ApiError: ``code_not_sent``: the receiver has not said within the time that it took it
        """
        if self._sending >= MAX_SENDING:
            logger.warning("a code was not sent: too many deliveries wait for the receiver")
            raise ApiError("code_not_sent")
        self._sending += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._deliver(_body(mobile, code, expires_at))
        except TimeoutError:
            logger.warning("a code was not sent in time", seconds=self._seconds)
            raise ApiError("code_not_sent") from None
        finally:
            self._sending -= 1

    async def close(self) -> None:
        """End the connections to the receiver."""
        if self._client is not None:
            await self._client.aclose()

    async def _deliver(self, body: bytes) -> None:
        webhook_id = f"msg_{secrets.token_hex(16)}"  # the same in each attempt: a receiver may have got an earlier one
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
            status = await self._post(webhook_id, body)
            if 200 <= status < 300:
                return
            if 0 < status < 500 and status not in _AGAIN:
                break
        raise ApiError("code_not_sent")

    async def _post(self, webhook_id: str, body: bytes) -> int:
        """The status of the answer, whose body is not read; 0: there was none."""
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, webhook_id, timestamp, body),
        }
        try:
            client = await self._connected()
            async with client.stream("POST", self._url, content=body, headers=headers) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            logger.warning("the receiver of codes did not answer", error=type(error).__name__)
            return 0
        if not 200 <= status < 300:
            logger.warning("the receiver of codes refused one", status=status)
        return status

    async def _connected(self) -> httpx.AsyncClient:
        """Made when the first code is sent."""
        if self._client is None:
            # In a thread: it reads the certificates of the world, which takes a tenth of a second and more.
            context = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
            limits = httpx.Limits(max_connections=MAX_SENDING, max_keepalive_connections=5)
            # Without the environment's proxies, and without following redirects: a code goes where the setting says.
            made = httpx.AsyncClient(
                verify=context, timeout=self._seconds / 2, limits=limits, trust_env=False, follow_redirects=False
            )
            self._client = self._client or made  # another code may have been sent meanwhile; `made` has no connection
        return self._client


def _body(mobile: str, code: str, expires_at: datetime) -> bytes:
    return msgspec.json.encode(_Payload("code.requested", datetime.now(UTC), _Data(mobile, code, expires_at)))
