"""Real servers for every test that wants one: one Valkey, one PostgreSQL and one running product per pytest process."""

import importlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from tests.support.links import close_links
from tests.support.scheduling import (  # noqa: F401 - hooks of pytest
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_ignore_collect,
    pytest_xdist_make_scheduler,
)
from tests.support.servers import cluster, database, directory, environment, fresh_stack, postgres, valkey
from tests.support.stack import ServerGroup, Stack
from tools.devstack.postgres import Postgres
from tools.devstack.valkey import Valkey

# Its plugin imports it at the very end otherwise, deep in the stack, where CPython 3.11 has failed to parse it
# ("AST constructor recursion depth mismatch").
importlib.import_module("hypothesis")


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """Where this test run's servers keep what they keep."""
    with directory() as path:
        yield path


@pytest.fixture(scope="session")
def valkey_url(server_directory: Path) -> Iterator[str]:
    """One Valkey for the whole run. Not for tests that stop it: those take ``own_valkey``."""
    with valkey(server_directory, appendonly=False) as server:
        yield server.url


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
    with directory() as path, valkey(path, appendonly=True) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Path]:
    """A stopped PostgreSQL with a migrated database, to be copied."""
    with directory() as path, cluster(path) as data:
        yield data


@pytest.fixture(scope="session")
def postgres_server(postgres_cluster: Path, server_directory: Path) -> Iterator[Postgres]:
    """One PostgreSQL for the whole run, with a migrated template."""
    with postgres(postgres_cluster, server_directory) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: Postgres) -> str:
    """The URL of its maintenance database."""
    return postgres_server.dsn("postgres")


@pytest.fixture
def database_url(postgres_server: Postgres) -> Iterator[str]:
    """A migrated, empty database for one test."""
    with database(postgres_server) as url:
        yield url


@pytest.fixture
def own_postgres(postgres_cluster: Path) -> Iterator[Postgres]:
    """A migrated PostgreSQL of one's own, to kill, freeze and start again."""
    with directory() as path, postgres(postgres_cluster, path) as server:
        yield server


@pytest.fixture
def env(valkey_url: str, database_url: str) -> dict[str, str]:
    """What the product needs to start, on an empty Redis and an empty, migrated database."""
    with BlockingRedis.from_url(valkey_url) as client:
        client.flushall()
    return environment(valkey_url, database_url)


@pytest.fixture
def stack(env: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """Starts the product for real: ``stack.start(workers=2)`` is one server group; call it again for another."""
    with Stack(env, tmp_path / "logs") as made:
        yield made


@pytest.fixture(scope="session")
def shared_stack(
    server_directory: Path, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """For the whole run, on a Redis and a database that no test empties."""
    with fresh_stack(server_directory / "shared", postgres_server, tmp_path_factory.mktemp("logs")) as made:
        yield made


@pytest.fixture(scope="session")
def _product(shared_stack: Stack) -> ServerGroup:
    return shared_stack.start(workers=2, MAILBOX_PER_SENDER="2000")


@pytest.fixture(scope="session")
def _single_server(shared_stack: Stack) -> ServerGroup:
    return shared_stack.start(workers=1)


@pytest.fixture
def product(_product: ServerGroup) -> Iterator[ServerGroup]:
    """A running server of two worker processes, shared by all tests that neither break nor configure it.

    A test brings people of its own.
    """
    with _product.harmless_log():
        yield _product


@pytest.fixture
def single_server(_single_server: ServerGroup) -> Iterator[ServerGroup]:
    """A second server beside ``product``, of one worker process: what a process remembers is known wherever one comes.

    They have Redis and PostgreSQL in common, and nothing else.
    """
    with _single_server.harmless_log():
        yield _single_server


@pytest.fixture(scope="module")
def lasting_stack(
    server_directory: Path, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """For all tests of a module that need other settings than ``product`` has."""
    with fresh_stack(server_directory / "lasting", postgres_server, tmp_path_factory.mktemp("logs")) as made:
        yield made
