"""arq's queue while Redis' memory is full. (That jobs really go on: tests/journeys/test_full_redis.)"""

import importlib
from typing import Any

import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError


@pytest.fixture
async def queue(ctx: dict[str, Any], redis: "Redis", valkey_url: str) -> Any:
    made: Any = ArqRedis.from_url(valkey_url)
    await redis.config_set("maxmemory", "1")
    yield made
    await redis.config_set("maxmemory", "0")
    await made.aclose()


def write_also_when_full(queue: Any) -> None:
    importlib.import_module("workers.queue").write_also_when_full(queue)


async def test_a_job_is_queued(queue: Any, redis: "Redis") -> None:
    with pytest.raises(OutOfMemoryError):
        await queue.enqueue_job("sweep", _job_id="one")
    write_also_when_full(queue)
    assert await queue.enqueue_job("sweep", _job_id="one") is not None
    assert await queue.enqueue_job("sweep", _job_id="one") is None, "it is there already"
    assert await redis.zrange("arq:queue", 0, -1) == [b"one"]
    assert await redis.pttl("arq:job:one") > 0


async def test_all_that_arq_writes_is_taken_and_answers_as_before(queue: Any, redis: "Redis") -> None:
    write_also_when_full(queue)
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


async def test_a_queue_that_does_not_say_what_it_is_is_no_cluster(ctx: dict[str, Any]) -> None:
    class Terse(ArqRedis):
        async def info(self, *_: Any, **__: Any) -> dict[str, Any]:  # type: ignore[override]
            return {}

    await importlib.import_module("workers.queue").look_for_cluster(ctx["chores"].link, Terse())


async def test_a_queue_whose_user_may_not_ask_is_refused_in_one_sentence(ctx: dict[str, Any], redis: "Redis") -> None:
    await redis.execute_command("ACL", "SETUSER", "mute", "on", ">words", "~*", "+@all", "-info")  # type: ignore[no-untyped-call]
    path = redis.connection_pool.connection_kwargs["path"]
    queue = ArqRedis(unix_socket_path=path, username="mute", password="words")
    try:
        with pytest.raises(
            importlib.import_module("delivery.storage").UnfitRedis, match="does not let this user do INFO"
        ):
            await importlib.import_module("workers.queue").look_for_cluster(ctx["chores"].link, queue)
    finally:
        await queue.aclose()
        await redis.execute_command("ACL", "DELUSER", "mute")  # type: ignore[no-untyped-call]
