"""Real servers for every test that wants one: one Valkey and one PostgreSQL per pytest process."""

import importlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from tests.support.links import close_links
from tests.support.scheduling import (  # noqa: F401 - hooks of pytest
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_ignore_collect,
)
from tests.support.stack import ROOT, Stack
from tools.devstack.paths import socket_directory
from tools.devstack.postgres import FAST, Postgres
from tools.devstack.valkey import Valkey

TEMPLATE = "migrated"

# Its plugin imports it at the very end otherwise, deep in the stack, where CPython 3.11 has failed to parse it
# ("AST constructor recursion depth mismatch").
importlib.import_module("hypothesis")


def _roomy() -> Path:
    """Memory, where the system has a file system for it; the usual temporary directory elsewhere."""
    shm = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the name
    return shm if shm.is_dir() and os.access(shm, os.W_OK) else Path(tempfile.gettempdir())


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="wm-", dir=_roomy()))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """Where this test run's servers keep what they keep."""
    with _directory() as path:
        yield path


def _valkey(path: Path, *, appendonly: bool) -> Valkey:
    return Valkey(path / "valkey", socket_directory(path), appendonly=appendonly)


@pytest.fixture(scope="session")
def valkey_url(server_directory: Path) -> Iterator[str]:
    """One Valkey for the whole run. Not for tests that stop it: those take ``own_valkey``."""
    server = _valkey(server_directory, appendonly=False)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator["Redis"]:
    """A client of an empty database; answers are bytes."""
    client = Redis.from_url(valkey_url)
    await client.flushall()
    yield client
    await close_links()
    await client.aclose()


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A Valkey of one's own, with the append-only file, to kill, freeze and start again."""
    with _directory() as path:
        server = _valkey(path, appendonly=True)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _environment(redis_url: str, database_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "JWT_SECRET": secrets.token_urlsafe(48),
        "BCRYPT_ROUNDS": "4",
        "RATE_LIMITS": "off",  # everybody comes from 127.0.0.1; tests of the limits switch them on
    }


def _migrate(dsn: str) -> None:
    env = _environment("unix:///not-used-by-migrations", dsn)
    subprocess.run([sys.executable, "-m", "models.migrate"], cwd=ROOT, env=env, check=True)


@pytest.fixture(scope="session")
def postgres_server(server_directory: Path) -> Iterator[Postgres]:
    """One PostgreSQL for the whole run, with a migrated template."""
    server = Postgres(server_directory, options=FAST)
    try:
        server.start()
        server.fetch(f"CREATE DATABASE {TEMPLATE}")
        _migrate(server.dsn(TEMPLATE))
        yield server
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: Postgres) -> str:
    """The URL of its maintenance database."""
    return postgres_server.dsn("postgres")


@contextmanager
def _database(server: Postgres) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    server.fetch(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    try:
        yield server.dsn(name)
    finally:
        server.fetch(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(postgres_server: Postgres) -> Iterator[str]:
    """A migrated, empty database for one test."""
    with _database(postgres_server) as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A migrated PostgreSQL of one's own, to kill, freeze and start again."""
    with _directory() as path:
        server = Postgres(path, options=FAST)
        try:
            server.start()
            _migrate(server.dsn())
            yield server
        finally:
            server.destroy()


@pytest.fixture
def env(valkey_url: str, database_url: str) -> dict[str, str]:
    """What the product needs to start, on an empty Redis and an empty, migrated database."""
    with BlockingRedis.from_url(valkey_url) as client:
        client.flushall()
    return _environment(valkey_url, database_url)


@pytest.fixture(scope="module")
def lasting_stack(
    valkey_url: str, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The same for all tests of a module, on one database: for those whose people do not get in each other's way."""
    with BlockingRedis.from_url(valkey_url) as client:
        client.flushall()
    with _database(postgres_server) as url:
        made = Stack(_environment(valkey_url, url), tmp_path_factory.mktemp("logs"))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def stack(env: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """Starts the product for real: ``stack.start(workers=2)`` is one server group; call it again for another."""
    made = Stack(env, tmp_path / "logs")
    yield made
    made.close()
