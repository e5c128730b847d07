"""A server's place in the list of servers."""

import json
import os
import secrets

from redis.asyncio import Redis

from delivery import keys
from delivery.servers import Servers
from settings import Settings
from tests.support.links import link_to


def registry(redis: "Redis") -> Servers:
    settings = Settings(
        redis_url="unix://unused",
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
    )
    return Servers(link_to(redis), "s1", settings)


async def test_a_heartbeat_says_who_lives_and_is_heard_by_its_own_server(redis: "Redis") -> None:
    mine = registry(redis)
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.bell("s1"))
        assert await pubsub.get_message(timeout=2) is not None
        await mine.beat()
        heard = await pubsub.get_message(timeout=2)
    assert heard is not None
    assert heard["data"] == b"h"
    assert json.loads(await redis.get(keys.server("s1")))["pid"] == os.getpid()
    assert 0 < await redis.ttl(keys.server("s1")) <= 15
    assert await redis.zrange(keys.SERVERS, 0, -1) == [b"s1"]


async def test_people_come_and_go_and_twice_is_no_harm(redis: "Redis") -> None:
    mine = registry(redis)
    for _ in range(2):
        await mine.add("9100000001", "9100000002")
    for _ in range(2):
        await mine.remove("9100000002")
    assert await redis.smembers(keys.people("s1")) == {b"9100000001"}


async def test_who_withdraws_leaves_its_people_to_the_sweep(redis: "Redis") -> None:
    mine = registry(redis)
    await mine.beat()
    await mine.add("9100000001")
    for _ in range(2):
        await mine.withdraw()
    assert await redis.exists(keys.server("s1")) == 0
    assert await redis.zrange(keys.SERVERS, 0, -1) == [b"s1"]
    assert await redis.scard(keys.people("s1")) == 1
