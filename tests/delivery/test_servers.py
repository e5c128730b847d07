"""A server's entry in the list of servers."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery import keys
from delivery.redis.client import RedisClient
from delivery.servers import Servers
from settings import Settings
from tests.support.links import link_to
from tests.support.waiting import until


def servers_at(link: RedisClient, **options: Any) -> Servers:
    settings = Settings(
        redis_url="unix://unused",
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
        **options,
    )
    return Servers(link, "s1", settings)


async def test_a_heartbeat_is_listed_and_reaches_its_own_server(redis: "Redis") -> None:
    servers = servers_at(link_to(redis))
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(keys.channel("s1"))
        assert await pubsub.get_message(timeout=2) is not None
        await servers.send_heartbeat()
        message = await pubsub.get_message(timeout=2)
    assert message is not None
    assert message["data"] == b"heartbeat"
    assert json.loads(await redis.get(keys.server("s1")))["pid"] == os.getpid()
    assert 0 < await redis.ttl(keys.server("s1")) <= 15
    assert await redis.zrange(keys.SERVERS, 0, -1) == [b"s1"]


async def test_adding_and_removing_people_may_be_repeated(redis: "Redis") -> None:
    servers = servers_at(link_to(redis))
    for _ in range(2):
        await servers.add("9100000001", "9100000002")
    for _ in range(2):
        await servers.remove("9100000002")
    assert await redis.smembers(keys.people("s1")) == {b"9100000001"}


async def test_a_server_that_withdraws_leaves_its_people_to_the_sweep(redis: "Redis") -> None:
    servers = servers_at(link_to(redis))
    await servers.send_heartbeat()
    await servers.add("9100000001")
    for _ in range(2):
        await servers.withdraw()
    assert await redis.exists(keys.server("s1")) == 0
    assert await redis.zrange(keys.SERVERS, 0, -1) == [b"s1"]
    assert await redis.scard(keys.people("s1")) == 1


async def test_heartbeats_go_on_and_name_who_is_connected(redis: "Redis") -> None:
    servers, connected = servers_at(link_to(redis), bell_seconds=0.05), {"9100000001"}
    assert servers.heartbeat_age is None
    servers.start(lambda: connected)
    assert servers.heartbeat_age is None
    await until(lambda: servers.heartbeat_age is not None)
    await redis.delete(keys.server("s1"))
    connected.add("9100000002")
    await until(lambda: redis.exists(keys.server("s1")))
    await until(lambda: redis.sismember(keys.people("s1"), "9100000002"))
    await servers.stop()
    assert await redis.exists(keys.server("s1")) == 0


async def test_a_heartbeat_can_be_sent_before_its_time(redis: "Redis") -> None:
    servers = servers_at(link_to(redis), bell_seconds=5)
    servers.send_heartbeat_soon()
    servers.start(list)
    await until(lambda: servers.heartbeat_age is not None)
    await redis.delete(keys.server("s1"))
    servers.send_heartbeat_soon()
    await until(lambda: redis.exists(keys.server("s1")))
    await servers.stop()


async def test_without_redis_a_server_stops_all_the_same(tmp_path: Path) -> None:
    client = RedisClient(
        Settings(
            redis_url=f"unix://{tmp_path / 'none.sock'}",
            database_url="postgres://nobody@127.0.0.1/none",
            jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
            redis_connect_seconds=0.2,
        )
    )
    servers = servers_at(client)
    servers.start(list)
    with capture_logs() as logs:
        await servers.stop()
    assert "could not leave the list of servers: the entry expires by itself" in [line["event"] for line in logs]
    assert servers.heartbeat_age is None
    await client.close()
