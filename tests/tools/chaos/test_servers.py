"""The processes of a stack can be broken and restarted."""

from pathlib import Path

import pytest
from redis.exceptions import ReadOnlyError

from tools.chaos.servers import Group, Redis, SmallDisk
from tools.devstack.process import Child


def test_a_replica_has_what_its_master_had_and_can_lead(tmp_path: Path) -> None:
    master, replica = Redis(tmp_path / "1"), Redis(tmp_path / "2")
    try:
        for each in (master, replica):
            each.start()
        with master.client() as client:
            client.set("a", 1)
        replica.follow(master)
        with replica.client() as client:
            assert client.get("a") == "1"
            with pytest.raises(ReadOnlyError):
                client.set("a", 2)
            master.kill()
            replica.lead()
            assert client.set("a", 2)
    finally:
        for each in (master, replica):
            each.stop()


def test_a_server_is_not_ready_while_redis_does_not_answer(tmp_path: Path) -> None:
    group = Group("a", {}, 1, tmp_path)
    group.child = Child("a", ["sleep", "30"], log=tmp_path / "a.log")
    try:
        assert not group.ready(f"unix://{tmp_path}/nobody.sock")
    finally:
        group.stop()


def test_a_redis_without_its_file_starts_empty_and_with_it_does_not(tmp_path: Path) -> None:
    server = Redis(tmp_path / "r")
    try:
        for expected in (["a"], []):
            server.start()
            with server.client() as client:
                if expected:
                    client.set("a", 1)
                else:
                    assert client.keys() == ["a"]
            server.kill()
        server.erase()
        server.start()
        with server.client() as client:
            assert client.keys() == []
    finally:
        server.stop()


def test_a_full_disk_is_full_until_it_is_freed(tmp_path: Path) -> None:
    if not SmallDisk.possible(tmp_path / "probe"):
        pytest.skip("needs the right to mount a file system")
    disk = SmallDisk(tmp_path / "disk", megabytes=2)
    try:
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.place / "more").write_bytes(b"x" * 5000)
        disk.free()
        assert (disk.place / "more").write_bytes(b"x" * 5000)
    finally:
        disk.remove()
    assert not list(disk.place.iterdir()), "not unmounted"
