"""The Valkey, the PostgreSQL and the environments that tests run on, and directories for what they keep."""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.stack import ROOT, Stack
from tools.devstack.paths import socket_directory
from tools.devstack.postgres import FAST, USER, Postgres, postgres_home
from tools.devstack.valkey import Valkey

TEMPLATE = "migrated"


def _roomy() -> Path:
    """Memory, where the system has a file system for it; the usual temporary directory elsewhere."""
    shm = Path("/dev/shm")  # noqa: S108 - mkdtemp makes the name
    return shm if shm.is_dir() and os.access(shm, os.W_OK) else Path(tempfile.gettempdir())


@contextmanager
def directory() -> Iterator[Path]:
    """An empty one, which is removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="wm-", dir=_roomy()))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def valkey(path: Path, *, appendonly: bool) -> Iterator[Valkey]:
    """One that runs until the end, and keeps what it keeps below this path."""
    server = Valkey(path / "valkey", socket_directory(path), appendonly=appendonly)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def environment(redis_url: str, database_url: str) -> dict[str, str]:
    """What the product needs to start, with cheap hashes."""
    return {
        **os.environ,
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "JWT_SECRET": secrets.token_urlsafe(48),
        "BCRYPT_ROUNDS": "4",
        "RATE_LIMITS": "off",  # everybody comes from 127.0.0.1; tests of the limits switch them on
    }


@contextmanager
def cluster(path: Path) -> Iterator[Path]:
    """The data of a stopped PostgreSQL with a migrated database and a template of it, to be copied."""
    server = Postgres(path, options=FAST)
    try:
        server.start()
        env = environment("unix:///not-used-by-migrations", server.dsn())
        subprocess.run([sys.executable, "-m", "models.migrate"], cwd=ROOT, env=env, check=True)
        server.fetch(f"CREATE DATABASE {TEMPLATE} TEMPLATE {USER} STRATEGY FILE_COPY")
        server.stop()
        yield server.home.data
    finally:
        server.destroy()


@contextmanager
def postgres(original: Path, path: Path) -> Iterator[Postgres]:
    """One that runs on a copy of those data until the end, which is less work than to make it anew."""
    subprocess.run(["cp", "-a", original, postgres_home(path).data], check=True)
    server = Postgres(path, options=FAST)
    try:
        server.start()
        yield server
    finally:
        server.destroy()


@contextmanager
def database(server: Postgres) -> Iterator[str]:
    """The URL of a migrated, empty database."""
    name = f"test_{secrets.token_hex(6)}"
    server.fetch(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    try:
        yield server.dsn(name)
    finally:
        server.fetch(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def fresh_stack(path: Path, server: Postgres, logs: Path) -> Iterator[Stack]:
    """One on a Valkey and a database of its own."""
    with (
        valkey(path, appendonly=False) as redis,
        database(server) as url,
        Stack(environment(redis.url, url), logs) as it,
    ):
        yield it
