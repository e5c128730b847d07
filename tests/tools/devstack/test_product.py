"""The product's own commands."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from redis import Redis

from tools.devstack import product
from tools.devstack.process import ChildError
from tools.devstack.product import Product, ServerProcess, living_servers, log_file


def test_a_grown_log_moves_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "KEEP_LOG_BYTES", 10)
    path = log_file(tmp_path, "app")
    path.write_text("short")
    assert log_file(tmp_path, "app").exists()
    path.write_text("much longer than that")
    assert not log_file(tmp_path, "app").exists()
    assert (tmp_path / "app.log.1").read_text() == "much longer than that"


def test_migrating_is_repeatable(env: dict[str, str], tmp_path: Path) -> None:
    Product(env, tmp_path).migrate()
    Product(env, tmp_path).migrate()


def test_a_database_that_is_not_there_is_named(env: dict[str, str], tmp_path: Path) -> None:
    nowhere = {**env, "DATABASE_URL": env["DATABASE_URL"].replace("/test_", "/none_")}
    with pytest.raises(ChildError, match="could not be brought up to date"):
        Product(nowhere, tmp_path).migrate()


def register(client: Redis, name: str, pid: int, parent: int) -> None:
    client.zadd("servers", {name: 1})
    client.set(f"server:{name}", json.dumps({"pid": pid, "parent": parent}))


def test_only_the_living_of_our_group_are_listed(valkey_url: str) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    with Redis.from_url(valkey_url) as client:
        client.flushall()
        register(client, "mine", os.getpid(), 7)
        register(client, "another-groups", os.getpid(), 8)
        register(client, "dead", gone.pid, 7)
        client.zadd("servers", {"expired": 2})
    assert living_servers(valkey_url, 7) == [ServerProcess("mine", os.getpid())]
    assert living_servers(valkey_url, 9) == []
