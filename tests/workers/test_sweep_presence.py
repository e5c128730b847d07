"""Sweeping: people who are not connected any more get a last seen, once, however many workers sweep."""

import asyncio
from typing import Any

import pytest
from tortoise.context import TortoiseContext

from accounts.blocks import Blocks
from delivery import keys
from delivery.keys import Person
from models import SessionEvent, User
from protocol.errors import ApiError
from settings.database import tortoise_orm
from tests.delivery.person_scripts import ASHA, MOBILE, Scripts
from tests.workers.support import account, at_once, connected, enrol
from tools.devstack.postgres import Postgres


async def sweep(ctx: dict[str, Any]) -> int:
    from workers.sweep_presence import sweep_presence  # noqa: PLC0415 - the package needs the environment

    return await sweep_presence(ctx)


async def ends(ctx: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The disconnects written down."""
    await ctx["services"].events.flush()
    return [(e.mobile_no, e.server_id, e.reason) for e in await SessionEvent.all() if e.kind == "disconnect"]


async def test_nobody_is_there_and_nothing_happens(ctx: dict[str, Any]) -> None:
    assert await sweep(ctx) == 0
    assert await sweep(ctx) == 0


async def test_a_dead_servers_people_go_offline_once(ctx: dict[str, Any], person: Scripts) -> None:
    await connected(person, alive=False)
    assert await person.read_presence() == ["online", ""]
    assert await at_once(sweep, ctx) in ([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1])
    assert (await person.read_presence())[0] == "seen"
    assert await person.redis.exists(keys.SERVERS, keys.people("s1")) == 0
    assert await sweep(ctx) == 0
    assert await ends(ctx) == [(MOBILE, "s1", "server gone")]


async def test_who_could_not_be_swept_stays_listed_until_they_can_be(ctx: dict[str, Any], person: Scripts) -> None:
    await connected(person, alive=False)
    broken = Person(ASHA).leases
    await person.redis.set(broken, "not what it should be")
    await person.redis.sadd(keys.people("s1"), ASHA)
    for ended in (1, 0):
        assert await sweep(ctx) == ended
        assert await person.redis.smembers(keys.people("s1")) == {ASHA.encode()}
        assert await person.redis.zrange(keys.SERVERS, 0, -1) == [b"s1"]
    await person.redis.delete(broken)
    assert await sweep(ctx) == 0
    assert await person.redis.exists(keys.SERVERS, keys.people("s1")) == 0


async def test_a_live_servers_people_stay(ctx: dict[str, Any], person: Scripts) -> None:
    await connected(person)
    for _ in range(2):
        assert await sweep(ctx) == 0
    assert await person.read_presence() == ["online", ""]
    assert await person.redis.smembers(keys.people("s1")) == {MOBILE.encode()}
    assert await ends(ctx) == []


async def test_a_lease_that_is_over_ends_on_a_live_server(ctx: dict[str, Any], person: Scripts) -> None:
    await connected(person, lease_ms=20)
    await asyncio.sleep(0.04)
    assert sum(await at_once(sweep, ctx)) == 1
    assert await sweep(ctx) == 0
    assert await ends(ctx) == [(MOBILE, "s1", "lease over")]


async def test_who_moved_on_is_not_taken_down_with_the_old_server(ctx: dict[str, Any], person: Scripts) -> None:
    await connected(person, "s1", alive=False)
    await connected(person, "s2")
    assert await at_once(sweep, ctx) == [0, 0, 0, 0]
    assert await person.read_presence() == ["online", ""]
    assert await person.redis.zrange(keys.SERVERS, 0, -1) == [b"s2"]


async def test_a_block_redis_never_heard_of_is_mended(ctx: dict[str, Any], person: Scripts) -> None:
    asha = await enrol(ASHA)
    user = await User.get(mobile_no=MOBILE)
    await _block(user, asha)
    assert (await person.store_chat("m1"))[0] == "stored"
    await sweep(ctx)
    assert await person.redis.smembers(person.keys.blocks) == {ASHA.encode()}
    before = await person.snapshot()
    await at_once(sweep, ctx)
    assert await person.snapshot() == before


async def test_newer_blocks_in_redis_stay(ctx: dict[str, Any], person: Scripts) -> None:
    await _block(await User.get(mobile_no=MOBILE), await enrol(ASHA))
    await person.load(await account(person), version=9, blocked=("9200000009",))
    await sweep(ctx)
    assert await person.redis.smembers(person.keys.blocks) == {b"9200000009"}


async def test_who_is_not_loaded_is_not_loaded_by_the_sweep(ctx: dict[str, Any], person: Scripts) -> None:
    await enrol(ASHA, await User.get(mobile_no=MOBILE), version=1)
    await sweep(ctx)
    assert await person.redis.exists(f"person:{{{ASHA}}}") == 0


@pytest.mark.parametrize("fault", ["stop", "pause"])
async def test_without_postgresql_presence_is_swept_and_blocks_wait(
    own_postgres: Postgres, ctx: dict[str, Any], person: Scripts, fault: str
) -> None:
    await connected(person, alive=False)
    async with TortoiseContext() as context:
        await context.init(config=tortoise_orm(own_postgres.dsn(), 2))
        await User.filter(blocks_version__gt=0).count()
        getattr(own_postgres, fault)()
        try:
            with pytest.raises(ApiError, match="unavailable"):
                await sweep(ctx)
        finally:
            if fault == "pause":
                own_postgres.resume()
    assert (await person.read_presence())[0] == "seen"
    assert await ends(ctx) == [(MOBILE, "s1", "server gone")]


async def _block(user: User, other: User) -> None:
    """As a server does that ends between PostgreSQL's commit and telling Redis."""

    async def ends(*_: object) -> None:
        raise ApiError("unavailable")

    with pytest.raises(ApiError, match="unavailable"):
        await Blocks(ends, 100).block(user.mobile_no, other.mobile_no)
