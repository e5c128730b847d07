"""A person's devices leave: each has a copy of what waits, which is kept for it until it is forgotten."""

import asyncio
import time
from typing import Any, Final, Literal

import structlog

from delivery.redis.client import RedisClient
from delivery.scripts import FORGET_DEVICE
from delivery.user_records import UserRecords
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
LEAVING_SECONDS: Final = 5.0
"""How long the sockets of a device that was logged out may take to go."""
EVER: Final = 2**53
_DEVICE: Final = b"dev:"
"""Begins a field of a person's record, as the scripts write it."""

Forgotten = Literal["unknown", "connected", "recent", "forgotten"]


class Devices:
    """Forgets devices. What only they had still to fetch goes with them; the last one's is kept for the next."""

    def __init__(self, link: RedisClient, people: UserRecords) -> None:
        self._link = link
        self._people = people

    async def known(self, mobile: str) -> dict[str, int]:
        """Each device, and when it was last claimed, in unix ms.

        :raises ApiError: ``unavailable``
        """
        fields = await self._link.command("HGETALL", self._people.keys(mobile).user)
        found = zip(fields[::2], fields[1::2], strict=True)
        return {name.removeprefix(_DEVICE).decode(): int(seen) for name, seen in found if name.startswith(_DEVICE)}

    async def forget(self, mobile: str, device: str, unseen_since_ms: int | None = None) -> Forgotten:
        """Forget a device that is not connected, and was last claimed before ``unseen_since_ms`` (default: now).

        :raises ApiError: ``unavailable``
        """
        keys = self._people.keys(mobile)
        limit = EVER if unseen_since_ms is None else unseen_since_ms
        reply: list[Any] = await self._link.call(FORGET_DEVICE, keys.of(FORGET_DEVICE), [device, limit])
        verdict: Forgotten = reply[0].decode()
        return verdict

    async def make_room(self, mobile: str) -> bool:
        """Forget the devices nobody is logged in on; whether there were any.

        :raises ApiError: ``unavailable``
        """
        found = await self._people.find(mobile)
        stay = set(found.devices) if found is not None else set()
        known = await self.known(mobile)
        return "forgotten" in [await self.forget(mobile, device) for device in known.keys() - stay]

    async def logged_out(self, mobile: str, device: str) -> None:
        """Forget a device as soon as its sockets are gone, unless it is still, or again, logged in."""
        until = time.monotonic() + LEAVING_SECONDS
        try:
            while time.monotonic() < until:
                found = await self._people.find(mobile)
                if found is None or device in found.devices or await self.forget(mobile, device) != "connected":
                    return
                await asyncio.sleep(LEAVING_SECONDS / 20)
        except ApiError:
            logger.warning("a device that was logged out stays until its room is needed")
