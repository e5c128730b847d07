"""arq's queue while Redis' memory is full. (That jobs really go on: tests/journeys/test_full_redis.)"""

import asyncio
import importlib
from typing import Any

import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tools.devstack.valkey import Valkey


@pytest.fixture
async def queue(ctx: dict[str, Any], redis: "Redis", valkey_url: str) -> Any:
    made: Any = importlib.import_module("workers.queue").QueueRedis.from_url(valkey_url)
    await redis.config_set("maxmemory", "1")
    yield made
    await redis.config_set("maxmemory", "0")
    await made.aclose()


async def test_a_job_is_queued(queue: Any, redis: "Redis", valkey_url: str) -> None:
    plain = ArqRedis.from_url(valkey_url)
    with pytest.raises(OutOfMemoryError):
        await plain.enqueue_job("sweep", _job_id="one")
    await plain.aclose()
    assert await queue.enqueue_job("sweep", _job_id="one") is not None
    assert await queue.enqueue_job("sweep", _job_id="one") is None, "it is there already"
    assert await redis.zrange("arq:queue", 0, -1) == [b"one"]
    assert await redis.pttl("arq:job:one") > 0


async def test_everything_arq_writes_is_accepted_with_the_usual_replies(queue: Any, redis: "Redis") -> None:
    await queue.psetex("health", 1000, b"well")
    await queue.setex("retry", 88400, "1")
    async with queue.pipeline(transaction=True) as pipe:
        pipe.get("health")
        pipe.incr("tries")
        pipe.expire("tries", 88400)
        pipe.zincrby("arq:queue", 5, "one")
        pipe.set("result", b"done", px=1000)
        pipe.delete("health")
        assert (await pipe.execute())[:2] == [b"well", 1]
    assert await redis.mget("retry", "tries", "result") == [b"1", b"1", b"done"]
    assert await redis.zscore("arq:queue", "one") == 5


async def test_a_queue_without_cluster_facts_is_accepted(ctx: dict[str, Any]) -> None:
    class Terse(ArqRedis):
        async def info(self, *_: Any, **__: Any) -> dict[str, Any]:  # type: ignore[override]
            return {}

    await importlib.import_module("workers.queue").check_redis(ctx["services"].redis, Terse())


async def test_a_queue_whose_user_may_not_do_info_is_reported_in_one_sentence(
    ctx: dict[str, Any], redis: "Redis"
) -> None:
    await redis.execute_command("ACL", "SETUSER", "mute", "on", ">words", "~*", "+@all", "-info")  # type: ignore[no-untyped-call]
    path = redis.connection_pool.connection_kwargs["path"]
    queue = ArqRedis(unix_socket_path=path, username="mute", password="words")
    try:
        with pytest.raises(
            importlib.import_module("delivery.storage").UnfitRedis, match="does not let this user do INFO"
        ):
            await importlib.import_module("workers.queue").check_redis(ctx["services"].redis, queue)
    finally:
        await queue.aclose()
        await redis.execute_command("ACL", "DELUSER", "mute")  # type: ignore[no-untyped-call]


async def test_the_client_waits_for_a_redis_that_starts_later_but_not_for_a_reply(
    own_valkey: Valkey, ctx: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("workers.queue")
    changes = {"arq_redis_url": own_valkey.url, "redis_command_seconds": 0.2}
    settings = ctx["services"].settings.model_copy(update=changes)
    monkeypatch.setattr(module, "ConstantBackoff", lambda _seconds: ConstantBackoff(0.2))
    queue = module.queue_client(settings, repr, repr)
    own_valkey.kill()
    ping = asyncio.ensure_future(queue.ping())
    await asyncio.sleep(0.1)
    assert not ping.done()
    await asyncio.to_thread(own_valkey.start)
    assert await ping
    own_valkey.pause()
    with pytest.raises(RedisTimeoutError):
        await queue.ping()
    own_valkey.resume()
    await queue.aclose()
