"""Redis that answers, and refuses a command for some seconds (its ACL was changed): nothing ends for good."""

import asyncio
import time

from redis import Redis as BlockingRedis

from delivery import keys
from tests.support.fragile import QUICK, Fragile
from tests.support.people import sign_up
from tests.support.stack import ServerGroup, Stack
from tools.devstack.probe import http_status

SELDOM = {"PING_SECONDS": "25", "LEASE_SECONDS": "60"}
"""A connection whose presence cannot be written is closed, and here one is to last."""
DENIED = ("zadd", "sadd", "set", "publish", "mget", "subscribe", "evalsha")


async def until_ready(group: ServerGroup, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not group.servers or http_status(f"{group.url}/ready") != 200:
            await asyncio.sleep(0.1)


async def test_a_heartbeat_goes_on_when_redis_permits_its_commands_again(fragile: Fragile, beside: Stack) -> None:
    group = beside.start(workers=1, **QUICK | SELDOM)
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    talk = await asha.open(group.ws_url)
    with BlockingRedis.from_url(fragile.valkey.url) as redis:
        name = keys.server(group.servers[0].server_id)
        for command in DENIED:
            redis.execute_command("ACL", "SETUSER", "default", f"-{command}")
            await asyncio.sleep(1)
            redis.execute_command("ACL", "SETUSER", "default", f"+{command}")
        await until_ready(group)
        await asyncio.sleep(1.5)  # a loop that has failed rests for a second, and EVALSHA writes the heartbeat, too
        # Longer than a server stays registered without a heartbeat, twice.
        began, gaps = time.monotonic(), 0
        while time.monotonic() - began < 4.5:
            gaps += not redis.exists(name)
            await asyncio.sleep(0.02)
    assert gaps == 0
    assert (await talk.chat(ravi, "still-here"))["type"] == "sent"
    assert "a background loop failed and goes on" in group.log_text()
    assert "a background loop works again" in group.log_text()
    await talk.end()
