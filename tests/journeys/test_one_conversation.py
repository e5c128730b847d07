"""Several devices of one person show one conversation: each gets what the others sent and read."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from tests.support.people import Frame, Person, Talk, on_device, sign_up
from tests.support.stack import ServerGroup

DIALECTS = pytest.mark.parametrize("v1", [True, False], ids=["wm.v1", "seed"])


@pytest.fixture
async def inside(product: ServerGroup) -> AsyncIterator["Redis"]:
    """A look into the servers' Redis."""
    async with Redis.from_url(product.env["REDIS_URL"]) as client:
        yield client


async def until_empty(inside: "Redis", *people: Person) -> None:
    """Nothing waits for these people any more, on any device."""
    async with asyncio.timeout(30):
        while any([await inside.xlen(f"mailbox:{{{person.mobile}}}") for person in people]):
            await asyncio.sleep(0.05)
    for person in people:
        for group in await inside.xinfo_groups(f"mailbox:{{{person.mobile}}}"):
            assert group["pending"] == 0
        assert await inside.hgetall(f"tally:{{{person.mobile}}}") == {}  # type: ignore[misc]


def own(talk: Talk) -> list[Frame]:
    return [frame for frame in talk.frames if frame["type"] == "own"]


@DIALECTS
async def test_each_device_has_what_the_others_sent_and_read(
    product: ServerGroup, single_server: ServerGroup, inside: "Redis", v1: bool
) -> None:
    """The phone speaks either dialect; the tablet, on another server, is told in wm.v1."""
    asha = await sign_up(product.url)
    a = await asha.open(product.ws_url, v1)
    ravi = await sign_up(product.url, "Ravi", "phone")
    phone = await ravi.open(product.ws_url, v1)
    tablet = await (await on_device(single_server.url, ravi, "tablet")).open(single_server.ws_url)
    for n in range(10):
        await a.chat(ravi, f"a-{n}", f"question {n}")
        sent = await phone.chat(asha, f"r-{n}", f"hello {n}")
        copy = await tablet.wait(lambda f, n=n: f["type"] == "own" and f["messageId"] == f"r-{n}")  # type: ignore[misc]
        assert (copy["to"], copy["message"]) == (asha.mobile, f"hello {n}")
        assert copy["timestamp"] == sent["timestamp"], "both devices show the chat at one time"
    await a.wait_all(lambda f: f["type"] == "chat", 10)
    chats = await phone.wait_all(lambda f: f["type"] == "chat", 10)
    await phone.send(type="ack", ackType="read", to=asha.mobile, messageId=chats[-1]["messageId"])
    told = await tablet.wait(lambda f: f["type"] == "ownRead")
    assert (told["from"], told["messageIds"]) == (asha.mobile, ["a-9"])
    await a.wait(lambda f: f["type"] == "ack" and f["ackType"] == "read")
    assert [f["messageId"] for f in own(tablet)] == [f"r-{n}" for n in range(10)]
    ids = [int(f["streamId"].partition("-")[0]) for f in tablet.frames if "streamId" in f]
    assert ids == sorted(ids), "chats, receipts and what the phone did come in one order"
    assert not own(phone)
    await until_empty(inside, ravi, asha)
    for talk in (a, phone, tablet):
        await talk.end()


async def test_a_device_that_was_away_gets_all_of_it_and_nothing_is_kept(
    product: ServerGroup, single_server: ServerGroup, inside: "Redis"
) -> None:
    asha = await sign_up(product.url)
    a = await asha.open(product.ws_url)
    ravi = await sign_up(product.url, "Ravi", "phone")
    phone = await ravi.open(product.ws_url)
    on_tablet = await on_device(single_server.url, ravi, "tablet")
    tablet = await on_tablet.open(single_server.ws_url)
    tablet.socket.transport.abort()  # as a battery that is empty
    for n in range(30):
        await phone.chat(asha, f"r-{n}")
        await a.chat(ravi, f"a-{n}")
    await phone.wait_all(lambda f: f["type"] == "chat", 30)
    await phone.send(type="ack", ackType="read", to=asha.mobile, messageIds=[f"a-{n}" for n in range(30)])
    await a.wait(lambda f: f["type"] == "ack" and f["ackType"] == "read")
    late = await on_tablet.open(product.ws_url)
    await late.wait(lambda f: f["type"] == "synced")
    assert [f["messageId"] for f in own(late)] == [f"r-{n}" for n in range(30)]
    assert [f["messageId"] for f in late.chats()] == [f"a-{n}" for n in range(30)]
    read = [name for f in late.frames if f["type"] == "ownRead" for name in f["messageIds"]]
    assert sorted(read) == sorted(f"a-{n}" for n in range(30))
    assert set(late.delivered()) == {f"r-{n}" for n in range(30)}
    await until_empty(inside, ravi, asha)
    for talk in (a, phone, late):
        await talk.end()


async def test_a_device_that_is_new_gets_what_the_other_sends_from_then_on(
    product: ServerGroup, single_server: ServerGroup
) -> None:
    asha = await sign_up(product.url)
    ravi = await sign_up(product.url, "Ravi", "phone")
    phone = await ravi.open(product.ws_url)
    await phone.chat(asha, "before")
    tablet = await (await on_device(single_server.url, ravi, "tablet")).open(single_server.ws_url)
    async with asyncio.timeout(10):
        n = 0
        while not own(tablet):  # until its server was notified, which takes milliseconds
            n += 1
            await phone.chat(asha, f"after-{n}")
            await asyncio.sleep(0.05)
    assert n <= 3
    assert "before" not in {f["messageId"] for f in own(tablet)}
    for talk in (phone, tablet):
        await talk.end()
