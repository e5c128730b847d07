"""People with the clients of this repository among the others: a process of theirs is killed, and nothing is found."""

from pathlib import Path

from tests.support.stack import Stack
from tools.chaos.checker import Limits, check
from tools.chaos.history import History, read
from tools.chaos.workload import Workload
from tools.conformance.running import known_clients

QUICK = {"PING_SECONDS": "1", "LEASE_SECONDS": "3", "REDELIVER_SECONDS": "2"}


async def test_real_clients_lose_and_double_nothing_when_their_process_is_killed(stack: Stack, tmp_path: Path) -> None:
    """Handed over once and in order, acknowledged only then, and what was accepted is sent."""
    group, clients = stack.start(workers=2, RATE_LIMITS="off", **QUICK), list(known_clients())
    stack.worker(**QUICK)
    with History(tmp_path / "history.jsonl") as history:
        workload = Workload(history, [group.url], people=4, rate=30, seed=7, clients=clients)
        try:
            await workload.start()
            await workload.run(2)
            for name in clients:
                await workload.real.kill(name)
            await workload.run(2)
            assert await workload.drain(60)
        finally:
            await workload.stop()
    events = read(history.path)
    report = check(events, limits=Limits(lease=3))
    assert report.ok, str(report)
    kinds = {event.kind for event in events}
    assert {"posted", "handed", "killed"} <= kinds
