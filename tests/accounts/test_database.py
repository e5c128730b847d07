"""PostgreSQL stopped, frozen, restarted: one coded error in time, and recovery by itself."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from asyncpg.pool import Pool
from tortoise.backends.asyncpg.client import AsyncpgDBClient
from tortoise.connection import get_connection
from tortoise.context import TortoiseContext
from tortoise.exceptions import IntegrityError, OperationalError

from accounts import database
from accounts.database import read, transaction
from models import User
from protocol.errors import ApiError
from settings.database import tortoise_orm
from tools.devstack.postgres import Postgres

A, B = "919800000001", "919800000002"
POOL = 3
END_ALL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()
"""


@pytest.fixture
async def mortal(own_postgres: Postgres) -> AsyncIterator[Postgres]:
    """A PostgreSQL to stop, behind the models and a pool of three."""
    async with TortoiseContext() as context:
        await context.init(config=tortoise_orm(own_postgres.dsn(), POOL))
        yield own_postgres


async def _count() -> int:
    return await read(lambda: User.all().count())


async def _add(mobile: str) -> None:
    async with transaction():
        await User.create(id=uuid.uuid4(), mobile_no=mobile, name="Somebody", password_hash="-")


async def _fill_pool() -> None:
    """Have every connection of the pool made."""
    await asyncio.gather(
        *(read(lambda: get_connection("default").execute_query("SELECT pg_sleep(0.05)")) for _ in range(POOL))
    )


async def _refused_in(work: Callable[[], Awaitable[object]]) -> float:
    started = time.monotonic()
    with pytest.raises(ApiError, match="unavailable"):
        await work()
    return time.monotonic() - started


async def test_a_transaction_that_raises_changes_nothing(orm: str) -> None:
    async def fail_half_way() -> None:
        async with transaction():
            await User.create(id=uuid.uuid4(), mobile_no=A, name="Somebody", password_hash="-")
            raise KeyError

    with pytest.raises(KeyError):
        await fail_half_way()
    assert await _count() == 0


async def test_a_transaction_cancelled_at_its_end_does_not_block_the_next_one(
    orm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, cut = Pool.release, [True]

    async def slow(self: Pool, connection: object, **how: float) -> None:
        await release(self, connection, **how)
        if cut:
            cut.clear()
            await asyncio.sleep(60)

    monkeypatch.setattr(Pool, "release", slow)
    monkeypatch.setattr(database, "DEADLINE", 0.3)
    await _refused_in(lambda: _add(A))
    await _add(B)
    assert await _count() == 2


async def test_our_own_bugs_are_not_reported_as_unavailable(orm: str) -> None:
    await _add(A)
    with pytest.raises(IntegrityError):
        await _add(A)
    with pytest.raises(OperationalError):
        await read(lambda: get_connection("default").execute_query("SELECT $1::uuid", ["no uuid"]))


async def test_when_stopped_it_is_unavailable_at_once_and_recovers(mortal: Postgres) -> None:
    await _add(A)
    await _fill_pool()
    await asyncio.to_thread(mortal.stop)
    assert await _refused_in(_count) < 6
    assert await _refused_in(lambda: _add("919800000002")) < 6
    await asyncio.to_thread(mortal.start)
    assert await _count() == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_after_a_restart_no_caller_gets_a_dead_connection(mortal: Postgres, how: str) -> None:
    await _fill_pool()
    await asyncio.to_thread(getattr(mortal, how))
    await asyncio.to_thread(mortal.start)
    await asyncio.gather(*(_add(f"91980000000{n}") for n in range(POOL)))
    assert await asyncio.gather(*(_count() for _ in range(POOL))) == [POOL] * POOL


async def test_ended_connections_are_replaced_unnoticed(mortal: Postgres) -> None:
    for number in range(2 * POOL):
        await _fill_pool()
        await asyncio.to_thread(mortal.fetch, END_ALL, "whatsapp")
        if number % 2:
            await _add(f"91980000000{number}")
        else:
            await _count()
    # Nothing leaked: the whole pool still serves at once.
    await asyncio.wait_for(_fill_pool(), 2)
    assert await _count() == POOL


async def test_when_frozen_it_is_unavailable_in_time_and_recovers(mortal: Postgres) -> None:
    await _fill_pool()
    await asyncio.to_thread(mortal.pause)
    works = [_count if n % 2 else lambda: _add(A) for n in range(3 * POOL)]
    took = await asyncio.gather(*(_refused_in(work) for work in works))
    assert max(took) < 6
    await asyncio.to_thread(mortal.resume)
    await asyncio.sleep(0.1)
    await _count()
    await asyncio.wait_for(_fill_pool(), 5)


async def test_a_failed_begin_leaves_no_trace(orm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True, True])
    begin = asyncpg.transaction.Transaction.start

    async def sometimes(self: asyncpg.transaction.Transaction) -> None:
        if next(failures, False):
            raise asyncpg.ConnectionDoesNotExistError("it went away")
        await begin(self)

    monkeypatch.setattr(asyncpg.transaction.Transaction, "start", sometimes)
    usual = get_connection("default")
    with pytest.raises(ApiError, match="unavailable"):
        async with transaction():
            pass
    assert get_connection("default") is usual
    await _add(A)
    assert await _count() == 1


async def test_a_failed_begin_is_tried_again(orm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = iter([True])
    begin = asyncpg.transaction.Transaction.start

    async def once(self: asyncpg.transaction.Transaction) -> None:
        if next(failures, False):
            raise asyncpg.InterfaceError("connection is closed")
        await begin(self)

    monkeypatch.setattr(asyncpg.transaction.Transaction, "start", once)
    await _add(A)
    assert await _count() == 1


@contextlib.asynccontextmanager
async def _set(server: Postgres, name: str, value: str) -> AsyncIterator[None]:
    """A setting of the server for a while, in the sessions there are, too."""
    await asyncio.to_thread(server.fetch, f"ALTER SYSTEM SET {name} = {value}")
    await asyncio.to_thread(server.fetch, "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await asyncio.to_thread(server.fetch, f"ALTER SYSTEM RESET {name}")
        await asyncio.to_thread(server.fetch, "SELECT pg_reload_conf()")


async def _until(work: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await work():
            await asyncio.sleep(0.02)


async def _read_only() -> bool:
    rows = await get_connection("default").execute_query_dict("SHOW default_transaction_read_only")
    return bool(rows[0]["default_transaction_read_only"] == "on")


async def test_when_read_only_writes_are_unavailable_and_reads_work(mortal: Postgres) -> None:
    """As in the middle of a failover."""
    await _add(A)
    async with _set(mortal, "default_transaction_read_only", "on"):
        await _until(_read_only)
        await _refused_in(lambda: _add(B))
        assert await _count() == 1
    await _until(lambda: _not(_read_only()))
    await _add(B)
    assert await _count() == 2


async def _not(work: Awaitable[bool]) -> bool:
    return not await work


async def test_a_deadlock_is_unavailable(mortal: Postgres) -> None:
    await _add(A)
    await _add(B)

    async def both(first: str, second: str, ready: asyncio.Event, other: asyncio.Event) -> None:
        async with transaction():
            await User.filter(mobile_no=first).update(name="Changed")
            ready.set()
            await other.wait()
            await User.filter(mobile_no=second).update(name="Changed")

    async with _set(mortal, "deadlock_timeout", "'50ms'"):
        one, two = asyncio.Event(), asyncio.Event()
        works = both(A, B, one, two), both(B, A, two, one)
        ends = await asyncio.gather(*works, return_exceptions=True)
    assert [str(end) for end in ends if end is not None] == ["unavailable"]


async def test_a_missing_schema_is_unavailable(mortal: Postgres) -> None:
    await _count()
    await asyncio.to_thread(mortal.fetch, "ALTER TABLE users RENAME TO elsewhere", "whatsapp")
    await _refused_in(_count)
    await asyncio.to_thread(mortal.fetch, "ALTER TABLE elsewhere RENAME TO users", "whatsapp")
    await asyncio.to_thread(mortal.fetch, "ALTER TABLE users RENAME COLUMN name TO called", "whatsapp")
    await _refused_in(lambda: _add(A))
    await asyncio.to_thread(mortal.fetch, "ALTER TABLE users RENAME COLUMN called TO name", "whatsapp")
    await _add(A)


def test_exceptions_that_tortoise_wraps_are_recognised() -> None:
    """Every exception of asyncpg's that means "away", as Tortoise hands it on."""

    async def through(error: Exception) -> str:
        async def fail(_client: object) -> None:
            raise error

        try:
            async with database.answering():
                await AsyncpgDBClient._translate_exceptions(object(), fail)  # type: ignore[arg-type]
        except ApiError as refusal:
            return refusal.code
        return "nothing"

    away = [each for each in database.AWAY if each.__module__.startswith("asyncpg")]
    assert len(away) > 10
    for kind in away:
        assert asyncio.run(through(kind("why"))) == "unavailable", kind


@pytest.mark.usefixtures("orm")
async def test_a_migrated_database_has_no_fault() -> None:
    assert "0001_initial" in database.needed_migrations()
    assert await database.fault() == ""


@pytest.mark.usefixtures("orm")
@pytest.mark.parametrize(
    "damage", ["DROP TABLE tortoise_migrations", "DELETE FROM tortoise_migrations WHERE name = '0001_initial'"]
)
async def test_missing_migrations_are_a_fault(damage: str) -> None:
    await get_connection("default").execute_script(damage)
    assert await database.fault() == database.NO_SCHEMA


@pytest.mark.usefixtures("orm")
async def test_migrations_of_a_later_version_are_no_fault() -> None:
    await get_connection("default").execute_script(
        "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', '9999_later', now())"
    )
    assert await database.fault() == ""
