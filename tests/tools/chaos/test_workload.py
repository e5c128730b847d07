"""The whole tool on the real product: clients chat, a worker is killed, and the checker finds nothing."""

from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.support.stack import Stack
from tools.chaos.checker import Limits, check
from tools.chaos.history import History, read
from tools.chaos.workload import Workload

FAST = {
    "PING_SECONDS": "1",
    "LEASE_SECONDS": "3",
    "BELL_SECONDS": "0.5",
    "BELL_SILENCE_SECONDS": "2",
    "REDELIVER_SECONDS": "2",
    "SWEEP_SECONDS": "1",
    "RECLAIM_SECONDS": "1",
}
FAULT = "kill -9 of a worker"


async def test_ten_clients_chat_while_a_worker_is_killed(stack: Stack, tmp_path: Path) -> None:
    group = stack.start(workers=2, **FAST)
    stack.worker(**FAST)
    with History(tmp_path / "history.jsonl") as history:
        workload = Workload(history, [group.url], people=10, rate=60, seed=7)
        try:
            await workload.start()
            await workload.run(2)
            history.record("fault start", fault=FAULT, outage_limit=5.0)
            group.kill_worker(max(group.pids, key=_sockets))
            await workload.run(2)
            history.record("fault end", fault=FAULT)
            assert await workload.drain(30)
        finally:
            await workload.stop()
    report = check(read(history.path), limits=Limits(lease=3))
    assert report.ok, str(report)
    counts = workload.counts()
    assert report.sent == counts["begun"] > 150
    assert report.acknowledged == counts["acknowledged"] == report.sent
    assert counts["delivered"] == report.acknowledged - report.withheld
    assert _sockets_lost(history.path) > 0
    kinds = {event.kind for event in read(history.path)}
    assert {"own", "own read", "presence pushed"} <= kinds, "people with two devices, and who is watched"


def _sockets(pid: int) -> int:
    return len(psutil.Process(pid).net_connections())


def _sockets_lost(path: Path) -> int:
    """Sockets that the kill ended."""
    return sum(event.kind == "disconnected" and event.code == 1006 and not event.by_client for event in read(path))
