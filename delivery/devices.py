"""A person's devices go: each has a copy of what waits, which is kept for it until it is forgotten."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from delivery.keys import DEVICE_PREFIX
from delivery.redis.client import RedisClient
from delivery.scripts import FORGET_DEVICE, READ_DEVICES
from delivery.user_records import UserRecords
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
LEAVING_SECONDS: Final = 5.0
"""How long the sockets of a device that was logged out may take to close."""
FIRST_PAUSE_SECONDS: Final = 0.01
LONGEST_PAUSE_SECONDS: Final = 0.25
"""Between looks at whether they are closed: twice as long each time."""
COUNTED: Final = 200
"""Entries counted in one command, which takes Redis a millisecond."""
EVER: Final = 2**53
_DEVICE: Final = DEVICE_PREFIX.encode()

Forgotten = Literal["unknown", "connected", "recent", "forgotten"]
Left = Forgotten | Literal["linked"]


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What Redis knows of a device.

    :param claimed_ms: when it last connected, in unix ms
    :param waiting: entries that it has not settled
    """

    claimed_ms: int
    connected: bool
    waiting: int


@dataclass(frozen=True, slots=True)
class DeviceRecords:
    """All devices of a person.

    :param mailbox: entries in the mailbox: what waits for a device that has never connected
    """

    known: dict[str, DeviceRecord]
    mailbox: int


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

    async def read(self, mobile: str) -> DeviceRecords:
        """What Redis knows of each device.

        :raises ApiError: ``unavailable``
        """
        mailbox, devices = await self._redis.call(READ_DEVICES, self._users.keys(mobile).of(READ_DEVICES), [])
        known = {}
        for device, claimed_at, connected, counted, behind in devices:
            waiting = counted + (await self._count(mobile, behind.decode()) if behind else 0)
            known[device.decode()] = DeviceRecord(int(claimed_at), bool(connected), waiting)
        return DeviceRecords(known, mailbox)

    async def _count(self, mobile: str, behind: str) -> int:
        """The entries behind this streamId."""
        name, counted = self._users.keys(mobile).mailbox, 0
        while True:
            page = await self._redis.command("XRANGE", name, f"({behind}", "+", "COUNT", COUNTED)
            counted += len(page)
            if len(page) < COUNTED:
                return counted
            behind = page[-1][0].decode()

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
        try:
            await self.leave(mobile, device)
        except ApiError:
            logger.warning("a device that was logged out stays until its room is needed")

    async def leave(self, mobile: str, device: str, seconds: float = LEAVING_SECONDS) -> Left:
        """The same for a caller that wants to know: what became of the device, at the latest after ``seconds``.

        :raises ApiError: ``unavailable``
        """
        until, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
        while True:
            found = await self._users.find(mobile)
            if found is not None and device in found.devices:
                return "linked"
            verdict = await self.forget(mobile, device)
            if verdict != "connected" or time.monotonic() >= until:
                return verdict
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
