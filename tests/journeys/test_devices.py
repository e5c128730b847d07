"""One person with several devices: each has its own copy of what waits, and its own connection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from redis.asyncio import Redis

from tests.support.people import PASSWORD, Frame, Person, Talk, on_device, request, sign_up
from tests.support.stack import ServerGroup
from tools.devstack.postgres import Postgres

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


@pytest.fixture
def servers(product: ServerGroup, single_server: ServerGroup) -> tuple[ServerGroup, ServerGroup]:
    """Two servers with nothing in common but Redis and PostgreSQL."""
    return product, single_server


@pytest.fixture
async def inside(product: ServerGroup) -> AsyncIterator["Redis"]:
    """A look into the servers' Redis."""
    async with Redis.from_url(product.env["REDIS_URL"]) as client:
        yield client


async def until(read: Callable[[], Coroutine[Any, Any, Any]], wanted: Any, seconds: float = 10) -> None:
    """What Redis holds becomes what is wanted."""
    for _ in range(int(seconds / 0.02)):
        if (found := await read()) == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{found!r} instead of {wanted!r}")


def waiting(inside: "Redis", person: Person) -> Callable[[], Coroutine[Any, Any, int]]:
    """How many entries are in a person's mailbox."""

    async def read() -> int:
        return int(await inside.xlen(f"mailbox:{{{person.mobile}}}"))

    return read


def unsettled(inside: "Redis", person: Person) -> Callable[[], Coroutine[Any, Any, dict[str, int]]]:
    """What each device of a person was given and has not acked."""

    async def read() -> dict[str, int]:
        groups = await inside.xinfo_groups(f"mailbox:{{{person.mobile}}}")
        return {group["name"].decode(): group["pending"] for group in groups}

    return read


def connected(inside: "Redis", person: Person) -> Callable[[], Coroutine[Any, Any, set[str]]]:
    """Which devices hold a lease."""

    async def read() -> set[str]:
        return {name.decode() for name in await inside.hkeys(f"leases:{{{person.mobile}}}")}  # type: ignore[misc]

    return read


def known(inside: "Redis", person: Person) -> Callable[[], Coroutine[Any, Any, set[str]]]:
    """Which devices are waited for."""

    async def read() -> set[str]:
        fields = await inside.hkeys(f"person:{{{person.mobile}}}")  # type: ignore[misc]
        return {name.removeprefix(b"dev:").decode() for name in fields if name.startswith(b"dev:")}

    return read


def said(talk: Talk) -> list[str]:
    return [frame["messageId"] for frame in talk.chats()]


async def all_chats(talk: Talk, count: int) -> list[Frame]:
    return await talk.wait_all(lambda f: f["type"] == "chat", count)


async def twice(servers: tuple[ServerGroup, ServerGroup], v1: bool, ack: bool = True) -> tuple[Person, Talk, Talk]:
    """Ravi with a phone on one server and a tablet on the other."""
    one, two = servers
    ravi = await sign_up(one.url, "Ravi", "phone")
    tablet = await on_device(two.url, ravi, "tablet")
    return ravi, await ravi.open(one.ws_url, v1, ack), await tablet.open(two.ws_url, v1, ack)


async def send(a: Talk, to: Person, count: int, start: int = 0) -> list[str]:
    names = [f"m-{n}" for n in range(start, start + count)]
    for name in names:
        await a.chat(to, name)
    return names


@DIALECTS
async def test_two_devices_get_every_chat_in_order(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    asha = await sign_up(servers[0].url)
    a = await asha.open(servers[0].ws_url, v1)
    ravi, phone, tablet = await twice(servers, v1)
    names = await send(a, ravi, 20)
    first, second = await all_chats(phone, 20), await all_chats(tablet, 20)
    assert said(phone) == said(tablet) == names
    assert first == second, "one entry has one streamId and one time, on whichever device"
    await until(waiting(inside, ravi), 0)
    for talk in (a, phone, tablet):
        await talk.end()


@DIALECTS
async def test_the_device_that_was_away_gets_all_in_order_when_it_comes_back(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    asha = await sign_up(servers[0].url)
    a = await asha.open(servers[0].ws_url, v1)
    ravi, phone, tablet = await twice(servers, v1)
    await tablet.end()
    await until(connected(inside, ravi), {"phone"})
    names = await send(a, ravi, 20)
    await all_chats(phone, 20)
    await until(unsettled(inside, ravi), {"phone": 0, "tablet": 0})
    assert await waiting(inside, ravi)() == 20, "they wait for the tablet"
    tablet = await (await on_device(servers[0].url, ravi, "tablet")).open(servers[0].ws_url, v1)
    late = await all_chats(tablet, 20)
    assert said(tablet) == names
    assert {frame["mode"] for frame in late} == {"offline"}
    if v1:
        assert (await tablet.wait(lambda f: f["type"] == "synced"))["count"] == 20
    await until(waiting(inside, ravi), 0)
    assert said(phone) == names, "the phone got nothing twice"
    for talk in (a, phone, tablet):
        await talk.end()


@DIALECTS
async def test_an_entry_leaves_when_both_devices_have_acked_and_its_sender_is_told_once(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    asha = await sign_up(servers[0].url)
    a = await asha.open(servers[0].ws_url, v1)
    ravi, phone, tablet = await twice(servers, v1, ack=False)
    await a.chat(ravi, "m-1")
    for talk in (phone, tablet):
        await all_chats(talk, 1)
    await until(unsettled(inside, ravi), {"phone": 1, "tablet": 1})
    stream_id = phone.chats()[0]["streamId"]
    await phone.send(type="ack", to=asha.mobile, streamId=stream_id, ackType="delivered")
    await a.wait(lambda f: f["type"] == "ack")
    await until(unsettled(inside, ravi), {"phone": 0, "tablet": 1})
    assert (await waiting(inside, ravi)(), a.ticks("m-1")) == (1, ["delivered"])
    await tablet.send(type="ack", to=asha.mobile, streamId=stream_id, ackType="delivered")
    await until(waiting(inside, ravi), 0)
    assert await unsettled(inside, ravi)() == {"phone": 0, "tablet": 0}
    for talk in (phone, tablet):
        await talk.send(type="ack", to=asha.mobile, streamId=stream_id, ackType="delivered")
    await phone.chat(asha, "after-1")  # frames of one connection are handled in order: the acks are through
    await tablet.chat(asha, "after-2")
    await a.wait(lambda f: f.get("messageId") == "after-2")
    assert a.ticks("m-1") == ["delivered"], "what does not raise the record makes no receipt"
    for talk in (a, phone, tablet):
        await talk.end()


@DIALECTS
async def test_a_read_on_each_device_is_told_once_and_settles_on_both(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    asha = await sign_up(servers[0].url)
    a = await asha.open(servers[0].ws_url, v1)
    ravi, phone, tablet = await twice(servers, v1, ack=False)
    await a.chat(ravi, "m-1")
    for talk in (phone, tablet):
        await all_chats(talk, 1)
    await phone.send(type="ack", to=asha.mobile, messageId="m-1", ackType="read")
    if v1:
        told = await tablet.wait(lambda f: f["type"] == "ownRead")
        await tablet.send(type="ack", streamId=told["streamId"], ackType="delivered")
    await until(unsettled(inside, ravi), {"phone": 0, "tablet": 1})
    await tablet.send(type="ack", to=asha.mobile, messageId="m-1", ackType="read")
    await until(waiting(inside, ravi), 0)
    await tablet.chat(asha, "after-1")
    await a.wait(lambda f: f.get("messageId") == "after-1")
    assert a.ticks("m-1") == ["read"]
    for talk in (a, phone, tablet):
        await talk.end()


@DIALECTS
async def test_a_device_that_joins_late_gets_what_still_waits_and_nothing_of_what_has_left(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    one, two = servers
    asha, ravi = await sign_up(one.url), await sign_up(one.url, "Ravi", "phone")
    a, phone = await asha.open(one.ws_url, v1), await ravi.open(one.ws_url, v1)
    await send(a, ravi, 3)
    await all_chats(phone, 3)
    await until(waiting(inside, ravi), 0)
    await phone.end()
    await until(connected(inside, ravi), set())
    phone = await ravi.open(one.ws_url, v1, ack=False)
    names = await send(a, ravi, 3, 3)
    await all_chats(phone, 3)  # given to the phone, and not acked by it
    tablet = await (await on_device(two.url, ravi, "tablet")).open(two.ws_url, v1)
    late = await all_chats(tablet, 3)
    assert (said(tablet), {frame["mode"] for frame in late}) == (names, {"offline"})
    await until(unsettled(inside, ravi), {"phone": 3, "tablet": 0})
    await phone.send(type="ack", to=asha.mobile, messageId=names[0], ackType="read")
    await until(waiting(inside, ravi), 2)
    for talk in (a, phone, tablet):
        await talk.end()


@DIALECTS
async def test_what_came_before_the_first_device_is_for_that_one(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    asha, ravi = await sign_up(servers[0].url), await sign_up(servers[0].url, "Ravi", "phone")
    a = await asha.open(servers[0].ws_url, v1)
    names = await send(a, ravi, 3)
    phone = await ravi.open(servers[1].ws_url, v1)
    await all_chats(phone, 3)
    assert said(phone) == names
    await until(waiting(inside, ravi), 0)
    assert set(await unsettled(inside, ravi)()) == {"phone"}, "nobody else is waited for"
    await a.end()
    await phone.end()


@DIALECTS
async def test_receipts_reach_every_device_of_the_sender(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    asha = await sign_up(servers[0].url)
    a = await asha.open(servers[0].ws_url, v1)
    ravi, phone, tablet = await twice(servers, v1)
    await phone.chat(asha, "m-1")
    for talk in (phone, tablet):
        await talk.wait(lambda f: f["type"] == "ack" and f["ackType"] == "delivered")
    if v1:  # in the seed dialect a receipt leaves when a pong has answered: up to a ping later
        await until(waiting(inside, ravi), 0)
    for talk in (a, phone, tablet):
        await talk.end()


@DIALECTS
async def test_only_a_connection_of_the_same_device_replaces(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    one, two = servers
    asha = await sign_up(one.url)
    a = await asha.open(one.ws_url, v1)
    ravi, phone, tablet = await twice(servers, v1)
    newer = await ravi.open(two.ws_url, v1)
    assert await phone.closed() == 4508
    names = await send(a, ravi, 3)
    for talk in (newer, tablet):
        await all_chats(talk, 3)
        assert said(talk) == names
        assert talk.socket.close_code is None
    seen = await request(one.url, asha, "GET", "/profile/lastseen", params={"mobileNo": ravi.mobile})
    assert seen.json()["data"]["lastSeen"] == "online"
    await newer.end()
    await until(connected(inside, ravi), {"tablet"})
    seen = await request(one.url, asha, "GET", "/profile/lastseen", params={"mobileNo": ravi.mobile})
    assert seen.json()["data"]["lastSeen"] == "online", "the tablet still is"
    for talk in (a, tablet):
        await talk.end()


async def test_the_device_is_told_to_who_logs_in_and_who_connects(servers: tuple[ServerGroup, ServerGroup]) -> None:
    ravi = await sign_up(servers[0].url, "Ravi", "phone.2-a_B")
    async with httpx.AsyncClient(base_url=servers[0].url) as client:
        form = {"mobileNo": ravi.mobile, "password": PASSWORD}
        assert (await client.post("/auth/login", json=form)).json()["deviceId"] == "primary"
        wrong = await client.post("/auth/login", json=form | {"deviceId": "my phone"})
        assert (wrong.status_code, wrong.json()["code"]) == (400, "bad_device")
    talk = await ravi.open(servers[0].ws_url)
    assert talk.frames[0]["deviceId"] == "phone.2-a_B"
    await talk.end()


async def five_devices(servers: tuple[ServerGroup, ServerGroup], v1: bool) -> tuple[list[Person], list[Talk]]:
    """Ravi on as many devices as there may be, all connected."""
    ravi = await sign_up(servers[0].url, "Ravi", "device-0")
    people = [ravi, *[await on_device(servers[0].url, ravi, f"device-{n}") for n in range(1, 5)]]
    return people, [await person.open(servers[n % 2].ws_url, v1) for n, person in enumerate(people)]


@DIALECTS
async def test_a_sixth_device_is_refused_at_the_door_and_at_the_socket(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", postgres_server: Postgres, v1: bool
) -> None:
    people, talks = await five_devices(servers, v1)
    ravi, database = people[0], urlsplit(servers[0].env["DATABASE_URL"]).path[1:]
    form = {"mobileNo": ravi.mobile, "password": PASSWORD, "deviceId": "device-5"}
    async with httpx.AsyncClient(base_url=servers[0].url) as client:
        refused = await client.post("/auth/login", json=form)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_devices")
    # A session that is over makes a place free for a login, but its device is still waited for.
    over = "UPDATE sessions SET expires_at = now() WHERE device_id = 'device-4' AND user_id = "
    statement = f"{over} (SELECT id FROM users WHERE mobile_no = '{ravi.mobile}')"  # noqa: S608
    await asyncio.to_thread(postgres_server.fetch, statement, database)
    sixth = await on_device(servers[0].url, ravi, "device-5")
    subprotocols = [websockets.Subprotocol("wm.v1")] if v1 else None
    async with websockets.connect(f"{servers[0].ws_url}/?token={sixth.token}", subprotocols=subprotocols) as socket:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4504, "too many devices: log one out first")
    assert await connected(inside, ravi)() == {f"device-{n}" for n in range(5)}
    for talk in talks:
        assert talk.socket.close_code is None
        await talk.end()


@DIALECTS
async def test_a_device_logged_out_makes_room_for_another(
    servers: tuple[ServerGroup, ServerGroup], inside: "Redis", v1: bool
) -> None:
    people, talks = await five_devices(servers, v1)
    ravi = people[0]
    form = {"mobileNo": ravi.mobile, "password": PASSWORD, "deviceId": "device-5"}
    async with httpx.AsyncClient(base_url=servers[0].url) as client:
        refused = await client.post("/auth/login", json=form)
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_devices")
    assert (await request(servers[1].url, people[4], "POST", "/auth/logout")).status_code == 200
    assert await talks[4].closed() == 4509
    await until(known(inside, ravi), {f"device-{n}" for n in range(4)})
    sixth = await (await on_device(servers[0].url, ravi, "device-5")).open(servers[0].ws_url, v1)
    asha = await sign_up(servers[0].url)
    a = await asha.open(servers[0].ws_url, v1)
    names = await send(a, ravi, 3)
    for talk in (*talks[:4], sixth):
        await all_chats(talk, 3)
        assert said(talk) == names
    await until(waiting(inside, ravi), 0)
    for talk in (*talks[:4], sixth, a):
        await talk.end()
