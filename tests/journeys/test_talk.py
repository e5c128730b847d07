"""Two people talk: on one server, on two worker processes, on two server groups, in both dialects."""

import pytest

from tests.support.people import request, sign_up
from tests.support.stack import ServerGroup


@pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])
@pytest.mark.parametrize("servers", [1, 2], ids=["one server", "two servers"])
async def test_two_people_talk_with_all_ticks(
    product: ServerGroup, single_server: ServerGroup, servers: int, v1: bool
) -> None:
    theirs = single_server if servers == 2 else product
    asha, ravi = await sign_up(product.url), await sign_up(theirs.url, "Ravi")
    a, r = await asha.open(product.ws_url, v1), await ravi.open(theirs.ws_url, v1)
    sent = await a.chat(ravi, "m-1", "hello Ravi")
    got = await r.wait(lambda f: f["type"] == "chat")
    assert got["from"] == asha.mobile
    assert got["to"] == ravi.mobile
    assert got["message"] == "hello Ravi"
    assert got["mode"] == "online"
    assert got["timestamp"] == sent["timestamp"]
    await a.wait(lambda f: f["type"] == "ack" and f["ackType"] == "delivered")
    await r.send(type="ack", to=asha.mobile, messageId="m-1", ackType="read")
    await a.wait(lambda f: f["type"] == "ack" and f["ackType"] == "read")
    assert a.ticks("m-1") == ["delivered", "read"]
    assert (await a.chat(ravi, "m-1", "hello Ravi"))["timestamp"] == sent["timestamp"]
    seen = await request(product.url, asha, "GET", "/profile/lastseen", params={"mobileNo": ravi.mobile})
    assert seen.json()["data"]["lastSeen"] == "online"
    assert len(r.chats()) == 1
    await a.end()
    await r.end()


async def test_2000_messages_wait_for_who_is_offline_and_their_receipts_for_the_sender(product: ServerGroup) -> None:
    asha, ravi = await sign_up(product.url), await sign_up(product.url, "Ravi")
    a = await asha.open(product.ws_url)
    for n in range(2000):
        await a.send(type="chat", to=ravi.mobile, messageId=f"m-{n}", message=f"number {n}")
    await a.wait_all(lambda f: f["type"] == "sent", 2000, 60)
    await a.end()
    r = await ravi.open(product.ws_url)
    await r.wait_all(lambda f: f["type"] == "chat", 2000, 60)
    synced = await r.wait(lambda f: f["type"] == "synced")
    assert [f["messageId"] for f in r.chats()] == [f"m-{n}" for n in range(2000)]
    assert {f["mode"] for f in r.chats()} == {"offline"}
    assert synced["count"] == 2000
    await r.end()
    a = await asha.open(product.ws_url)
    await a.wait(lambda _: len(a.delivered()) >= 2000, 60)
    delivered = a.delivered()
    assert sorted(delivered) == sorted(f"m-{n}" for n in range(2000))
    await a.end()


async def test_a_block_is_absolute_and_silent(product: ServerGroup) -> None:
    asha, ravi, nobody = [await sign_up(product.url, name) for name in ("Asha", "Ravi", "Nobody")]
    a, r = await asha.open(product.ws_url), await ravi.open(product.ws_url)
    body = {"blockedUserMobileNo": asha.mobile}
    assert (await request(product.url, ravi, "POST", "/block-action/block", json=body)).status_code == 200
    to_blocker, to_offline = await a.chat(ravi, "b-1"), await a.chat(nobody, "b-2")
    assert set(to_blocker) == set(to_offline)
    assert to_blocker["type"] == "sent"
    path = "/profile/lastseen"
    frozen = [await request(product.url, asha, "GET", path, params={"mobileNo": ravi.mobile})]
    assert frozen[0].json()["data"]["lastSeen"] not in (None, "online")
    await r.end()
    r = await ravi.open(product.ws_url)
    frozen.append(await request(product.url, asha, "GET", path, params={"mobileNo": ravi.mobile}))
    assert frozen[0].content == frozen[1].content
    query = {"mobileNo": asha.mobile}
    assert (await request(product.url, ravi, "DELETE", "/block-action/unblock", params=query)).status_code == 200
    await a.chat(ravi, "b-3")
    await r.wait(lambda f: f["type"] == "chat")
    assert [f["messageId"] for f in r.chats()] == ["b-3"]
    await a.end()
    await r.end()


async def test_logging_out_closes_the_socket_and_ends_the_token(product: ServerGroup) -> None:
    asha = await sign_up(product.url)
    a = await asha.open(product.ws_url)
    assert (await request(product.url, asha, "POST", "/auth/logout")).status_code == 200
    assert await a.closed(1.0) == 4509
    refused = await request(product.url, asha, "GET", "/block-action/list")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_revoked")


async def test_a_newer_connection_of_the_same_device_replaces_the_older(
    product: ServerGroup, single_server: ServerGroup
) -> None:
    asha = await sign_up(product.url)
    older = await asha.open(product.ws_url)
    newer = await asha.open(single_server.ws_url)
    assert await older.closed() == 4508
    seen = await request(
        product.url, await sign_up(product.url), "GET", "/profile/lastseen", params={"mobileNo": asha.mobile}
    )
    assert seen.json()["data"]["lastSeen"] == "online"
    await newer.end()
