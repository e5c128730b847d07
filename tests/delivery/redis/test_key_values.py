"""Single keys and values, also while Redis' memory is full."""

from redis.asyncio import Redis

from delivery.redis import key_values as store_module
from delivery.redis.key_values import KeyValues
from delivery.redis.replication import ScriptRunner
from tests.support.links import link_to


async def test_values_come_in_the_order_of_their_names_however_many(redis: "Redis") -> None:
    store = KeyValues(link_to(redis))
    names = [f"k{n}" for n in range(store_module.MOST + 10)]
    await redis.mset({name: name.upper() for name in names[::2]})
    assert await store.values(names) == [name.upper().encode() if n % 2 == 0 else None for n, name in enumerate(names)]
    assert await store.values([]) == []


async def test_what_is_taken_is_gone(redis: "Redis") -> None:
    store = KeyValues(link_to(redis))
    await redis.set("a", "1")
    assert [await store.take("a"), await store.take("a")] == [b"1", None]


async def test_at_maxmemory_everything_works(redis: "Redis") -> None:
    store = KeyValues(link_to(redis))
    await redis.config_set("maxmemory", "1")
    try:
        for write in (store.write, store.write_surely):
            assert await write("SET", "a", b"1", "EX", 100) == b"OK"
            assert 0 < await redis.ttl("a") <= 100
            assert await write("SET", "a", "2", "NX") is None
            assert await store.values(["a"]) == [b"1"]
            assert await store.take("a") == b"1"
    finally:
        await redis.config_set("maxmemory", "0")


async def test_what_is_written_surely_goes_where_is_waited_for(redis: "Redis") -> None:
    asked: list[str] = []

    class Noting:
        def __init__(self, scripts: ScriptRunner) -> None:
            self.call = scripts.call
            self.request = scripts.request
            self.before_flush = scripts.before_flush
            self.is_healthy = True

    noting = Noting(link_to(redis))

    def call(script, keys, args=()):  # type: ignore[no-untyped-def]
        asked.append(script.name)
        return link_to(redis).call(script, keys, args)

    noting.call = call
    store = KeyValues(link_to(redis), noting)
    await store.write("SET", "a", "1")
    assert asked == []
    await store.write_surely("SET", "a", "2")
    assert asked == ["write"]
