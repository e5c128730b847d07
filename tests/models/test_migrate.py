"""``python -m models.migrate``: from nothing, again, by three at once, with and without PostgreSQL."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from models.migrate import LOCK, main
from tools.devstack.postgres import Postgres

ROOT = Path(__file__).resolve().parents[2]
TABLES = {"users", "blocks", "sessions", "session_events", "departures", "meta"}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def empty(postgres_server: Postgres) -> Iterator[str]:
    """The name of a database without any table."""
    name = f"empty_{secrets.token_hex(4)}"
    postgres_server.fetch(f"CREATE DATABASE {name}")
    yield name
    postgres_server.fetch(f"DROP DATABASE {name} WITH (FORCE)")


def _settings(url: str, region: str = "") -> dict[str, str]:
    return {
        "REDIS_URL": "redis://unused",
        "DATABASE_URL": url,
        "JWT_SECRET": secrets.token_urlsafe(48),
        "DEFAULT_REGION": region,
    }


def _start(url: str, *arguments: str) -> "subprocess.Popen[str]":
    command, env = [sys.executable, "-m", "models.migrate", *arguments], {**os.environ, **_settings(url)}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _end(process: "subprocess.Popen[str]") -> int:
    process.communicate(timeout=30)
    return process.returncode


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, to which a start costs more than the migrations: exit code, stdout, stderr."""

    def once(url: str, *arguments: str, region: str = "") -> tuple[int, str, str]:
        for name, value in _settings(url, region).items():
            monkeypatch.setenv(name, value)
        code = main(list(arguments))
        return code, *capfd.readouterr()

    return once


def _tables(server: Postgres, name: str) -> set[object]:
    return {row[0] for row in server.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name)}


def test_three_at_once_on_an_empty_database_all_succeed(postgres_server: Postgres, empty: str, run: Run) -> None:
    url = postgres_server.dsn(empty)
    processes = [_start(url) for _ in range(3)]
    assert [_end(process) for process in processes] == [0, 0, 0]
    assert _tables(postgres_server, empty) >= TABLES
    assert run(url)[0] == 0
    assert postgres_server.fetch("SELECT value FROM meta", empty) == [("",)]


def test_it_waits_for_another_that_is_at_work(postgres_server: Postgres, empty: str) -> None:
    with asyncio.Runner() as runner:
        other = runner.run(asyncpg.connect(postgres_server.dsn(empty)))
        runner.run(other.execute("SELECT pg_advisory_lock($1)", LOCK))
        process = _start(postgres_server.dsn(empty))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        assert _tables(postgres_server, empty) == set()
        runner.run(other.close())
    assert _end(process) == 0
    assert _tables(postgres_server, empty) >= TABLES


def test_the_region_may_change_only_while_nobody_is_there(postgres_server: Postgres, empty: str, run: Run) -> None:
    url = postgres_server.dsn(empty)
    assert run(url)[0] == 0
    assert run(url, region="IN")[0] == 0
    postgres_server.fetch(
        "INSERT INTO users (id, mobile_no, name, password_hash, created_at)"
        " VALUES (gen_random_uuid(), '919800000001', 'Asha', '-', now())",
        empty,
    )
    assert run(url, region="IN")[0] == 0
    code, _, complaint = run(url, region="DE")
    assert code == 1
    assert "DEFAULT_REGION is DE" in complaint
    assert "Traceback" not in complaint
    assert postgres_server.fetch("SELECT value FROM meta", empty) == [("IN",)]


def test_numbers_that_begin_with_zero_are_told_and_can_be_mended(
    postgres_server: Postgres, empty: str, run: Run
) -> None:
    url = postgres_server.dsn(empty)
    assert "begin" not in run(url)[1]
    postgres_server.fetch(
        "INSERT INTO users (id, mobile_no, name, password_hash, created_at)"
        " SELECT gen_random_uuid(), mobile, 'Asha', '-', now()"
        " FROM unnest(ARRAY['919800000001', '09800000002', '00919800000003', '09800000001']) AS mobile",
        empty,
    )
    code, said, _ = run(url)
    assert code == 0
    assert "3 account(s) have a number that begins with 0" in said
    manual = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    recipe = manual.partition("## Numbers of earlier versions")[2].partition("```sql")[2].partition("```")[0]
    for statement in filter(str.strip, recipe.split(";")):
        postgres_server.fetch(statement, empty)
    found = {row[0] for row in postgres_server.fetch("SELECT mobile_no FROM users", empty)}
    # The last one's number is somebody else's by now.
    assert found == {"919800000001", "919800000002", "919800000003", "09800000001"}
    assert "1 account(s)" in run(url)[1]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgres://wm@127.0.0.1:1/wm", "did not answer within 0.3 s"),
        ("postgres://wm@/wm?host=/no/such/place", "did not answer within 0.3 s"),
        ("mysql://somewhere/else", "DATABASE_URL"),
    ],
)
def test_it_says_plainly_why_not(url: str, reason: str, run: Run) -> None:
    code, _, complaint = run(url, "--wait", "0.3")
    assert code == 1
    assert reason in complaint
    assert "Traceback" not in complaint


def test_a_database_that_does_not_exist_is_named(postgres_server: Postgres, run: Run) -> None:
    code, _, complaint = run(postgres_server.dsn("nowhere"))
    assert code == 1
    assert '"nowhere" does not exist' in complaint


def test_it_waits_for_postgresql_to_start(own_postgres: Postgres) -> None:
    own_postgres.stop()
    process = _start(own_postgres.dsn(), "--wait", "20")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    own_postgres.start()
    assert _end(process) == 0


def test_the_migrations_make_exactly_the_models() -> None:
    env = {
        **os.environ,
        "REDIS_URL": "redis://unused",
        "DATABASE_URL": "postgres://unused",
        "JWT_SECRET": secrets.token_urlsafe(48),
    }
    command = [Path(sys.executable).with_name("tortoise"), "-c", "settings.TORTOISE_ORM", "makemigrations"]
    before = sorted((ROOT / "models" / "migrations").glob("*.py"))
    made = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False)
    after = sorted((ROOT / "models" / "migrations").glob("*.py"))
    for path in set(after) - set(before):
        path.unlink()
    assert after == before, made.stdout
    assert "No changes detected" in made.stdout
