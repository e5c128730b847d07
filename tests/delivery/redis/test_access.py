"""Which connection serves which purpose; single keys and values, also while Redis' memory is full."""

import secrets
from typing import Any

from redis.asyncio import Redis

from delivery.redis import access as module
from delivery.redis.access import KeyValues, RedisAccess
from delivery.redis.client import RedisClient
from delivery.redis.replication import ReplicatedScripts
from delivery.scripts import Script
from settings import Settings
from tests.support.links import link_to, store_of


def access_with(**options: Any) -> RedisAccess:
    fresh: dict[str, Any] = {"database_url": "postgres://nobody@127.0.0.1/none", "jwt_secret": secrets.token_hex(24)}
    return RedisAccess(Settings(redis_url="unix://unused", **fresh, **options))


def test_without_replicas_everything_uses_one_client() -> None:
    access = access_with()
    assert access.replicated is access.client


def test_what_runs_before_writes_runs_on_both_connections() -> None:
    access = access_with(replicas_acked=1)
    assert isinstance(access.replicated, ReplicatedScripts)
    access.call_before_writes(print)
    assert access.client.before_flush is access.replicated.before_flush is print


async def test_values_come_in_the_order_of_their_keys(redis: "Redis") -> None:
    store = store_of(redis)
    names = [f"k{n}" for n in range(module.BATCH_SIZE + 10)]
    await redis.mset({name: name.upper() for name in names[::2]})
    assert await store.get(names) == [name.upper().encode() if n % 2 == 0 else None for n, name in enumerate(names)]
    assert await store.get([]) == []


async def test_a_popped_key_is_gone(redis: "Redis") -> None:
    store = store_of(redis)
    await redis.set("a", "1")
    assert [await store.pop("a"), await store.pop("a")] == [b"1", None]


async def test_at_maxmemory_everything_works(redis: "Redis") -> None:
    store = store_of(redis)
    await redis.config_set("maxmemory", "1")
    try:
        for write in (store.write, store.write_replicated):
            assert await write("SET", "a", b"1", "EX", 100) == b"OK"
            assert 0 < await redis.ttl("a") <= 100
            assert await write("SET", "a", "2", "NX") is None
            assert await store.get(["a"]) == [b"1"]
            assert await store.pop("a") == b"1"
    finally:
        await redis.config_set("maxmemory", "0")


async def test_only_replicated_writes_use_the_replicated_connection(redis: "Redis") -> None:
    replicated = link_to(redis)
    names: list[str] = []
    call = replicated.call

    def note(script: Script, *rest: Any) -> Any:
        names.append(script.name)
        return call(script, *rest)

    replicated.call = note  # type: ignore[method-assign]
    store = KeyValues(link_to(redis), replicated)
    await store.write("SET", "a", "1")
    assert names == []
    await store.write_replicated("SET", "a", "2")
    assert names == ["write"]
    assert isinstance(replicated, RedisClient)
