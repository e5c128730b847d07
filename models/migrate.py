"""``python -m models.migrate``: bring the schema up to date. Safe to run again, and by two at once.

Tortoise's migrations take no lock (two at once on an empty database kill each other), so an advisory lock of
PostgreSQL is held around them. It belongs to a connection: a process that dies releases it.
"""

import argparse
import asyncio
import copy
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final

import asyncpg
from tortoise.context import TortoiseContext
from tortoise.migrations.api import migrate as apply_migrations

from models.region import RegionChanged, numbers_with_zero, settle_region
from settings import SettingsError, load
from settings.database import tortoise_orm

LOCK: Final = 0x57_4D_4D_49_47  # any number, the same for every server: "WMMIG"
_AWAY: Final = (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError)


async def migrate(database_url: str, default_region: str = "", wait_seconds: float = 30) -> int:
    """Apply what is missing, then store the region of the numbers. Return how many of them begin with 0.

    :param wait_seconds: how long PostgreSQL may take to answer for the first time
    :raises OSError: PostgreSQL did not answer in that time (or one of its connection errors)
    :raises RegionChanged: people are enrolled under another ``DEFAULT_REGION``
    """
    config = tortoise_orm(database_url)
    # Two seconds suit a request; building an index on a large table takes as long as it takes.
    config["connections"]["default"]["credentials"]["command_timeout"] = None
    async with _locked(config["connections"]["default"]["credentials"], wait_seconds), TortoiseContext() as context:
        # Tortoise changes the configuration while reading it, so each step gets its own.
        await context.init(config=copy.deepcopy(config))
        await apply_migrations(config=copy.deepcopy(config))
        await settle_region(default_region)
        return await numbers_with_zero()


@asynccontextmanager
async def _locked(credentials: dict[str, Any], wait_seconds: float) -> AsyncIterator[None]:
    """Hold the lock on a connection of its own for as long as the block runs."""
    connection = await _connect(credentials, monotonic() + wait_seconds)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        yield
    finally:
        await connection.close(timeout=5)


async def _connect(credentials: dict[str, Any], deadline: float) -> asyncpg.Connection:
    wanted = {key: credentials[key] for key in ("host", "port", "user", "password", "database")}
    while True:
        try:
            return await asyncpg.connect(**wanted, timeout=2)
        except _AWAY:
            if monotonic() >= deadline:
                raise
            await asyncio.sleep(0.1)


def main(arguments: list[str] | None = None) -> int:
    """:returns: 0, or 1 with the reason on stderr"""
    parser = argparse.ArgumentParser(prog="python -m models.migrate", description="Bring the schema up to date.")
    parser.add_argument("--wait", type=float, default=30, metavar="SECONDS", help="for PostgreSQL to answer (30)")
    wait = parser.parse_args(arguments).wait
    try:
        settings = load()
        zeros = asyncio.run(migrate(settings.database_url, settings.default_region, wait))
    except (SettingsError, RegionChanged) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except _AWAY as error:
        sys.stderr.write(f"PostgreSQL did not answer within {wait:g} s: {type(error).__name__}: {error}\n")
        return 1
    except asyncpg.PostgresError as error:
        sys.stderr.write(f"PostgreSQL refuses: {error}\n")
        return 1
    sys.stdout.write("The schema is up to date.\n")
    if zeros:
        sys.stdout.write(
            f"{zeros} account(s) have a number that begins with 0 and cannot log in: give them their country code"
            ' (docs/OPERATIONS.md, "Numbers of earlier versions").\n'
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
