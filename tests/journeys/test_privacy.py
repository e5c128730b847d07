"""What people hide from each other, over real servers, in both dialects."""

import asyncio
from typing import Any

import pytest

from tests.support.people import Person, Talk, request, sign_up
from tests.support.stack import ServerGroup

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


async def hide(product: ServerGroup, who: Person, **settings: str) -> None:
    answer = await request(product.url, who, "PUT", "/v1/privacy", json=settings)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"].items() >= settings.items()


async def last_seen(product: ServerGroup, asker: Person, person: Person) -> Any:
    answer = await request(product.url, asker, "GET", "/profile/lastseen", params={"mobileNo": person.mobile})
    return answer.json()["data"].get("lastSeen")


async def read(talk: Talk, sender: Person, *message_ids: str) -> None:
    await talk.wait_all(lambda f: f["type"] == "chat" and f["messageId"] in message_ids, len(message_ids))
    await talk.send(type="ack", to=sender.mobile, messageIds=message_ids, ackType="read")


async def test_last_seen_and_online_are_hidden_from_all_or_from_strangers_and_it_is_reciprocal(
    product: ServerGroup, single_server: ServerGroup
) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    r = await ravi.open(single_server.ws_url)
    assert await last_seen(product, asha, ravi) == "online"
    for settings, told in (
        ({"online": "nobody"}, None),
        ({"online": "contacts"}, None),
        ({"online": "everyone", "lastSeen": "nobody"}, "online"),
    ):
        await hide(single_server, ravi, **settings)
        assert await last_seen(product, asha, ravi) == told
    await hide(product, asha, online="contacts")
    assert await last_seen(product, asha, ravi) is None, "Asha shows herself to those alone whom she wrote to"
    a = await asha.open(product.ws_url)
    await a.chat(ravi, "m-1")
    assert await last_seen(product, asha, ravi) == "online"
    await r.end()
    assert await last_seen(product, asha, ravi) is None
    await hide(product, ravi, lastSeen="contacts")
    assert await last_seen(product, asha, ravi) is None
    r = await ravi.open(single_server.ws_url)
    await r.chat(asha, "m-2")
    await r.end()
    await asyncio.sleep(0.1)
    assert (await last_seen(product, asha, ravi)).startswith("20")
    await a.end()


@DIALECTS
async def test_who_hides_what_they_read_tells_it_to_nobody_and_sees_it_of_nobody(
    product: ServerGroup, single_server: ServerGroup, v1: bool
) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    a, r = await asha.open(product.ws_url, v1), await ravi.open(single_server.ws_url, v1)
    await hide(product, ravi, readReceipts="off")
    await asyncio.sleep(0.2)
    await a.chat(ravi, "m-1")
    await read(r, asha, "m-1")
    await r.chat(asha, "m-2")
    await read(a, ravi, "m-2")
    await r.wait(lambda _: len(r.ticks("m-2")) >= 2)
    assert r.ticks("m-2") == ["delivered", "delivered"], "Ravi sees as much as he shows"
    await hide(product, ravi, readReceipts="on")
    await a.chat(ravi, "m-3")
    await read(r, asha, "m-3")
    await a.wait(lambda _: "read" in a.ticks("m-3"))
    assert a.ticks("m-1") == ["delivered"]
    await a.end()
    await r.end()


@DIALECTS
async def test_a_read_of_what_was_never_acknowledged_is_told_as_delivered(product: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    await hide(product, ravi, readReceipts="off")
    a, r = await asha.open(product.ws_url, v1), await ravi.open(product.ws_url, v1, ack=False)
    await a.chat(ravi, "m-1")
    await read(r, asha, "m-1")
    await a.wait(lambda _: bool(a.ticks("m-1")))
    await r.end()
    r = await ravi.open(product.ws_url, v1)
    await a.chat(ravi, "m-2")
    await r.wait(lambda f: f["type"] == "chat")
    assert [f["messageId"] for f in r.chats()] == ["m-2"], "it was settled"
    await a.wait(lambda _: bool(a.ticks("m-2")))
    assert a.ticks("m-1") == ["delivered"]
    await a.end()
    await r.end()


@DIALECTS
async def test_a_stranger_gets_no_receipt_until_they_are_answered(product: ServerGroup, v1: bool) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    a, r = await asha.open(product.ws_url, v1), await ravi.open(product.ws_url, v1)
    await hide(product, ravi, strangerReceipts="off")
    await asyncio.sleep(0.2)
    await a.chat(ravi, "m-1")
    await read(r, asha, "m-1")
    await a.chat(ravi, "m-2")
    await r.wait_all(lambda f: f["type"] == "chat", 2)
    await asyncio.sleep(0.3)  # until both are settled
    await r.chat(asha, "an-answer")
    await asyncio.sleep(0.1)
    await a.chat(ravi, "m-3")
    await a.wait(lambda _: bool(a.ticks("m-3")))
    assert (a.ticks("m-1"), a.ticks("m-2")) == ([], [])
    await read(r, asha, "m-2")
    await a.wait(lambda _: bool(a.ticks("m-2")))
    assert a.ticks("m-2") == ["read"]
    await a.end()
    await r.end()
