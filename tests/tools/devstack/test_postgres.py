"""The embedded PostgreSQL: what it keeps, and what it survives."""

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tools.devstack import postgres
from tools.devstack.parent_death_guard import NOBODY
from tools.devstack.paths import fallback_name
from tools.devstack.postgres import Postgres
from tools.devstack.process import ChildError, birth

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


def test_it_keeps_its_rows_through_kill_9(own_postgres: Postgres) -> None:
    own_postgres.fetch("CREATE TABLE kept AS SELECT generate_series(1, 100) AS n", "whatsapp")
    own_postgres.kill()
    own_postgres.start()
    assert own_postgres.fetch("SELECT count(*) FROM kept", "whatsapp") == [(100,)]


def test_it_does_not_listen_on_any_port(own_postgres: Postgres) -> None:
    assert own_postgres.fetch("SHOW listen_addresses") == [("",)]


def test_no_value_of_a_failed_statement_gets_into_its_log(own_postgres: Postgres) -> None:
    with pytest.raises(Exception, match="division"):
        own_postgres.fetch("SELECT 1/0 AS a_private_word")
    assert "a_private_word" not in own_postgres.log.read_text(encoding="utf-8")


def test_destroyed_it_leaves_nothing(own_postgres: Postgres) -> None:
    own_postgres.destroy()
    assert birth(own_postgres.pid) is None
    assert not own_postgres.home.data.exists()


def test_databases_of_tests_are_migrated_and_empty(database_url: str, postgres_server: Postgres) -> None:
    name = urlsplit(database_url).path.lstrip("/")
    tables = {row[0] for row in postgres_server.fetch(TABLES, name)}
    assert {"users", "blocks", "session_events"} <= tables
    assert postgres_server.fetch("SELECT count(*) FROM users", name) == [(0,)]


def test_a_creation_cut_short_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    server = Postgres(tmp_path)
    unfinished = server.home.data.with_name("postgres.new")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18")
    try:
        server.start()
        assert server.fetch("SELECT 1") == [(1,)]
        assert not unfinished.exists()
    finally:
        server.destroy()


def test_when_it_cannot_start_it_says_why(tmp_path: Path) -> None:
    server = Postgres(tmp_path, options={"max_connections": "nonsense"})
    try:
        with pytest.raises(ChildError, match="max_connections"):
            server.start()
    finally:
        server.destroy()


def test_usually_it_lives_in_the_data_directory(tmp_path: Path) -> None:
    home = postgres.postgres_home(tmp_path)
    if home.identity == "nobody":
        pytest.skip("user namespaces are forbidden here")
    assert home.data == tmp_path / "postgres"
    assert (home.identity == "userns") == (os.geteuid() == 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to step aside")
def test_without_user_namespaces_root_moves_it_out_to_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    allowed = postgres.run_as
    monkeypatch.setattr(postgres, "run_as", lambda identity, *rest: identity != "userns" and allowed(identity, *rest))
    server = Postgres(tmp_path)
    outside = Path("/var/tmp") / fallback_name(tmp_path)  # noqa: S108 - only looked at
    try:
        server.start()
        assert server.home.data.is_relative_to(outside)
        assert server.home.data.stat().st_uid == NOBODY
        assert stat.S_IMODE(server.home.sockets.stat().st_mode) == 0o700
        assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
        server.stop()
        again = Postgres(tmp_path)
        again.start()
        again.stop()
    finally:
        server.destroy()
    assert not outside.exists()
