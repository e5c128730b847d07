"""PostgreSQL as seen from here: there, or away. Nobody else needs to know its dozen ways of being away.

After a restart of PostgreSQL each pooled connection fails once. So what changes nothing is tried twice, and so is
the beginning of a transaction; what may have been done already is not.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import asyncpg
import structlog
from tortoise.connection import get_connection, get_connections
from tortoise.exceptions import BaseORMException, TransactionManagementError
from tortoise.transactions import in_transaction

from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
T = TypeVar("T")

DEADLINE: Final = 3.0
"""Seconds for everything one call does there, waiting for a connection included."""

_BROKEN: Final = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg, where a connection's end is known to it only by half
    asyncpg.AdminShutdownError,
)
"""A connection has failed, or was found dead: another may do."""

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
    asyncpg.InvalidAuthorizationSpecificationError,  # it does not let us in any more
    asyncpg.InvalidCatalogNameError,  # the database, or a table or column of it, is not there: it is being put back,
    asyncpg.UndefinedTableError,  # or the migration was forgotten
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidCachedStatementError,  # a migration came in between
)
"""None of these is a fault of the one who asks, and trying again later may do."""


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """Within this, PostgreSQL being away or silent for :data:`DEADLINE` becomes a refusal.

    :raises ApiError: ``unavailable``
    """
    try:
        async with asyncio.timeout(DEADLINE):
            yield
    except AWAY as error:
        raise _away(error) from error
    except BaseORMException as error:
        # Tortoise puts its own exceptions around many of asyncpg's.
        if isinstance(error.__cause__, AWAY):
            raise _away(error.__cause__) from error
        raise


def _away(error: BaseException) -> ApiError:
    logger.warning("PostgreSQL is away", error=type(error).__name__, detail=str(error))
    return ApiError("unavailable")


async def read(work: Callable[[], Awaitable[T]]) -> T:
    """Await ``work()``, which changes nothing; once more when its connection turns out to be dead.

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
        stack.callback(_back_to, get_connection("default"))
        try:
            context = await _begin()
        except _BROKEN:
            await _renew()
            context = await _begin()
        stack.push_async_exit(context)
        yield


def _back_to(client: Any) -> None:
    """Cut off while it gives its connection back to the pool, Tortoise leaves the transaction behind as the current
    one, and a task that lives on can never begin another."""
    connections = get_connections()
    if connections.get("default") is not client:
        connections.set("default", client)


async def _begin() -> Any:
    """Tortoise loses a connection whose BEGIN fails, and leaves it behind as the current one: put both right."""
    context: Any = in_transaction()
    try:
        await context.__aenter__()
    except BaseException:
        if hasattr(context, "token"):
            # This exception it knows as "nothing to roll back".
            await context.__aexit__(TransactionManagementError, None, None)
        raise
    return context


async def _renew() -> None:
    """Have every pooled connection replaced before its next use: the others are as old as the one that failed."""
    client: Any = get_connection("default")
    await client._expire_connections()
