"""PostgreSQL as the rest of the code sees it: it works, or it is ``unavailable``.

After a restart of PostgreSQL each pooled connection fails once. So reads are tried twice, and so is the beginning of a
transaction; what may have been done already is not repeated.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import structlog
from tortoise.connection import get_connection, get_connections
from tortoise.exceptions import BaseORMException, TransactionManagementError
from tortoise.transactions import in_transaction

import models.migrations
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
T = TypeVar("T")

DEADLINE: Final = 3.0
"""Seconds for everything one call does, waiting for a pooled connection included."""

_BROKEN: Final = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg, where a connection's end is known to it only by half
    asyncpg.AdminShutdownError,
)
"""This connection has failed, or was found dead; another one may work."""

AWAY: Final = (
    *_BROKEN,
    OSError,  # TimeoutError is one
    asyncpg.OperatorInterventionError,  # starting up, shutting down
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.PostgresSystemError,  # its disk, its files
    asyncpg.InternalServerError,
    asyncpg.ReadOnlySQLTransactionError,  # a replica, in the middle of a failover
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.TransactionRollbackError,  # a deadlock, a conflict with another transaction
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidAuthorizationSpecificationError,  # it does not accept our password any more
    asyncpg.InvalidCatalogNameError,  # the database, or a table or column of it, is not there: it is being put back,
    asyncpg.UndefinedTableError,  # or the migration was forgotten
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCachedStatementError,  # a migration came in between
)
"""None of these is the caller's fault, and a later attempt may succeed."""

NO_ANSWER: Final = "PostgreSQL does not answer."
NO_SCHEMA: Final = "PostgreSQL lacks the schema of this version: run python -m models.migrate."
READ_ONLY: Final = "PostgreSQL is read-only: set DATABASE_URL to the primary, or promote this one."

_STATE: Final = """
SELECT current_setting('transaction_read_only') = 'on' AS read_only, to_regclass('tortoise_migrations') IS NOT NULL AS
migrated
"""
_APPLIED: Final = "SELECT name FROM tortoise_migrations WHERE app = 'models'"


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Within this, PostgreSQL being away, or silent for :data:`DEADLINE`, becomes an :class:`ApiError`.

    :raises ApiError: ``unavailable``
    """
    try:
        async with asyncio.timeout(DEADLINE):
            yield
    except AWAY as error:
        raise _away(error) from error
    except BaseORMException as error:
        # Tortoise wraps many of asyncpg's exceptions.
        if isinstance(error.__cause__, AWAY):
            raise _away(error.__cause__) from error
        raise


def _away(error: BaseException) -> ApiError:
    logger.warning("PostgreSQL is away", error=type(error).__name__, detail=str(error))
    return ApiError("unavailable")


async def read(work: Callable[[], Awaitable[T]]) -> T:
    """Await ``work()``, which changes nothing; await it once more when its connection turns out to be dead.

    :raises ApiError: ``unavailable``
    """
    async with answering():
        try:
            return await work()
        except _BROKEN:
            await _renew()
            return await work()


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """Everything in the block, or nothing.

    :raises ApiError: ``unavailable``; then it is unknown whether a commit under way was done
    """
    async with answering(), AsyncExitStack() as stack:
        stack.callback(_reset_current, get_connection("default"))
        try:
            context = await _begin()
        except _BROKEN:
            await _renew()
            context = await _begin()
        stack.push_async_exit(context)
        yield


async def execute(statement: str, *values: object) -> list[dict[str, Any]]:
    """The rows that a statement returns. To be called within :func:`transaction`."""
    rows: list[dict[str, Any]] = await get_connection("default").execute_query_dict(statement, list(values))
    return rows


def _reset_current(client: Any) -> None:
    """When Tortoise is cancelled while it returns a connection to the pool, it leaves the transaction as the current
    one, and a task that lives on could never begin another."""
    connections = get_connections()
    if connections.get("default") is not client:
        connections.set("default", client)


async def _begin() -> Any:
    """Begin a transaction. Tortoise loses a connection whose BEGIN fails and leaves it as the current one: this repairs
    both."""
    context: Any = in_transaction()
    try:
        await context.__aenter__()
    except BaseException:
        if hasattr(context, "token"):
            # This exception means to Tortoise that there is nothing to roll back.
            await context.__aexit__(TransactionManagementError, None, None)
        raise
    return context


async def _renew() -> None:
    """Have every pooled connection replaced before its next use: the others are as old as the one that failed."""
    client: Any = get_connection("default")
    await client._expire_connections()


@cache
def needed_migrations() -> frozenset[str]:
    """The names of the migrations this version comes with."""
    return frozenset(path.stem for path in Path(models.migrations.__file__).parent.glob("[0-9]*.py"))


async def fault() -> str:
    """One sentence that says why PostgreSQL cannot do its work, or "" when it can. Takes some seconds at most.

    A newer schema is no fault: it is applied while servers of the version before run. Whether these may run beside
    servers of the new one depends on what is in Redis, not on the schema (docs/OPERATIONS.md, Stopping).
    """
    try:
        return await read(_find_fault)
    except ApiError:
        return NO_ANSWER


async def _find_fault() -> str:
    connection = get_connection("default")
    (state,) = await connection.execute_query_dict(_STATE)
    if state["read_only"]:
        return READ_ONLY
    if not state["migrated"]:
        return NO_SCHEMA
    applied = {row["name"] for row in await connection.execute_query_dict(_APPLIED)}
    return "" if needed_migrations() <= applied else NO_SCHEMA
