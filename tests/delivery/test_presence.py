"""Leases by Redis' clock: what counts is the last sign of life, however late Redis executes a command."""

import pytest
from redis.asyncio import Redis

from delivery.presence import Holder
from tests.support.messaging import RAVI, OneServer, Who

HOLDER = Holder(RAVI, "primary", "s1", "c1")


@pytest.fixture
async def server(redis: "Redis") -> OneServer:
    server = OneServer(redis)
    await server.presence.claim(HOLDER, Who.account_id)
    return server


async def alive_at(redis: "Redis") -> int:
    """Of the lease, in ms."""
    lease: bytes = await redis.hget(f"leases:{{{RAVI}}}", "primary")  # type: ignore[misc]
    return int(lease.split()[2])


async def redis_ms(redis: "Redis") -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def test_a_renewal_counts_from_the_sign_of_life_and_not_from_now(server: OneServer, redis: "Redis") -> None:
    claimed = await alive_at(redis)
    assert (await server.presence.renew(HOLDER, 30_000)).verdict == "ok"
    assert 25_000 < claimed - await alive_at(redis) <= 30_000


async def test_a_renewal_that_redis_executes_late_counts_from_when_it_was_written(
    server: OneServer, redis: "Redis"
) -> None:
    written = await redis_ms(redis)
    await redis.client_pause(700)
    await server.presence.renew(HOLDER, 0)
    assert await redis_ms(redis) - written >= 600, "it was not late"
    assert await alive_at(redis) - written < 300


@pytest.mark.parametrize("jump", [3_600_000, -3_600_000])
async def test_a_redis_whose_clock_jumped_is_asked_once_more(server: OneServer, redis: "Redis", jump: int) -> None:
    clock = server.presence._clock
    assert clock._offset is not None
    clock._offset -= jump
    assert (await server.presence.renew(HOLDER, 0)).verdict == "ok"
    assert abs(await alive_at(redis) - await redis_ms(redis)) < 2_000
