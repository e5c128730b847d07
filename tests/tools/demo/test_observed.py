"""What is seen of two people in Redis, and what is new."""

from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.support.people import NO_TLS, sign_up
from tests.support.stack import ServerGroup
from tests.support.waiting import until
from tools.demo.observed import Entry, Lease, Mailbox, News, Seen, Server, look_at, news_between

CHAT = Entry("1-0", "chat", "919800000002", ["m1"], "hello")
RECEIPT = Entry("2-0", "receipt", "919800000002", ["m0"], ack_type="read")
LEASE = Lease("demo", "one", 9)


def seen(entries: list[Entry], leases: list[Lease], *servers: str, redis: bool = True) -> Seen:
    box = Mailbox("919800000001", entries, leases, [])
    return Seen(redis, [Server(each, 1) for each in servers], {"a": box})


async def test_a_chat_waits_is_sent_to_the_device_and_is_settled(single_server: ServerGroup) -> None:
    asha, ravi = await sign_up(single_server.url, "Asha"), await sign_up(single_server.url, "Ravi")
    mobiles = {"a": asha.mobile, "b": ravi.mobile}
    async with Redis.from_url(single_server.env["REDIS_URL"]) as redis:
        empty = (await look_at(redis, mobiles))["b"]
        assert (empty.entries, empty.leases, empty.withheld) == ([], [], [])

        talk = await asha.open(single_server.ws_url)
        await talk.chat(ravi, "m1", "hello " * 20)
        box = await look_at(redis, mobiles)
        [waits] = box["b"].entries
        assert (waits.kind, waits.other, waits.message_ids, waits.pending) == ("chat", asha.mobile, ["m1"], False)
        assert waits.text == ("hello " * 20)[:60]
        [lease] = box["a"].leases
        assert lease.server_id == single_server.servers[0].server_id

        silent = await ravi.open(single_server.ws_url, ack=False)
        chat = await silent.wait(lambda frame: frame["type"] == "chat")
        [sent] = (await look_at(redis, mobiles))["b"].entries
        assert sent.pending

        await silent.send(type="ack", ackType="delivered", streamId=chat["streamId"])
        await talk.wait(lambda frame: frame["type"] == "ack")

        async def is_settled() -> bool:
            return (await look_at(redis, mobiles))["b"].entries == []

        await until(is_settled)
        await talk.socket.close()
        await silent.socket.close()


async def test_what_a_blocked_sender_sends_is_withheld(single_server: ServerGroup) -> None:
    asha, ravi = await sign_up(single_server.url, "Asha"), await sign_up(single_server.url, "Ravi")
    async with httpx.AsyncClient(base_url=single_server.url, headers=ravi.headers, verify=NO_TLS) as client:
        (await client.post("/block-action/block", json={"blockedUserMobileNo": asha.mobile})).raise_for_status()
    talk = await asha.open(single_server.ws_url)
    await talk.chat(ravi, "m1")
    async with Redis.from_url(single_server.env["REDIS_URL"]) as redis:
        box = (await look_at(redis, {"b": ravi.mobile}))["b"]
    assert (box.entries, box.withheld) == ([], ["m1"])
    await talk.socket.close()


async def test_a_redis_that_is_gone_is_told(tmp_path: Path) -> None:
    async with Redis.from_url(f"unix://{tmp_path}/nothing.sock") as redis:
        with pytest.raises(RedisConnectionError):
            await look_at(redis, {"a": "919800000001"})


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (seen([], []), seen([CHAT], []), News("stored", "a", CHAT)),
        (seen([CHAT, RECEIPT], []), seen([CHAT], []), News("settled", "a", RECEIPT)),
        (seen([], []), seen([], [LEASE]), News("leased", "a", server_id="one")),
        (seen([], [LEASE]), seen([], []), News("released", "a", server_id="one")),
        (seen([], [], "one"), seen([], [], "one", "two"), News("came", server_id="two")),
        (seen([], [], "one", "two"), seen([], [], "two"), News("went", server_id="one")),
        (seen([], []), seen([], [], redis=False), News("away")),
        (seen([], [], redis=False), seen([], []), News("back")),
    ],
)
def test_what_changed_is_news(before: Seen, after: Seen, news: News) -> None:
    assert list(news_between(before, after)) == [news]
    assert list(news_between(after, after)) == []


def test_that_it_was_sent_to_the_device_or_that_the_lease_goes_on_is_no_news() -> None:
    pending = Entry(CHAT.stream_id, "chat", CHAT.other, ["m1"], "hello", pending=True)
    renewed = Lease("demo", "one", 99)
    assert list(news_between(seen([CHAT], [LEASE]), seen([pending], [renewed]))) == []
    assert list(news_between(seen([pending], []), seen([], []))) == [News("settled", "a", CHAT)]
