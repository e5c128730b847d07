"""What one script call costs this process, fifty at once: redis-py awaited, redis-py joined by the tick, and the link.

``python -m tests.delivery.redis.measure_client`` starts a Valkey of its own and prints processor time per call.
"""

import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from delivery.redis.client import RedisClient
from delivery.scripts import READ_PRESENCE
from settings import Settings
from tools.devstack.valkey import Valkey

AT_ONCE, CALLS, ROUNDS = 50, 4_000, 5
KEYS = ["person:{9100000001}", "blockedUser:{9100000001}", "leases:{9100000001}", "lastseen:{9100000001}"]
Call = Callable[[], Awaitable[Any]]


class Joined:
    """redis-py, with all that is asked in one tick in one pipeline."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._asked: list[asyncio.Future[Any]] = []

    def call(self) -> Awaitable[Any]:
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(lambda: loop.create_task(self._send()))
        self._asked.append(loop.create_future())
        return self._asked[-1]

    async def _send(self) -> None:
        asked, self._asked = self._asked, []
        async with self._redis.pipeline(transaction=False) as pipe:
            for _ in asked:
                pipe.evalsha(READ_PRESENCE.sha, len(KEYS), *KEYS, "9200000001")
            for answer, reply in zip(asked, await pipe.execute(), strict=True):
                answer.set_result(reply)


async def cost(call: Call) -> float:
    """Processor time of one call in µs."""

    async def talk() -> None:
        for _ in range(CALLS // AT_ONCE):
            await call()

    began = time.process_time()
    await asyncio.gather(*(talk() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / CALLS * 1e6


async def measure(url: str) -> None:
    """Alternate, and print."""
    settings = Settings(
        redis_url=url, database_url="postgres://nobody@127.0.0.1/none", jwt_secret=secrets.token_hex(24)
    )  # type: ignore[arg-type]
    redis, link = Redis.from_url(url), RedisClient(settings)
    await redis.script_load(READ_PRESENCE.text)
    joined = Joined(redis)
    ways: dict[str, Call] = {
        "redis-py, awaited": lambda: redis.evalsha(READ_PRESENCE.sha, len(KEYS), *KEYS, "9200000001"),  # type: ignore[dict-item]
        "redis-py, joined by the tick": joined.call,
        "delivery.redis.client": lambda: link.call(READ_PRESENCE, KEYS, ["9200000001"]),
    }
    rounds = [{name: await cost(call) for name, call in ways.items()} for _ in range(ROUNDS)]
    for name in ways:
        print(f"{name:30} {statistics.median(each[name] for each in rounds):6.1f} µs")
    await link.close()
    await redis.aclose()


if __name__ == "__main__":
    import uvloop

    with tempfile.TemporaryDirectory(prefix="wm-") as directory:
        server = Valkey(Path(directory) / "valkey", Path(directory), appendonly=False)
        server.start()
        try:
            uvloop.run(measure(server.url))
        finally:
            server.stop()
