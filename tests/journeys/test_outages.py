"""Redis or PostgreSQL go away and come back; a server goes down in good order."""

import asyncio
import time

import httpx

from tests.support.fragile import QUICK, Fragile
from tests.support.people import request, sign_up
from tests.support.processes import patient
from tests.support.stack import Stack


async def _ready(url: str, seconds: float = 15) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=10) as client, asyncio.timeout(seconds):
        while (await client.get("/ready")).status_code != 200:
            await asyncio.sleep(0.1)


async def test_redis_away_refuses_clearly_and_all_that_was_acknowledged_is_there_after(fragile: Fragile) -> None:
    group = fragile.server
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    a = await asha.open(group.ws_url)
    assert (await a.chat(ravi, "kept"))["type"] == "sent"
    fragile.valkey.kill()
    began = time.monotonic()
    refused = await a.chat(ravi, "refused")
    assert (refused["code"], refused["retryable"]) == ("unavailable", True)
    answer = await request(group.url, asha, "GET", "/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert time.monotonic() - began < patient(6)
    fragile.valkey.start()
    await _ready(group.url)
    a = await asha.open(group.ws_url)
    assert (await a.chat(ravi, "after"))["type"] == "sent"
    r = await ravi.open(group.ws_url)
    await r.wait_all(lambda f: f["type"] == "chat", 2)
    assert [f["messageId"] for f in r.chats()] == ["kept", "after"]
    await a.end()
    await r.end()


async def test_redis_that_restarts_does_not_end_a_talk(fragile: Fragile) -> None:
    group = fragile.server
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    a, r = await asha.open(group.ws_url), await ravi.open(group.ws_url)
    fragile.valkey.kill()
    fragile.valkey.start()
    await _ready(group.url)
    while (await a.chat(ravi, "again"))["type"] != "sent":
        a.frames.clear()
        await asyncio.sleep(0.1)
    await r.wait(lambda f: f["type"] == "chat")
    await a.wait(lambda f: f["type"] == "ack")
    await a.end()
    await r.end()


async def test_postgresql_away_leaves_who_is_connected_talking(fragile: Fragile) -> None:
    group = fragile.server
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    a, r = await asha.open(group.ws_url), await ravi.open(group.ws_url)
    await asyncio.to_thread(fragile.postgres.stop)
    began = time.monotonic()
    answer = await request(group.url, asha, "GET", "/block-action/list")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert time.monotonic() - began < patient(6)
    for n in range(20):
        assert (await a.chat(ravi, f"m-{n}"))["type"] == "sent"
        await asyncio.sleep(0.1)
    await r.wait_all(lambda f: f["type"] == "chat", 20)
    await asyncio.to_thread(fragile.postgres.start)
    await _ready(group.url)
    assert (await request(group.url, asha, "GET", "/block-action/list")).status_code == 200
    await a.end()
    await r.end()


async def test_a_server_that_goes_down_says_so_and_loses_nothing(fragile: Fragile, beside: Stack) -> None:
    going, staying = beside.start(workers=1, **QUICK), fragile.server
    asha, ravi = await sign_up(going.url), await sign_up(going.url, "Ravi")
    a = await asha.open(going.ws_url)
    crowd = [await (await sign_up(going.url)).open(going.ws_url) for _ in range(20)]
    for n in range(50):
        await a.send(type="chat", to=ravi.mobile, messageId=f"m-{n}", message=str(n))
    began = time.monotonic()
    code = await asyncio.to_thread(going.terminate)
    assert code == 0
    assert time.monotonic() - began < patient(5)
    assert {await talk.closed() for talk in [a, *crowd]} == {4012}
    draining = await a.wait(lambda f: f.get("code") == "draining")
    assert draining["retryAfter"] > 0
    sent = {f["messageId"] for f in a.frames if f["type"] == "sent"}
    query = {"mobileNo": asha.mobile}
    seen = (await request(staying.url, ravi, "GET", "/profile/lastseen", params=query)).json()["data"]["lastSeen"]
    assert seen != "online"
    r = await ravi.open(staying.ws_url)
    await r.wait(lambda f: f["type"] == "synced")
    assert sent <= {f["messageId"] for f in r.chats()}
    await r.end()


async def test_a_flush_of_redis_is_told_and_blocks_hold(fragile: Fragile) -> None:
    group = fragile.server
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    body = {"blockedUserMobileNo": asha.mobile}
    assert (await request(group.url, ravi, "POST", "/block-action/block", json=body)).status_code == 200
    a, r = await asha.open(group.ws_url), await ravi.open(group.ws_url)
    fragile.valkey.stop()
    for path in fragile.valkey.data.rglob("*.aof"):
        path.unlink()
    for path in fragile.valkey.data.rglob("*.manifest"):
        path.unlink()
    fragile.valkey.start()
    await _ready(group.url)
    assert (await r.wait(lambda f: f["type"] == "resync"))["epoch"]
    while (await a.chat(ravi, "blocked"))["type"] != "sent":
        a.frames.clear()
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    assert r.chats() == []
    await a.end()
    await r.end()
