"""Whether PostgreSQL can do its work: it answers, has the schema of this version, and takes writes."""

from functools import cache
from pathlib import Path
from typing import Final

from tortoise.connection import get_connection

import models.migrations
from accounts.database import read
from protocol.errors import ApiError

AWAY: Final = "PostgreSQL does not answer."
NO_SCHEMA: Final = "PostgreSQL lacks the schema of this version: run python -m models.migrate."
READ_ONLY: Final = "PostgreSQL is read-only: set DATABASE_URL to the primary, or promote this one."

_STATE: Final = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only, to_regclass('tortoise_migrations') IS NOT NULL AS
migrated
"""
_APPLIED: Final = "SELECT name FROM tortoise_migrations WHERE app = 'models'"


@cache
def needed_migrations() -> frozenset[str]:
    """The names of the migrations this version comes with."""
    return frozenset(path.stem for path in Path(models.migrations.__file__).parent.glob("[0-9]*.py"))


async def fault() -> str:
    """One sentence that says why PostgreSQL cannot do the work, or "" when it can. Takes some seconds at most.

    A newer schema is no fault: it is applied while servers of the version before run. Whether these may run beside
    servers of the new one is not told by the schema: what is in Redis decides that (docs/OPERATIONS.md, Stopping).
    """
    try:
        return await read(_look)
    except ApiError:
        return AWAY


async def _look() -> str:
    connection = get_connection("default")
    (state,) = await connection.execute_query_dict(_STATE)
    if state["read_only"]:
        return READ_ONLY
    if not state["migrated"]:
        return NO_SCHEMA
    applied = {row["name"] for row in await connection.execute_query_dict(_APPLIED)}
    return "" if needed_migrations() <= applied else NO_SCHEMA
