"""Floods: what one hostile client costs the others, and the servers."""

import asyncio
import itertools
import json
import sys
from pathlib import Path
from typing import Any, Final

from bench import cpu
from bench.flooder import KINDS
from bench.open import open_loop
from bench.result import Result
from bench.stack import Ours, Running
from devstack.options import ROOT

CALM: Final = "calm"
LOOK_SECONDS: Final = 0.25
REST_SECONDS: Final = 2.0
FIRST_SECONDS: Final = 0.5
"""The flood is there before the people whose latency counts."""
_STRANGERS: Final = itertools.count(1)
"""Each flooder is somebody new: what the servers hold against one would spare them the next."""


def flooded(running: Running, *, ack_each: bool) -> list[Ours]:
    """One venue for the calm and one for each flood, all on the same servers."""
    return [Ours(running, "everysec", name=kind, ack_each=ack_each) for kind in (CALM, *KINDS)]


class _Watch:
    """Server processes: their most memory while it looks, and what they have open."""

    def __init__(self, venue: Ours) -> None:
        self._pids = venue.processes()["server"]
        self.before = self.most = cpu.memory(self._pids)
        self.descriptors_before = self.descriptors()

    async def look(self) -> None:
        """Until cancelled."""
        while True:
            self.most = max(self.most, cpu.memory(self._pids))
            await asyncio.sleep(LOOK_SECONDS)

    def descriptors(self) -> int:
        """Open now."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in self._pids)


async def flood(venue: Ours, *, pairs: int, rate: float, warm_up: float, seconds: float) -> Result:
    """Latencies as in the open loop, while the flood that the venue is named after goes on.

    :raises ConnectError: when somebody cannot connect
    """
    watch = _Watch(venue)
    looking = asyncio.ensure_future(watch.look())
    process = await _start(venue, 2 * pairs, FIRST_SECONDS + warm_up + seconds)
    try:
        await asyncio.sleep(FIRST_SECONDS)
        result = await open_loop(venue, pairs=pairs, rate=rate, warm_up=warm_up, seconds=seconds, name="floods")
        told = await _end(process)
        await asyncio.sleep(REST_SECONDS)
    finally:
        looking.cancel()
    more = {
        "server_mb_more": round((watch.most - watch.before) / 2**20, 1),
        "descriptors_left": watch.descriptors() - watch.descriptors_before,
    }
    result.figures = {**result.figures, **more, **{f"flood_{name}": value for name, value in told.items()}}
    return result


async def _start(venue: Ours, others: int, seconds: float) -> asyncio.subprocess.Process | None:
    if venue.name == CALM:
        return None
    account = (await venue.people(others + next(_STRANGERS)))[-1]
    words = [venue.running.run["url"], account.secret, venue.name, str(seconds)]
    # The least of priorities: a flooder elsewhere would not take the processors from the servers it floods.
    command = ["nice", "-n", "19", sys.executable, "-m", "bench.flooder", *words]
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)


async def _end(process: asyncio.subprocess.Process | None) -> dict[str, Any]:
    if process is None:
        return {}
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError("the flooder failed; its words are above")
    told: dict[str, Any] = json.loads(said)
    return told
