"""The end of an account, from outside: two servers, both dialects, and the next owner of the number."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import websockets
from redis.asyncio import Redis

from tests.support.people import NO_TLS, PASSWORD, Person, login, new_mobile, on_device, request, sign_up
from tests.support.stack import ServerGroup

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


@pytest.fixture
async def inside(product: ServerGroup) -> AsyncIterator["Redis"]:
    """A look into the servers' Redis."""
    async with Redis.from_url(product.env["REDIS_URL"]) as client:
        yield client


async def delete(url: str, person: Person) -> httpx.Response:
    return await request(url, person, "DELETE", "/v1/me", json={"password": PASSWORD})


async def next_owner(url: str, mobile: str) -> Person:
    """Somebody who signs up with a number as soon as it is free."""
    form = {"name": "The next", "mobileNo": mobile, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=url, verify=NO_TLS, timeout=15) as client, asyncio.timeout(30):
        while (answer := await client.post("/auth/signin", json=form)).status_code != 200:
            assert answer.json()["code"] == "number_resting"
            await asyncio.sleep(0.2)
    return Person(mobile, await login(url, mobile), "The next")


@DIALECTS
async def test_a_deleted_account_leaves_nothing_to_the_next_owner(
    product: ServerGroup, single_server: ServerGroup, inside: "Redis", v1: bool
) -> None:
    ravi, asha = await sign_up(product.url, "Ravi"), await sign_up(product.url, "Asha")
    block = {"blockedUserMobileNo": ravi.mobile}
    eve = await sign_up(single_server.url, "Eve")
    await request(single_server.url, eve, "POST", "/block-action/block", json=block)
    hers = await asha.open(single_server.ws_url, v1)
    his = await ravi.open(single_server.ws_url, v1, ack=False)
    await hers.chat(ravi, "m1")
    await his.wait(lambda frame: frame["type"] == "chat")
    tom = await sign_up(product.url, "Tom")
    await his.chat(tom, "his", "waits until the number has its next owner")

    answer = await delete(product.url, ravi)  # another server than the one with his socket
    answered = time.monotonic()
    assert answer.status_code == 200
    assert await his.closed() == 4509
    assert time.monotonic() - answered < 1
    await hers.wait(lambda frame: frame["type"] == "ack" and frame["ackType"] == "expired")
    refused = await hers.chat(ravi, "m2")
    assert refused["code"] == "no_such_person"
    assert [
        name for name in await inside.keys(f"*{{{ravi.mobile}}}*") if not name.startswith((b"left:", b"rate:"))
    ] == []
    old = await request(single_server.url, ravi, "GET", "/v1/me")
    assert old.status_code == 401

    following = await next_owner(product.url, ravi.mobile)
    theirs = await following.open(product.ws_url, v1)
    await hers.chat(ravi, "m1", "the same id, for somebody else")
    assert [frame["message"] for frame in await theirs.wait_all(lambda f: f["type"] == "chat", 1)] == [
        "the same id, for somebody else"
    ]
    assert (await request(product.url, eve, "GET", "/block-action/list")).json()["data"] == []
    others = await eve.open(product.ws_url, v1)
    await theirs.chat(eve, "m1", "who was not blocked")
    await others.wait(lambda frame: frame["type"] == "chat" and frame["message"] == "who was not blocked")
    late = await tom.open(single_server.ws_url, v1)
    await late.wait(lambda frame: frame["type"] == "chat" and frame["messageId"] == "his")
    await theirs.chat(tom, "own")
    async with asyncio.timeout(5):
        while not theirs.ticks("own"):
            await asyncio.sleep(0.05)
    assert theirs.ticks("his") == [], "the chat was the former owner's"
    for talk in (hers, theirs, others, late):
        await talk.end()


@DIALECTS
async def test_a_changed_number_takes_over_and_the_old_one_says_nothing(
    product: ServerGroup, single_server: ServerGroup, v1: bool
) -> None:
    ravi, asha = await sign_up(product.url, "Ravi"), await sign_up(product.url, "Asha")
    tablet = await on_device(product.url, ravi, "tablet")
    hers = await asha.open(product.ws_url, v1)
    his, other = await ravi.open(single_server.ws_url, v1, ack=False), await tablet.open(product.ws_url, v1, ack=False)
    await hers.chat(ravi, "m1")
    await his.wait(lambda frame: frame["type"] == "chat")

    number = new_mobile()
    answer = await request(product.url, ravi, "POST", "/v1/me/number", json={"mobileNo": number, "password": PASSWORD})
    assert answer.status_code == 200
    assert await his.closed(1) == 4005, "it may connect again, with the new token"
    assert await other.closed(1) == 4509
    await hers.wait(lambda frame: frame["type"] == "ack" and frame["ackType"] == "expired")
    assert (await hers.chat(ravi, "m2"))["code"] == "no_such_person"

    moved = Person(number, answer.json()["token"], "Ravi")
    his = await moved.open(single_server.ws_url, v1)
    await his.chat(asha, "m3", "from my new number")
    chat = await hers.wait(lambda frame: frame["type"] == "chat")
    assert (chat["from"], chat["message"]) == (number, "from my new number")
    await hers.chat(moved, "m4")
    await his.wait(lambda frame: frame["type"] == "chat")
    following = await next_owner(product.url, ravi.mobile)
    theirs = await following.open(product.ws_url, v1)
    await hers.chat(following, "m1", "to somebody else")
    await theirs.wait(lambda frame: frame["type"] == "chat" and frame["message"] == "to somebody else")
    with pytest.raises(websockets.InvalidStatus, match="401"):
        await ravi.open(product.ws_url, v1)
    for talk in (hers, his, theirs):
        await talk.end()


@DIALECTS
async def test_each_chat_that_was_sent_while_the_account_went_is_told_its_end(
    product: ServerGroup, single_server: ServerGroup, v1: bool
) -> None:
    ravi, asha = await sign_up(product.url, "Ravi"), await sign_up(product.url, "Asha")
    hers, his = await asha.open(single_server.ws_url, v1), await ravi.open(product.ws_url, v1)
    deletion = asyncio.create_task(delete(single_server.url, ravi))  # which has to tell its own connections
    answered: dict[str, str] = {}
    for n in itertools.count():
        frame = await hers.chat(ravi, f"m{n}")
        answered[f"m{n}"] = frame.get("code", "sent")
        if deletion.done() and answered[f"m{n}"] == "no_such_person":
            break
    assert (await deletion).status_code == 200
    assert set(answered.values()) <= {"sent", "no_such_person", "rate_limited"}
    sent = [message_id for message_id, answer in answered.items() if answer == "sent"]
    assert sent, "it began while there was somebody to write to"
    async with asyncio.timeout(15):
        while untold := [message_id for message_id in sent if not hers.ticks(message_id)]:
            await asyncio.sleep(0.05)
    assert untold == []
    assert list(answered.values()).index("no_such_person") >= len(sent), "after the last one nothing is taken"
    await hers.end()
    await his.end()
