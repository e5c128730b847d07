"""The embedded servers: what they keep, and what they survive."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis as redis_py

from devstack.binaries import MissingServerError, postgres_folder, valkey_server
from devstack.places import UnsafePlaceError, private_directory, socket_directory
from devstack.postgres import Postgres
from devstack.process import Child, ChildError, birth, wait_until
from devstack.valkey import Valkey


def client(server: Valkey) -> redis_py.Redis:
    return redis_py.Redis.from_url(server.url, decode_responses=True)


def test_what_valkey_acknowledged_survives_kill_9(own_valkey: Valkey) -> None:
    before = own_valkey.pid
    for number in range(200):
        client(own_valkey).xadd("stream", {"n": number})
    own_valkey.kill()
    assert not own_valkey.answers()
    own_valkey.start()
    assert own_valkey.pid != before
    assert client(own_valkey).xlen("stream") == 200


def test_valkey_refuses_rather_than_forgets(own_valkey: Valkey) -> None:
    settings = client(own_valkey).config_get("maxmemory-policy", "appendonly", "appendfsync", "save", "port")
    assert settings == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "port": "0",
    }


def test_a_frozen_valkey_can_still_be_stopped(own_valkey: Valkey) -> None:
    own_valkey.pause()
    began = time.monotonic()
    own_valkey.stop()
    assert time.monotonic() - began < 2
    assert birth(own_valkey.pid) is None


def test_postgres_keeps_its_rows_through_kill_9(own_postgres: Postgres) -> None:
    own_postgres.fetch("CREATE TABLE kept AS SELECT generate_series(1, 100) AS n", "whatsapp")
    own_postgres.kill()
    own_postgres.start()
    assert own_postgres.fetch("SELECT count(*) FROM kept", "whatsapp") == [(100,)]


def test_postgres_does_not_listen_on_any_port(own_postgres: Postgres) -> None:
    assert own_postgres.fetch("SHOW listen_addresses") == [("",)]


def test_databases_of_tests_are_migrated_and_empty(database_url: str, postgres_server: Postgres) -> None:
    name = urlsplit(database_url).path.lstrip("/")
    tables = {
        row[0] for row in postgres_server.fetch("SELECT tablename FROM pg_tables WHERE schemaname='public'", name)
    }
    assert {"users", "blocks", "session_events"} <= tables, tables


def test_sockets_are_out_of_others_reach(own_valkey: Valkey) -> None:
    assert stat.S_IMODE(own_valkey.socket.parent.stat().st_mode) == 0o700


def test_a_long_path_or_one_with_spaces_moves_the_socket_elsewhere(tmp_path: Path) -> None:
    for data in (tmp_path / ("x" * 120), tmp_path / "with space"):
        data.mkdir()
        place = socket_directory(data)
        assert not place.is_relative_to(tmp_path)
        assert socket_directory(data) == place, "a next start must find it again"
        place.rmdir()


def test_a_planted_link_is_not_taken_for_our_directory(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to("/etc")
    with pytest.raises(UnsafePlaceError):
        private_directory(tmp_path / "mine")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = Valkey(tmp_path / "valkey", socket_directory(tmp_path), appendonly=True, options={"maxmemory": "nonsense"})
    with pytest.raises(ChildError, match="maxmemory"):
        broken.start()


def test_programs_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = valkey_server()
    monkeypatch.setenv("VALKEY_BIN", str(program))
    assert valkey_server() == program
    monkeypatch.setenv("VALKEY_BIN", str(tmp_path / "none"))
    with pytest.raises(MissingServerError, match="VALKEY_BIN"):
        valkey_server()
    monkeypatch.setenv("POSTGRES_BIN", str(postgres_folder()))
    assert (postgres_folder() / "initdb").exists()


PARENT = """
import sys, time
from pathlib import Path
from urllib.parse import urlsplit
from devstack.process import Child
child = Child("sleep", ["sleep", "60"], log=Path(sys.argv[1]), identity=sys.argv[2])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.parametrize("identity", ["same", "userns"])
def test_children_die_with_a_killed_parent(tmp_path: Path, identity: str) -> None:
    if identity == "userns" and os.geteuid() != 0:
        pytest.skip("only root needs it")
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), identity]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert wait_until(lambda: "sleep" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0], 5)
        parent.kill()
    assert wait_until(lambda: birth(pid) is None, 2)


def test_a_child_leaves_no_grandchildren(tmp_path: Path) -> None:
    child = Child("shell", ["sh", "-c", "sleep 60 & echo $!; wait"], log=tmp_path / "log")
    assert wait_until(lambda: child.last_words() != "", 5)
    grandchild = int(child.last_words())
    child.stop(5)
    assert wait_until(lambda: birth(grandchild) is None, 2)
