"""The arq worker's own line to Redis: it must not wait for ever for a reply that never comes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tools.chaos.proxy import Mode, Proxy
from tools.devstack.process import wait_until


@pytest.fixture
def wire(valkey_url: str, tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(tmp_path / "wire.sock", Path(valkey_url.removeprefix("unix://").partition("?")[0]))
    made.start()
    yield made
    made.stop()


def test_a_worker_whose_line_went_half_open_ends_and_can_be_started_again(
    env: dict[str, str], tmp_path: Path, wire: Proxy
) -> None:
    stack = Stack({**env, "REDIS_URL": f"unix://{wire.front}?db=0"}, tmp_path / "logs")
    try:
        worker = stack.worker(SWEEP_SECONDS="1", REDIS_COMMAND_SECONDS="1")
        worker.await_ready(lambda: "cron:sweep_presence()" in worker.last_words(200), 15)
        wire.set(Mode.NO_REPLIES, "commands")
        assert wait_until(lambda: not worker.alive(), 10), "it waits for ever, and nobody can see it"
    finally:
        stack.close()
