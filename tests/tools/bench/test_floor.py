"""The floor: its parts do what they are said to do. How long they take is not judged."""

import os
import sys

import pytest
from redis.asyncio import Redis

from tools.bench import floor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "REPETITIONS", 2)
    monkeypatch.setattr(floor, "ROUNDS", 3)
    monkeypatch.setattr(floor, "CONNECTIONS", 1_000)


def test_the_least_of_several_repetitions_for_one_call() -> None:
    calls = []
    assert floor.least(lambda: calls.append(sum(range(2_000))), calls=50) > 1
    assert len(calls) == 100


async def test_parts_without_redis_take_time() -> None:
    every = (floor.system_calls, floor.connection_calls, floor.json, floor.framing, floor.redis_client, floor.token)
    assert min(part() for part in every) > 0
    assert await floor.loop_turn() > 0


def test_a_connection_takes_memory_and_another_process_answers() -> None:
    assert 0 < floor.connection_kb() < 100
    assert floor.woken_up() > 0


async def test_commands_of_a_delivery_on_a_real_redis(redis: Redis) -> None:
    await redis.config_resetstat()
    pid = (await redis.info("server"))["process_id"]
    found = await floor.redis(redis, pid, together=4, scripts=5)
    assert min(found) > 0
    stats = await redis.info("commandstats")
    deliveries = floor.REPETITIONS * floor.ROUNDS * floor.PAIRS
    calls = {name: stats[f"cmdstat_{name}"]["calls"] for name in ("evalsha", "xreadgroup", "xadd", "xdel")}
    assert calls == {
        "evalsha": 5 * deliveries,
        "xreadgroup": 2 * deliveries,
        "xadd": 5 * deliveries,  # four chats and a receipt
        "xdel": 2 * deliveries,
    }
    assert await redis.keys("floor:*") == [], "nothing is left"


async def test_what_was_stored_is_settled(redis: Redis) -> None:
    delivery = floor._Delivery("floor:test", 3)
    for mailbox in (delivery.recipient, delivery.sender):
        await redis.xgroup_create(mailbox, "primary", "0", mkstream=True)
    await floor._deliver(redis, [delivery])
    for mailbox in (delivery.recipient, delivery.sender):
        assert await redis.xlen(mailbox) == 0
        assert (await redis.xpending(mailbox, "primary"))["pending"] == 0
        assert (await redis.xinfo_stream(mailbox))["last-generated-id"] != b"0-0"


def test_time_of_a_process_grows() -> None:
    before = floor._ran(os.getpid())
    sum(range(3_000_000))
    assert floor._ran(os.getpid()) > before
