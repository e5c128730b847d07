"""People see their devices, and unlink and replace them, while chats wait and sockets are open."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from tests.support.people import NO_TLS, PASSWORD, Person, Talk, on_device, request, sign_up
from tests.support.stack import ServerGroup

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


@pytest.fixture
async def inside(product: ServerGroup) -> AsyncIterator["Redis"]:
    """A look into the servers' Redis."""
    async with Redis.from_url(product.env["REDIS_URL"]) as client:
        yield client


async def _devices(url: str, person: Person) -> dict[str, dict[str, Any]]:
    answer = await request(url, person, "GET", "/v1/devices")
    return {device["deviceId"]: device for device in answer.raise_for_status().json()["data"]}


async def _until_waiting(url: str, person: Person, wanted: dict[str, int]) -> dict[str, dict[str, Any]]:
    for _ in range(100):
        found = await _devices(url, person)
        if {name: device["waiting"] for name, device in found.items()} == wanted:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{found} instead of {wanted}")


async def _groups(inside: "Redis", person: Person) -> set[str]:
    return {group["name"].decode() for group in await inside.xinfo_groups(f"mailbox:{{{person.mobile}}}")}


@DIALECTS
async def test_an_unlinked_device_leaves_nothing_behind_when_the_answer_comes(
    product: ServerGroup, single_server: ServerGroup, inside: "Redis", v1: bool
) -> None:
    one, two = product, single_server
    asha, ravi = await sign_up(one.url), await sign_up(one.url, "Ravi", "phone")
    tablet = await on_device(two.url, ravi, "tablet")
    a, on_phone = await asha.open(one.ws_url, v1), await ravi.open(one.ws_url, v1)
    on_tablet = await tablet.open(two.ws_url, v1, ack=False)
    for number in range(3):
        await a.chat(ravi, f"m{number}")
    await on_phone.wait_all(lambda f: f["type"] == "chat", 3)
    seen = await _until_waiting(two.url, ravi, {"phone": 0, "tablet": 3})
    assert {name: (device["lastSeen"], device["current"]) for name, device in seen.items()} == {
        "phone": ("online", True),
        "tablet": ("online", False),
    }
    answer = await request(one.url, ravi, "DELETE", "/v1/devices/tablet")
    assert (answer.status_code, answer.json()["message"]) == (200, "device unlinked")
    assert await _groups(inside, ravi) == {"phone"}
    assert await inside.xlen(f"mailbox:{{{ravi.mobile}}}") == 0, "what waited for it alone"
    assert await on_tablet.closed(1.0) == 4509
    assert (await request(two.url, tablet, "GET", "/v1/devices")).json()["code"] == "session_revoked"
    again = await request(two.url, ravi, "DELETE", "/v1/devices/tablet")
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    assert on_phone.socket.close_code is None
    await a.chat(ravi, "after")
    await on_phone.wait(lambda f: f.get("messageId") == "after")
    for talk in (a, on_phone):
        await talk.end()


@DIALECTS
async def test_a_device_that_replaces_another_connects_at_once(
    product: ServerGroup, single_server: ServerGroup, inside: "Redis", v1: bool
) -> None:
    one, two = product, single_server
    ravi = await sign_up(one.url, "Ravi", "device-0")
    people = [ravi, *[await on_device(one.url, ravi, f"device-{n}") for n in range(1, 5)]]
    talks: list[Talk] = [await person.open((one, two)[n % 2].ws_url, v1) for n, person in enumerate(people)]
    for replaced, talk in enumerate(talks[:3]):
        form = {"mobileNo": ravi.mobile, "password": PASSWORD, "deviceId": f"new-{replaced}"}
        async with httpx.AsyncClient(base_url=two.url, verify=NO_TLS, timeout=15) as client:
            refused = (await client.post("/auth/login", json=form)).json()
            assert refused["code"] == "too_many_devices"
            assert [device["lastSeen"] for device in refused["devices"]] == ["online"] * 5
            form["replaceDeviceId"] = f"device-{replaced}"
            body = (await client.post("/auth/login", json=form)).raise_for_status().json()
            assert not await inside.hexists(f"person:{{{ravi.mobile}}}", f"dev:device-{replaced}"), "its place is free"
        newer = Person(ravi.mobile, body["token"], "Ravi")
        talks.append(await newer.open(one.ws_url, v1))  # not closed with 4504: it gets its first frame
        assert await talk.closed(1.0) == 4509
    assert {name for name in await _devices(two.url, people[4])} == {
        "device-3", "device-4", "new-0", "new-1", "new-2"
    }  # fmt: skip
    for talk in talks[3:]:
        assert talk.socket.close_code is None
        await talk.end()
