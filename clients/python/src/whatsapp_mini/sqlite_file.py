"""The file of :class:`SqliteStore`: one thread that works on it, its schema, the lock beside it, and what can break."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from whatsapp_mini.errors import StoreError, StoreMismatch

T = TypeVar("T")
VERSION: Final = 1
BUSY_SECONDS: Final = 10.0
ASK_SECONDS: Final = 0.05
"""How often a lock that another process holds is asked for."""
_SCHEMA: Final = """
CREATE TABLE account (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE messages (
    n INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which this device got to know them
    mine INTEGER NOT NULL,
    peer TEXT NOT NULL,
    id TEXT NOT NULL,
    digest BLOB NOT NULL,
    text TEXT NOT NULL, -- '' where it is not kept
    timestamp INTEGER NOT NULL,
    state TEXT NOT NULL,
    stream_id TEXT,
    error_code TEXT,
    error TEXT,
    known INTEGER NOT NULL DEFAULT 1 -- 0: only a receipt came, its own is still to come
);
CREATE UNIQUE INDEX theirs ON messages (peer, id, digest) WHERE NOT mine;
CREATE UNIQUE INDEX mine ON messages (peer, id) WHERE mine;
CREATE INDEX stream_ids ON messages (stream_id) WHERE stream_id IS NOT NULL;
CREATE INDEX unsettled ON messages (n) WHERE state IN ('waiting', 'failed');
CREATE INDEX conversations ON messages (peer, timestamp, n);
CREATE TABLE untold_reads (peer TEXT, id TEXT, PRIMARY KEY (peer, id)) WITHOUT ROWID;
"""
_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "Make room on the disk.",
    sqlite3.SQLITE_BUSY: "Another program has held it for long.",
    sqlite3.SQLITE_CORRUPT: "It is damaged: restore it, or move it away and log in anew.",
    sqlite3.SQLITE_NOTADB: "Something else is in this file: name another one for the store.",
}
_OTHER_ADVICE: Final = "It must be a file in a folder that exists, which this program may read and write."


class SqliteFile:
    """An open one. All work is done in its thread, one after the other, each in a transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="whatsapp-mini-store")
        self._db: sqlite3.Connection | None = None

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``work``, durable when this returns. A caller that is cancelled does not end it.

        :raises StoreError: the file cannot be read or written
        :raises StoreMismatch: a newer version of this package wrote it
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_transaction, work)

    async def close(self) -> None:
        """Close it, behind all that was asked before."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._thread.shutdown()

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._db is None:
                self._db = _open(self._path)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._db)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            raise _failure(self._path, error) from error
        return result

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Be the only one in here of all processes that use the file.

    :raises StoreError: the file beside it cannot be made
    """
    while True:
        trying = asyncio.ensure_future(asyncio.to_thread(_lock, path))
        try:
            lock = await asyncio.shield(trying)
        except asyncio.CancelledError:
            trying.add_done_callback(_unlock)
            raise
        if lock is not None:
            break
        await asyncio.sleep(ASK_SECONDS)
    try:
        yield
    finally:
        lock.close()  # which rolls back, and so unlocks


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreMismatch(f"{path} has version {version}, and this package knows {VERSION}: use a newer package.")
        if version == 0:
            for statement in _SCHEMA.split(";"):  # executescript would end the transaction
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _lock(path: Path) -> sqlite3.Connection | None:
    """The lock, or None while somebody else has it.

    It is a file of its own: a transaction on the store's would keep everybody from writing meanwhile. The operating
    system unlocks it when the process dies, on each system that Python runs on.
    """
    name = path.with_name(f"{path.name}.lock")
    try:
        os.close(os.open(name, os.O_CREAT | os.O_RDWR, 0o600))
        lock = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except BaseException as error:
            lock.close()
            if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_BUSY:
                return None
            raise
    except (sqlite3.Error, OSError) as error:
        raise _failure(name, error) from error
    return lock


def _unlock(trying: "asyncio.Future[sqlite3.Connection | None]") -> None:
    """Nobody waits for it any more."""
    if not trying.cancelled() and trying.exception() is None and (lock := trying.result()) is not None:
        lock.close()


def _failure(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    what = error.strerror if isinstance(error, OSError) else str(error)
    advice = _OTHER_ADVICE if isinstance(error, OSError) else _ADVICE.get(_code(error), _OTHER_ADVICE)
    return StoreError(f"The store {path} cannot be used: {what}. {advice}")


def _code(error: sqlite3.Error) -> int:
    """The primary one: extended codes have it in their lowest byte."""
    return (getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR) & 0xFF
