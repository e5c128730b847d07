"""The list of devices, unlinking one, and replacing one at a log-in: over HTTP, without sockets."""

from typing import Any

import pytest
from redis.asyncio import Redis

from delivery.keys import Person
from models import EventKind, SessionEvent
from tests.support.api import PASSWORD, Api, make_settings, serve

A = "919800000001"


async def _try(api: Api, device: str, **more: Any) -> tuple[int, dict[str, Any]]:
    form = {"mobileNo": A, "password": PASSWORD, "deviceId": device, **more}
    answer = await api.client.post("/auth/login", json=form)
    return answer.status_code, answer.json()


async def _log_in(api: Api, device: str, **more: Any) -> dict[str, str]:
    status, body = await _try(api, device, **more)
    assert status == 200, body
    return {"Authorization": f"Bearer {body['token']}"}


async def _devices(api: Api, headers: dict[str, str]) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = (
        (await api.client.get("/v1/devices", headers=headers)).raise_for_status().json()["data"]
    )
    return data


async def _delete(api: Api, device: str, headers: dict[str, str]) -> tuple[int, str]:
    answer = await api.client.delete(f"/v1/devices/{device}", headers=headers)
    return answer.status_code, answer.json().get("code", "")


async def test_devices_are_listed_with_what_redis_knows_of_them(api: Api, redis: "Redis") -> None:
    await api.sign_up(A)
    await _log_in(api, "phone", deviceName="A phone")
    mine = await _log_in(api, "tablet")
    person = Person(A)
    later = 4_000_000_000_000
    await redis.hset(person.user, mapping={"id": "x", "epoch": "e", "dev:phone": later, "dev:gone": later})
    await redis.hset(person.leases, "phone", f"s1 c1 {later} {later}")
    await redis.xadd(person.mailbox, {"k": "r"})
    await redis.xgroup_create(person.mailbox, "phone", "0")
    tablet, phone = await _devices(api, mine)
    assert phone == {
        "deviceId": "phone", "deviceName": "A phone", "lastSeen": "online", "waiting": 1, "current": False
    }  # fmt: skip
    assert (tablet["deviceId"], tablet["waiting"], tablet["current"]) == ("tablet", 1, True)
    await redis.delete(person.leases)
    _, phone = await _devices(api, mine)
    assert phone["lastSeen"] == "2096-10-02T07:06:40.000Z", "it connected after it had logged in"
    assert tablet["lastSeen"] < phone["lastSeen"]


async def test_an_unlinked_device_is_out_and_its_place_is_free(api: Api) -> None:
    await api.sign_up(A)
    phone, mine = await _log_in(api, "phone"), await _log_in(api, "tablet")
    assert await _delete(api, "unknown", mine) == (404, "not_found")
    assert await _delete(api, "a%20b", mine) == (400, "bad_device")
    assert await _delete(api, "phone", mine) == (200, "")
    assert (await api.client.get("/v1/devices", headers=phone)).json()["code"] == "session_revoked"
    assert [device["deviceId"] for device in await _devices(api, mine)] == ["tablet"]
    assert await _delete(api, "phone", mine) == (404, "not_found")
    event = await SessionEvent.all().order_by("-id").first()
    assert event is not None
    assert (event.kind, event.device_id) == (EventKind.DEVICE_UNLINKED, "phone")
    assert await _delete(api, "tablet", mine) == (200, ""), "one's own"
    assert (await api.client.get("/v1/devices", headers=mine)).json()["code"] == "session_revoked"


async def test_who_knows_the_password_is_told_the_devices_and_may_replace_one(api: Api) -> None:
    await api.sign_up(A)
    for number in range(5):
        await _log_in(api, f"device-{number}", deviceName=f"Number {number}")
    status, refused = await _try(api, "new")
    assert (status, refused["code"]) == (409, "too_many_devices")
    assert [(device["deviceId"], device["deviceName"]) for device in refused["devices"]] == [
        (f"device-{number}", f"Number {number}") for number in (4, 3, 2, 1, 0)
    ]
    assert all(device["lastSeen"].endswith("Z") for device in refused["devices"])
    status, wrong = await _try(api, "new", password="wrong horse", replaceDeviceId="device-0")
    assert (status, wrong["code"], "devices" in wrong) == (401, "credentials_wrong", False)
    status, other = await _try(api, "new", replaceDeviceId="unknown")
    assert (status, other["code"], len(other["devices"])) == (409, "too_many_devices", 5)
    for bad in ("a b", ""):
        assert (await _try(api, "new", replaceDeviceId=bad))[1]["code"] == "bad_device"
    mine = await _log_in(api, "new", replaceDeviceId="device-0")
    assert {device["deviceId"] for device in await _devices(api, mine)} == {
        "new",
        *(f"device-{n}" for n in range(1, 5)),
    }
    event = (await api.client.get("/v1/events", headers=mine)).json()["data"][1]
    assert (event["kind"], event["deviceId"], event["reason"]) == ("device_unlinked", "device-0", "replaced")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_devices_have_the_limit_of_an_account(
    redis: "Redis", valkey_url: str, database_url: str, method: str
) -> None:
    settings = make_settings(valkey_url, database_url, rate_limits="on", account_requests_burst=1)
    async with serve(settings) as api:
        await api.sign_up(A)
        mine = await _log_in(api, "phone")
        path = "/v1/devices" if method == "GET" else "/v1/devices/unknown"
        answers = [(await api.client.request(method, path, headers=mine)).status_code for _ in range(2)]
        assert answers == [200 if method == "GET" else 404, 429]
