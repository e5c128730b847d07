"""A person's own devices."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal

import msgspec
from sanic import Request
from sanic.response import HTTPResponse

from accounts.linked_devices import LinkedDevice
from accounts.login import unlink_device
from accounts.session_opening import TooManyDevices
from accounts.tokens import Claims
from delivery.devices import DeviceRecords
from delivery.rate_limits import own_account
from handlers import answers
from handlers.answers import DeviceLine, DeviceList, Done
from handlers.authentication import authenticated
from handlers.responses import rfc3339, success
from handlers.services import Services, services
from protocol.errors import ApiError
from protocol.identifiers import check_device

LEAVING_SECONDS: Final = 3.0
"""How long an answer waits for the sockets of an unlinked device to close: every request is answered within six."""


@authenticated
async def list_devices(request: Request, claims: Claims) -> HTTPResponse:
    """``GET /v1/devices``."""
    mine = services(request)
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    linked, records = await asyncio.gather(
        mine.sessions.linked_devices(claims.account_id), mine.devices.read(claims.mobile)
    )
    return success(DeviceList(data=[_line(device, records, claims) for device in linked]))


@authenticated
async def remove_device(request: Request, claims: Claims) -> HTTPResponse:
    """``DELETE /v1/devices/<deviceId>``: its sessions end, its sockets close, and what waited for it alone leaves."""
    mine, device = services(request), check_device(request.match_info["device_id"])
    await mine.limits.take(own_account(mine.settings), claims.account_id)
    had_sessions = await unlink_device(mine.sessions, mine.events, claims, device)
    match await mine.devices.leave(claims.mobile, device, LEAVING_SECONDS):
        case "unknown" if not had_sessions:
            raise ApiError("not_found")
        case "connected":  # its server is frozen, perhaps: asked again, this goes on
            raise ApiError("unavailable")
    return success(Done(message="device unlinked"))


async def wait_until_replaced(mine: Services, mobile: str, device: str) -> None:
    """The place of a device that was replaced at a log-in is free when this returns, or the waiting is over."""
    with suppress(ApiError):  # the client is logged in, and its place becomes free a moment later
        await mine.devices.leave(mobile, device, LEAVING_SECONDS)


@asynccontextmanager
async def naming_devices(mine: Services) -> AsyncIterator[None]:
    """``too_many_devices`` for somebody who has shown that the account is theirs lists the devices."""
    try:
        yield
    except TooManyDevices as error:
        raise ApiError("too_many_devices", details=await _named(mine, error.mobile, error.linked)) from None


async def _named(mine: Services, mobile: str, linked: Sequence[LinkedDevice]) -> dict[str, Any]:
    try:
        records = await mine.devices.read(mobile)
    except ApiError:
        records = DeviceRecords({}, 0)
    devices = [
        answers.LinkedDevice(device_id=device.device_id, device_name=device.name, last_seen=_last_seen(device, records))
        for device in linked
    ]
    return {"devices": msgspec.to_builtins(devices)}


def _line(device: LinkedDevice, records: DeviceRecords, claims: Claims) -> DeviceLine:
    record = records.known.get(device.device_id)
    return DeviceLine(
        device_id=device.device_id,
        device_name=device.name,
        last_seen=_last_seen(device, records),
        waiting=records.mailbox if record is None else record.waiting,
        current=device.device_id == claims.device_id,
    )


def _last_seen(device: LinkedDevice, records: DeviceRecords) -> str | Literal["online"]:
    record = records.known.get(device.device_id)
    if record is not None and record.connected:
        return "online"
    used = round(device.last_used.timestamp() * 1000)
    return rfc3339(used if record is None else max(used, record.claimed_ms))
