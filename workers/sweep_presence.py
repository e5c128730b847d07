"""Leases that are over, or whose server is gone, become last seen; block sets that were changed lately are compared."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from accounts.events import Event
from delivery import keys
from delivery.scripts import SWEEP
from models import EventKind
from workers.jobs import Budget, Chores
from workers.repair_blocks import mend_changed

logger = structlog.get_logger(__name__)


async def sweep_presence(ctx: dict[str, Any]) -> int:
    """One sweep, first over the servers that are gone; returns how many leases ended."""
    chores: Chores = ctx["chores"]
    budget, ended = Budget(chores.settings.sweep_seconds), 0
    servers = await chores.servers()
    for server_id, alive in servers:
        if not alive:
            ended += await _sweep_gone(chores, server_id, budget)
    living = [server_id for server_id, alive in servers if alive]
    async for mobiles in chores.walk("sweep", living, budget):
        ended += await chores.each(mobiles, partial(_sweep, chores, ""))
    mended = await mend_changed(chores, budget)
    if ended or mended:
        logger.info("presence swept", leases=ended, blocks_mended=mended)
    return ended


async def _sweep_gone(chores: Chores, server_id: str, budget: Budget) -> int:
    """Who was swept leaves the server's list, so that the next run begins with the others. Who could not be swept stays
    listed, and the server with them: nobody else would look at their leases again."""
    ended, cursor, name, some_failed = 0, b"0", keys.people(server_id), False
    swept: set[str] = set()

    async def sweep(mobile: str) -> int:
        leases = await _sweep(chores, server_id, mobile)
        swept.add(mobile)
        return leases

    while True:
        cursor, mobiles = await chores.some_people(server_id, cursor)
        ended += await chores.each(mobiles, sweep)
        some_failed = some_failed or not swept.issuperset(mobiles)
        if swept:
            await chores.link.command("SREM", name, *swept)
            swept.clear()
        if cursor == b"0":
            if not some_failed:
                await chores.link.pipeline([("DEL", name), ("ZREM", keys.SERVERS, server_id)])
            return ended
        # One that only stood still may be back, and lists its people anew.
        if budget.over or await chores.link.command("EXISTS", keys.server(server_id)):
            return ended


async def _sweep(chores: Chores, gone: str, mobile: str) -> int:
    mine = chores.people.keys(mobile)
    lease_ms = int(chores.settings.lease_seconds * 1000)
    ended = await chores.link.call(SWEEP, mine.of(SWEEP), [lease_ms, gone])
    for device, server_id, _connection, evidence in ended:
        event = Event(
            EventKind.DISCONNECT,
            mobile,
            device_id=device.decode(),
            reason="server gone" if server_id.decode() == gone else "lease over",
            server_id=server_id.decode(),
            at=datetime.fromtimestamp(int(evidence) / 1000, UTC),
        )
        chores.events.add(event)
    return len(ended)
