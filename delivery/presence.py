"""Who is online: leases. One per device, named after the connection that holds it, renewed only on signs of life."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from delivery.devices import Devices
from delivery.policy import Facts, Side, see
from delivery.redis.client import Arg, RedisClient
from delivery.redis.clock import RedisClock
from delivery.results import Claimed, ClaimMode, LeaseVerdict, Renewed, Silent, Superseded, Unproven
from delivery.scripts import CLAIM, READ_PRESENCE, READ_SIDES, RELEASE, RENEW, Script
from delivery.user_records import UserRecords
from protocol.errors import ApiError
from protocol.privacy import decode_privacy
from settings import Settings


class LeaseHolder(Protocol):
    """One connection of one device of one user, on one server."""

    @property
    def mobile(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def server_id(self) -> str: ...
    @property
    def connection_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Holder:
    """A :class:`LeaseHolder` that is nothing else."""

    mobile: str
    device: str
    server_id: str
    connection_id: str


def just_now() -> int:
    """The age of a sign of life that comes in this moment, in ms."""
    return 0


class Presence:
    """Claims, renews and releases leases; tells who was last seen when."""

    def __init__(
        self, redis: RedisClient, users: UserRecords, settings: Settings, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._users = users
        self.devices = Devices(redis, users)
        self._lease_ms = int(settings.lease_seconds * 1000)
        self._max_devices = settings.max_devices
        self._clock = RedisClock(steady)
        self._timeout_ms = int((settings.redis_connect_seconds + settings.redis_command_seconds) * 1000)

    async def claim(
        self, holder: LeaseHolder, account_id: str, *, age: Callable[[], int] = just_now, mode: ClaimMode = "first"
    ) -> Claimed:
        """This connection is now the device's one.

        :param age: of the last sign of life, in ms; asked at each attempt, for one may come late
        :raises Unproven: ``first``, and another connection holds the device
        :raises Superseded: ``again``, and a newer connection has the device by now
        :raises Silent: ``again``, and the last sign of life was longer ago than a lease lasts
        :raises ApiError: ``too_many_devices``, ``session_revoked`` (the number has another owner), ``unavailable``
        """
        keys = self._users.keys(holder.mobile)
        limits: list[Arg] = [self._lease_ms, self._max_devices]
        args = [holder.device, holder.server_id, holder.connection_id, *limits, account_id, mode, holder.mobile]
        for _ in range(3):
            verdict, *words = await self._call_in_time(CLAIM, keys.of(CLAIM), args, age)
            match verdict:
                case b"claimed":
                    epoch, server, connection, newest, devices, privacy = (word.decode() for word in words)
                    before = (server, connection) if connection else None
                    return Claimed(epoch, before, newest, int(devices), decode_privacy(privacy))
                case b"replaced":
                    raise Superseded
                case b"silent":
                    raise Silent
                case b"unproven":
                    raise Unproven
                case b"too_many_devices":
                    if not await self.devices.make_room(holder.mobile):
                        raise ApiError("too_many_devices")
                case _:
                    await self._users.load(holder.mobile)
        raise ApiError("too_many_devices" if verdict == b"too_many_devices" else "session_revoked")

    async def renew(self, holder: LeaseHolder, age_ms: int) -> Renewed:
        """Carry the lease on from a sign of life ``age_ms`` ago."""
        keys = self._users.keys(holder.mobile)
        args: list[Arg] = [holder.device, holder.server_id, holder.connection_id, self._lease_ms]
        began = self._clock.steady()

        def age() -> int:
            return age_ms + int((self._clock.steady() - began) * 1000)

        verdict, newest, privacy, devices = await self._call_in_time(RENEW, keys.of(RENEW), args, age)
        return Renewed(verdict.decode(), newest.decode(), decode_privacy(privacy.decode()), int(devices))

    async def _call_in_time(
        self, script: Script, keys: Sequence[str], args: list[Arg], age: Callable[[], int]
    ) -> list[Any]:
        """The reply, if Redis executed it before we gave it up. After a jump of a clock it is sent once more."""
        for _ in range(2):
            asked = self._clock.steady()
            reply: list[Any] = await self._redis.call(script, keys, [*args, age(), self._clock.now, self._timeout_ms])
            self._clock.observe(int(reply.pop()), asked)
            if reply[0] != b"late":
                return reply
        raise ApiError("unavailable")

    async def release(self, holder: LeaseHolder, age_ms: int) -> LeaseVerdict:
        """The connection ended; its last sign of life was ``age_ms`` ago. A newer connection's lease stays."""
        keys = self._users.keys(holder.mobile)
        args: list[Arg] = [holder.device, holder.server_id, holder.connection_id, age_ms]
        reply = await self._redis.call(RELEASE, keys.of(RELEASE), args)
        verdict: LeaseVerdict = reply[0].decode()
        return verdict

    async def last_seen(self, mobile: str, asker: str) -> int | Literal["online"] | None:
        """Unix ms; None when never seen, or hidden from the asker.

        :raises ApiError: ``no_such_person``, ``unavailable``
        """
        for _ in range(2):
            person, own = await _both(
                self._redis.call(READ_PRESENCE, self._users.keys(mobile).of(READ_PRESENCE), [asker]),
                self._redis.call(READ_SIDES, self._users.keys(asker).of(READ_SIDES), [mobile]),
            )
            if person[0] == own[0] == b"known":
                facts, (theirs,) = read_facts(person)
                view = see(read_sides(*own[1:])[0], theirs, facts)
                return "online" if view.online else view.last_seen
            for each, reply in ((mobile, person), (asker, own)):
                if reply[0] == b"not_cached":
                    await self._users.load(each)
        raise ApiError("unavailable")

    async def side(self, mobile: str, other: str) -> Side:
        """What the other is to this person, who is connected.

        :raises ApiError: ``unavailable``
        """
        verdict, privacy, sides = await self._redis.call(READ_SIDES, self._users.keys(mobile).of(READ_SIDES), [other])
        if verdict != b"known":
            raise ApiError("unavailable")  # it was just lost: the claim that follows loads it
        return read_sides(privacy, sides)[0]


def read_facts(reply: Sequence[Any]) -> tuple[Facts, list[Side]]:
    """What ``read_presence.lua`` says of a person, and what each asker is to them."""
    _, _, ends_at, last_seen, privacy, sides = reply[:6]
    return Facts(bool(ends_at), int(last_seen)), read_sides(privacy, sides)


def read_sides(privacy: bytes, sides: Sequence[bytes]) -> list[Side]:
    """What others are to a person, as ``_sides.lua`` says it."""
    decoded = decode_privacy(privacy.decode())
    return [Side(decoded, side[:1] == b"c", int(side[1:]) if len(side) > 1 else None) for side in sides]


async def _both(one: Awaitable[Any], other: Awaitable[Any]) -> tuple[Any, Any]:
    """Both replies, of commands that leave together. Raises what either fails with, when both are done."""
    replies: Sequence[Any] = await asyncio.gather(one, other, return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return replies[0], replies[1]
