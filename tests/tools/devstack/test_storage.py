"""Whatever the environment does not name, we run ourselves; the secret outlives restarts."""

import stat
from pathlib import Path

import pytest
from redis import Redis

from tools.devstack.runfile import ChildRegistry
from tools.devstack.storage import Storage, secret_of


def test_servers_of_ones_own_are_not_doubled(tmp_path: Path) -> None:
    own = {"REDIS_URL": "redis://mine", "DATABASE_URL": "postgres://mine/db"}
    storage = Storage(tmp_path, own)
    storage.start(ChildRegistry(tmp_path / "children.json"))
    assert (storage.valkey, storage.postgres) == (None, None)
    assert storage.env == own
    storage.stop()


def test_only_the_missing_one_is_started(tmp_path: Path) -> None:
    storage = Storage(tmp_path, {"DATABASE_URL": "postgres://mine/db", "REDIS_URL": ""})
    storage.start(ChildRegistry(tmp_path / "children.json"))
    assert storage.valkey is not None
    assert storage.valkey.answers()
    assert storage.env == {"DATABASE_URL": "postgres://mine/db", "REDIS_URL": storage.valkey.url}
    storage.stop()
    assert not storage.valkey.answers()
    assert not storage.valkey.socket.parent.exists(), "nothing stays in the temporary directory either"


@pytest.mark.parametrize(("env", "most"), [({}, 2**30), ({"REDIS_MAXMEMORY": "64mb"}, 64 * 2**20)])
def test_redis_has_a_limit_of_memory(tmp_path: Path, env: dict[str, str], most: int) -> None:
    storage = Storage(tmp_path, {"DATABASE_URL": "postgres://mine/db", **env})
    storage.start(ChildRegistry(tmp_path / "children.json"))
    try:
        assert storage.valkey is not None
        with Redis.from_url(storage.valkey.url) as client:
            assert client.config_get("maxmemory", "maxmemory-policy") == {
                "maxmemory": str(most),
                "maxmemory-policy": "noeviction",
            }
    finally:
        storage.stop()


def test_the_secret_is_made_once_and_ours_alone(tmp_path: Path) -> None:
    secret = secret_of(tmp_path)
    assert len(secret) >= 48
    assert secret_of(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "jwt_secret").stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    assert secret_of(tmp_path / "other") != secret
