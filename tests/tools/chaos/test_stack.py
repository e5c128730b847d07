"""A stack knows whether it is ready, and each Redis has its own disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.chaos.servers import SmallDisk
from tools.chaos.stack import Profile, Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of which only Redis and the replica run."""
    if not SmallDisk.possible(tmp_path / "probe"):
        pytest.skip("needs the right to mount a file system")
    made = Stack(tmp_path / "stack", Profile(replica=True, small_disk=True))
    assert made.replica is not None
    made.groups = []
    try:
        made.redis.start()
        made.replica.start()
        yield made
    finally:
        for each in (made.replica, made.redis):
            each.stop()
            assert each.disk is not None
            each.disk.remove()
        made.threads.shutdown()


def test_a_full_disk_does_not_fill_the_replicas_disk(stack: Stack) -> None:
    assert stack.redis.disk is not None
    assert stack.replica is not None
    stack.redis.disk.fill()
    with pytest.raises(OSError, match="No space left"):
        (stack.redis.data / "more").write_bytes(b"x" * 5000)
    assert (stack.replica.data / "more").write_bytes(b"x" * 5000)
    stack.redis.disk.free()


def test_a_stack_whose_replica_has_ended_is_not_ready(stack: Stack) -> None:
    assert stack.replica is not None
    assert stack.ready()
    stack.replica.kill()
    assert not stack.ready()
