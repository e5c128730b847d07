"""A person's devices go: each has a copy of what waits, which is kept for it until it is forgotten."""

import asyncio
import time
from typing import Any, Final, Literal

import structlog

from delivery.keys import DEVICE_PREFIX
from delivery.redis.client import RedisClient
from delivery.scripts import FORGET_DEVICE
from delivery.user_records import UserRecords
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
LEAVING_SECONDS: Final = 5.0
"""How long the sockets of a device that was logged out may take to close."""
EVER: Final = 2**53
_DEVICE: Final = DEVICE_PREFIX.encode()

Forgotten = Literal["unknown", "connected", "recent", "forgotten"]


class Devices:
    """Forgets devices. What only one of them had still to fetch goes with it; what the last one had to fetch is kept
    for the next."""

    def __init__(self, redis: RedisClient, users: UserRecords) -> None:
        self._redis = redis
        self._users = users

    async def known(self, mobile: str) -> dict[str, int]:
        """Each device, and when it was last claimed, in unix ms.

        :raises ApiError: ``unavailable``
        """
        flat = await self._redis.command("HGETALL", self._users.keys(mobile).user)
        fields = zip(flat[::2], flat[1::2], strict=True)
        return {name.removeprefix(_DEVICE).decode(): int(at) for name, at in fields if name.startswith(_DEVICE)}

    async def forget(self, mobile: str, device: str, unseen_since_ms: int | None = None) -> Forgotten:
        """Forget a device that is not connected, and was last claimed before ``unseen_since_ms`` (default: now).

        :raises ApiError: ``unavailable``
        """
        limit = EVER if unseen_since_ms is None else unseen_since_ms
        names = self._users.keys(mobile).of(FORGET_DEVICE)
        reply: list[Any] = await self._redis.call(FORGET_DEVICE, names, [device, limit])
        verdict: Forgotten = reply[0].decode()
        return verdict

    async def make_room(self, mobile: str) -> bool:
        """Forget the devices nobody is logged in on; returns whether there were any.

        :raises ApiError: ``unavailable``
        """
        found = await self._users.find(mobile)
        logged_in = set(found.devices) if found is not None else set()
        known = await self.known(mobile)
        return "forgotten" in [await self.forget(mobile, device) for device in known.keys() - logged_in]

    async def logged_out(self, mobile: str, device: str) -> None:
        """Forget a device as soon as its sockets are closed, unless it is still, or again, logged in."""
        until = time.monotonic() + LEAVING_SECONDS
        try:
            while time.monotonic() < until:
                found = await self._users.find(mobile)
                if found is None or device in found.devices or await self.forget(mobile, device) != "connected":
                    return
                await asyncio.sleep(LEAVING_SECONDS / 20)
        except ApiError:
            logger.warning("a device that was logged out stays until its room is needed")
