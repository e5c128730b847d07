"""A Redis whose memory is full is a way out: only chats are refused, and reading what waits makes room again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from tests.support.fragile import QUICK, Fragile
from tests.support.people import PASSWORD, Frame, Person, Talk, login, request, sign_up
from tests.support.stack import ServerGroup, Stack

BOTH = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
WAITING, SIZE = 160, 16_000


@pytest.fixture
async def admin(fragile: Fragile) -> AsyncIterator["Redis"]:
    """Redis itself."""
    async with Redis.from_url(fragile.valkey.url) as client:
        yield client


async def _used(admin: "Redis") -> int:
    return int((await admin.info("memory"))["used_memory"])


@asynccontextmanager
async def _watched(group: ServerGroup) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=group.url, timeout=10) as client:
        yield client


async def _until_memory(group: ServerGroup, wanted: bool, seconds: float = 10) -> dict[str, Any]:
    """What ``/ready`` says as soon as it says so of the memory. It is 200 all the time."""
    async with _watched(group) as client, asyncio.timeout(seconds):
        while True:
            answer = await client.get("/ready")
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            if body["checks"]["memory"] is wanted:
                return body
            await asyncio.sleep(0.1)


def _is_full(frame: Frame) -> bool:
    return (frame["type"], frame.get("code"), frame.get("retryable")) == ("error", "storage_full", True)


async def _fill(talk: Talk, to: Person) -> None:
    for n in range(WAITING):
        await talk.send(type="chat", to=to.mobile, messageId=f"w-{n}", message=f"{n} " + "x" * SIZE)
    ticks = await talk.wait_all(lambda f: f["type"] in ("sent", "system", "error"), WAITING + (not talk.v1), 30)
    assert not [frame for frame in ticks if frame["type"] == "error"]


async def _last_seen(group: ServerGroup, asker: Person, whom: Person) -> Any:
    answer = await request(group.url, asker, "GET", "/profile/lastseen", params={"mobileNo": whom.mobile})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"].get("lastSeen")


@BOTH
async def test_a_client_is_let_in_reads_and_makes_room(fragile: Fragile, admin: "Redis", v1: bool) -> None:
    group = fragile.server
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    a = await asha.open(group.ws_url, v1)
    await _fill(a, ravi)
    await admin.config_set("maxmemory", await _used(admin) - 200_000)
    assert "storage_full" in (await _until_memory(group, wanted=False))["detail"]

    a.frames.clear()
    assert _is_full(await a.chat(ravi, "refused"))
    r = await ravi.open(group.ws_url, v1)
    await r.wait_all(lambda f: f["type"] == "chat", WAITING, 30)
    assert [frame["messageId"] for frame in r.chats()] == [f"w-{n}" for n in range(WAITING)]
    assert await _last_seen(group, asha, ravi) == "online"
    # They are acknowledged, their sender is told, and they are gone.
    await _until_memory(group, wanted=True)
    while len(a.delivered()) < WAITING:
        await asyncio.sleep(0.05)
    assert set(a.delivered()) == {f"w-{n}" for n in range(WAITING)}

    await a.send(type="chat", to=ravi.mobile, messageId="again", message="there is room")
    await r.wait(lambda f: f["type"] == "chat" and f["messageId"] == "again")
    await a.end()
    await r.end()


async def test_everything_but_a_chat_goes_on_and_a_logout_is_one(fragile: Fragile, admin: "Redis") -> None:
    group = fragile.server
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    stranger = await sign_up(group.url)  # whom Redis does not know yet
    await admin.config_set("maxmemory", 1)
    await _until_memory(group, wanted=False)

    a = await asha.open(group.ws_url)
    block: dict[str, Any] = {"json": {"blockedUserMobileNo": ravi.mobile}}
    assert (await request(group.url, asha, "POST", "/block-action/block", **block)).status_code == 200
    unblock = {"params": {"mobileNo": ravi.mobile}}
    assert (await request(group.url, asha, "DELETE", "/block-action/unblock", **unblock)).status_code == 200
    answer = await request(group.url, stranger, "POST", "/v1/tickets")
    ticket = answer.json()["ticket"]
    by_ticket = await Person(stranger.mobile, stranger.token, "").open(f"{group.ws_url}/?ticket={ticket}&x=")
    assert await _last_seen(group, asha, stranger) == "online"
    await by_ticket.end()

    again = Person(asha.mobile, await login(group.url, asha.mobile, "laptop"), "Asha")
    second = await again.open(group.ws_url)
    assert (await request(group.url, again, "POST", "/auth/logout")).status_code == 200
    assert await second.closed() == 4509
    refused = await request(group.url, again, "GET", "/block-action/list")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_revoked")
    assert (await request(group.url, asha, "GET", "/block-action/list")).status_code == 200

    new = await sign_up(group.url)
    n = await new.open(group.ws_url)
    assert _is_full(await n.chat(asha, "refused"))
    await asyncio.sleep(2 * float(QUICK["BELL_SILENCE_SECONDS"]))
    assert await admin.keys("server:*"), "the server has forgotten to say that it lives"
    assert await _last_seen(group, new, asha) == "online"
    for talk in (a, n):
        await talk.end()
    assert await _last_seen(group, new, asha) != "online"


@BOTH
async def test_chats_are_refused_while_redis_still_has_room_for_the_rest(
    fragile: Fragile, admin: "Redis", v1: bool
) -> None:
    group = fragile.server
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    a, r = await asha.open(group.ws_url, v1), await ravi.open(group.ws_url, v1, ack=False)
    await a.send(type="chat", to=ravi.mobile, messageId="before", message="in time")
    came = await r.wait(lambda f: f["type"] == "chat")
    await admin.config_set("maxmemory", int(await _used(admin) / 0.95))
    await _until_memory(group, wanted=False)
    assert await admin.set("x", "1"), "Redis itself refuses nothing yet"
    a.frames.clear()
    assert _is_full(await a.chat(ravi, "refused"))
    assert _is_full(await a.chat(ravi, "before", "in time")), "refused without asking Redis"
    for ack in ("delivered", "read"):
        await r.send(type="ack", to=asha.mobile, streamId=came["streamId"], messageId="before", ackType=ack)
        await a.wait(lambda f, ack=ack: f["type"] == "ack" and f["ackType"] == ack)  # type: ignore[misc]
    await admin.config_set("maxmemory", 0)
    await _until_memory(group, wanted=True)
    a.frames.clear()
    await a.send(type="chat", to=ravi.mobile, messageId="refused", message="now")
    await r.wait(lambda f: f["type"] == "chat" and f["messageId"] == "refused")
    await a.end()
    await r.end()


async def test_the_percentage_is_a_setting_and_the_script_that_stores_is_refused_by_redis_itself(
    beside: Stack, admin: "Redis"
) -> None:
    group = beside.start(workers=1, **QUICK, STORAGE_REFUSE_PERCENT="100")
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    a = await asha.open(group.ws_url)
    assert (await a.chat(ravi, "one"))["type"] == "sent"
    await admin.config_set("maxmemory", int(await _used(admin) / 0.95))
    await asyncio.sleep(2.5)
    assert (await a.chat(ravi, "two"))["type"] == "sent"
    await admin.config_set("maxmemory", 1)
    # Before the server has looked, and after.
    for n in range(20):
        assert _is_full(await a.chat(ravi, f"refused-{n}"))
        await asyncio.sleep(0.1)
    await a.end()


async def test_the_jobs_go_on(beside: Stack, admin: "Redis") -> None:
    await admin.config_set("maxmemory", 1)
    worker = beside.worker(SWEEP_SECONDS="1", RECLAIM_SECONDS="1")

    def done() -> int:
        log = worker.log.read_text() if worker.log.exists() else ""
        return sum(r"\u2190 cron:sweep_presence" in line for line in log.splitlines())

    async with asyncio.timeout(30):
        while done() < 3:
            assert worker.alive(), worker.last_words(20)
            await asyncio.sleep(0.2)
    assert await admin.keys("arq:*health*"), "it does not say that it is well"


async def test_a_password_is_still_checked(fragile: Fragile, admin: "Redis") -> None:
    """What is allowed without memory is no more than before."""
    group = fragile.server
    asha = await sign_up(group.url)
    await admin.config_set("maxmemory", 1)
    async with _watched(group) as client:
        for password, status in (("wrong " + PASSWORD, 401), (PASSWORD, 200)):
            form = {"mobileNo": asha.mobile, "password": password}
            assert (await client.post("/auth/login", json=form)).status_code == status
