"""Watching and typing over real servers: pushed in time, to those alone who may know."""

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.people import Frame, Person, Talk, request, sign_up
from tests.support.processes import patient
from tests.support.stack import ServerGroup, Stack

IN_TIME = 1.0
"""Seconds in which a change is shown."""


def of(talk: Talk, person: Person) -> list[Frame]:
    return [f for f in talk.frames if f["type"] == "presence" and f["mobileNo"] == person.mobile]


async def shown(talk: Talk, person: Person, count: int, seconds: float = 10) -> Frame:
    """The count-th presence of this person."""
    await talk.wait(lambda _: len(of(talk, person)) >= count, seconds)
    return of(talk, person)[count - 1]


async def watch(talk: Talk, *people: Person) -> None:
    await talk.send(type="watch", mobileNos=[person.mobile for person in people])


async def test_coming_and_going_is_pushed_at_once(product: ServerGroup, single_server: ServerGroup) -> None:
    asha, ravi, eve = [await sign_up(product.url, name) for name in ("Asha", "Ravi", "Eve")]
    a, e = await asha.open(product.ws_url), await eve.open(single_server.ws_url)
    for talk in (a, e):
        await watch(talk, ravi)
        assert await shown(talk, ravi, 1) == {"type": "presence", "mobileNo": ravi.mobile, "online": False}
    for n in range(3):
        r = await ravi.open(single_server.ws_url)
        began = time.monotonic()
        for talk in (a, e):
            assert (await shown(talk, ravi, 2 * n + 2))["online"] is True
        await r.end()
        for talk in (a, e):
            gone = await shown(talk, ravi, 2 * n + 3)
            assert (gone["online"], abs(gone["lastSeen"] - time.time() * 1000) < 60_000) == (False, True)
        assert time.monotonic() - began < patient(2 * IN_TIME)
    await e.send(type="unwatch", mobileNos=[ravi.mobile])
    await e.send(type="ping")
    await e.wait(lambda f: f["type"] == "pong")
    r = await ravi.open(product.ws_url)
    await shown(a, ravi, 8)
    await asyncio.sleep(0.2)
    assert (len(of(a, ravi)), len(of(e, ravi))) == (8, 7)
    for talk in (a, e, r):
        await talk.end()


async def test_blocks_and_privacy_are_shown_at_once_to_those_who_watch(
    product: ServerGroup, single_server: ServerGroup
) -> None:
    asha, ravi, eve = [await sign_up(product.url, name) for name in ("Asha", "Ravi", "Eve")]
    a, e, r = await asha.open(product.ws_url), await eve.open(product.ws_url), await ravi.open(single_server.ws_url)
    for talk in (a, e):
        await watch(talk, ravi)
        assert (await shown(talk, ravi, 1))["online"] is True
    began = time.monotonic()
    body = {"blockedUserMobileNo": asha.mobile}
    assert (await request(single_server.url, ravi, "POST", "/block-action/block", json=body)).status_code == 200
    frozen = await shown(a, ravi, 2)
    assert (frozen["online"], frozen["lastSeen"] <= time.time() * 1000) == (False, True)
    assert (await request(product.url, ravi, "PUT", "/v1/privacy", json={"online": "nobody"})).status_code == 200
    assert (await shown(e, ravi, 2))["online"] is False
    assert time.monotonic() - began < patient(2 * IN_TIME)
    assert (await request(product.url, ravi, "PUT", "/v1/privacy", json={"online": "everyone"})).status_code == 200
    assert (await shown(e, ravi, 3))["online"] is True
    assert (await request(product.url, eve, "PUT", "/v1/privacy", json={"online": "nobody"})).status_code == 200
    assert (await shown(e, ravi, 4))["online"] is False
    await r.end()
    await asyncio.sleep(0.3)
    assert of(a, ravi)[1:] == [frozen], "whatever Ravi does"
    for talk in (a, e):
        await talk.end()


async def test_a_killed_server_and_cut_notifications_are_made_up_for(stack: Stack) -> None:
    times = {"PING_SECONDS": "1", "LEASE_SECONDS": "3", "BELL_SECONDS": "0.5", "BELL_SILENCE_SECONDS": "1.5"}
    one, two = stack.start(workers=1, **times), stack.start(workers=1, **times)
    asha, ravi, eve = [await sign_up(one.url, name) for name in ("Asha", "Ravi", "Eve")]
    a, r = await asha.open(one.ws_url), await ravi.open(two.ws_url)
    await watch(a, ravi, eve)
    assert (await shown(a, ravi, 1))["online"] is True
    two.kill()
    began = time.monotonic()
    gone = await shown(a, ravi, 2)
    assert gone["online"] is False
    assert time.monotonic() - began < patient(6), "when the lease has ended"
    async with Redis.from_url(one.env["REDIS_URL"]) as inside:
        await inside.delete(f"watchers:{{{eve.mobile}}}")  # so nobody is told
        e = await eve.open(one.ws_url)
        assert (await shown(a, eve, 2, 4))["online"] is True
        await inside.client_kill_filter(_type="pubsub")
        await e.end()
        assert (await shown(a, eve, 3, 4))["online"] is False
    for talk in (a, r):
        await talk.end()


async def test_typing_reaches_who_may_see_the_sender_online_and_is_not_stored(
    product: ServerGroup, single_server: ServerGroup
) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    a, r = await asha.open(product.ws_url), await ravi.open(single_server.ws_url)
    await a.send(type="typing", to=ravi.mobile, active=True)
    assert await r.wait(lambda f: f["type"] == "typing") == {"type": "typing", "from": asha.mobile, "active": True}
    await asyncio.sleep(1)
    for active in (False, True):
        await a.send(type="typing", to=ravi.mobile, active=active)
    await a.chat(ravi, "m-1")
    await r.wait(lambda f: f["type"] == "chat")
    await asyncio.sleep(0.2)
    assert [f["active"] for f in r.frames if f["type"] == "typing"] == [True, False], "one a second"
    for who, method, path, body in (
        (asha, "PUT", "/v1/privacy", {"online": "nobody"}),
        (asha, "PUT", "/v1/privacy", {"online": "everyone"}),
        (ravi, "POST", "/block-action/block", {"blockedUserMobileNo": asha.mobile}),
    ):
        assert (await request(product.url, who, method, path, json=body)).status_code == 200
        await asyncio.sleep(1)
        await a.send(type="typing", to=ravi.mobile, active=True)
        await asyncio.sleep(0.2)
    assert [f["active"] for f in r.frames if f["type"] == "typing"] == [True, False, True]
    assert [f["type"] for f in a.frames] == ["hello", "synced", "sent", "ack"], "the sender is told nothing"
    await r.end()
    r = await ravi.open(product.ws_url)
    await r.wait(lambda f: f["type"] == "synced")
    assert "typing" not in [f["type"] for f in r.frames]
    for talk in (a, r):
        await talk.end()


@pytest.mark.parametrize("frame", [{"type": "watch", "mobileNos": ["1"]}, {"type": "typing", "to": "1", "active": 1}])
async def test_the_seed_dialect_knows_neither(product: ServerGroup, frame: dict[str, Any]) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    a, r = await asha.open(product.ws_url, v1=False), await ravi.open(product.ws_url)
    await a.send(**frame)
    refused = await a.wait(lambda f: f["type"] == "error")
    assert (refused["code"], refused["component"]) == ("unknown_type", "frame")
    await r.send(type="typing", to=asha.mobile, active=True)
    await asyncio.sleep(0.2)
    assert {f["type"] for f in a.frames} == {"system", "error"}
    for talk in (a, r):
        await talk.end()
