"""Redis that answers, and refuses a command for some seconds (its ACL was changed): nothing ends for good."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis

from delivery import keys
from tests.support.people import sign_up
from tests.support.stack import ServerGroup, Stack
from tools.devstack.postgres import Postgres
from tools.devstack.probe import http_status
from tools.devstack.valkey import Valkey

QUICK = {
    **{"BELL_SECONDS": "0.5", "BELL_SILENCE_SECONDS": "2", "SESSION_CHECK_SECONDS": "0.5"},
    **{"SWEEP_SECONDS": "1", "RECLAIM_SECONDS": "1"},
}
DENIED = ("zadd", "sadd", "set", "publish", "mget", "subscribe", "evalsha")


@pytest.fixture
def fragile(env: dict[str, str], own_valkey: Valkey, own_postgres: Postgres, tmp_path: Path) -> Iterator[Stack]:
    """A stack on servers of its own."""
    stack = Stack({**env, "REDIS_URL": own_valkey.url, "DATABASE_URL": own_postgres.dsn()}, tmp_path / "logs")
    yield stack
    stack.close()


async def until_ready(group: ServerGroup, seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not group.servers or http_status(f"{group.url}/ready") != 200:
            await asyncio.sleep(0.1)


async def test_a_heartbeat_goes_on_when_redis_permits_its_commands_again(fragile: Stack, own_valkey: Valkey) -> None:
    group = fragile.start(workers=1, **QUICK)
    asha, ravi = await sign_up(group.url), await sign_up(group.url, "Ravi")
    talk = await asha.open(group.ws_url)
    with BlockingRedis.from_url(own_valkey.url) as redis:
        name = keys.server(group.servers[0].server_id)
        for command in DENIED:
            redis.execute_command("ACL", "SETUSER", "default", f"-{command}")
            await asyncio.sleep(1.5)
            redis.execute_command("ACL", "SETUSER", "default", f"+{command}")
        await until_ready(group)
        await asyncio.sleep(1.5)  # a loop that has failed rests for a second, and EVALSHA writes the heartbeat, too
        # Longer than a server stays registered without a heartbeat, twice.
        began, gaps = time.monotonic(), 0
        while time.monotonic() - began < 6:
            gaps += not redis.exists(name)
            await asyncio.sleep(0.02)
    assert gaps == 0
    assert (await talk.chat(ravi, "still-here"))["type"] == "sent"
    assert "a background loop failed and goes on" in group.log_text()
    assert "a background loop works again" in group.log_text()
    await talk.end()
