"""Turns leases that expired, or whose server is gone, into last seen; compares block sets that were changed lately."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog

from accounts.events import Event
from delivery import keys
from delivery.scripts import SWEEP
from models import EventKind
from workers.jobs import Budget, JobServices
from workers.repair_blocks import repair_changed

logger = structlog.get_logger(__name__)


async def sweep_presence(ctx: dict[str, Any]) -> int:
    """Sweep once, first the servers that are gone; return how many leases ended."""
    services: JobServices = ctx["services"]
    budget, ended = Budget(services.settings.sweep_seconds), 0
    servers = await services.servers()
    for server_id, alive in servers:
        if not alive:
            ended += await _sweep_gone(services, server_id, budget)
    living = [server_id for server_id, alive in servers if alive]
    async for mobiles in services.walk("sweep", living, budget):
        ended += await services.each(mobiles, partial(_sweep, services, ""))
    repaired = await repair_changed(services, budget)
    if ended or repaired:
        logger.info("presence swept", leases=ended, blocks_repaired=repaired)
    return ended


async def _sweep_gone(services: JobServices, server_id: str, budget: Budget) -> int:
    """People who were swept leave the server's list, so that the next run begins with the others. People who could not
    be swept stay in it, and so does the server: nothing else would look at their leases again."""
    ended, cursor, name, some_failed = 0, b"0", keys.people(server_id), False
    swept: set[str] = set()

    async def sweep(mobile: str) -> int:
        leases = await _sweep(services, server_id, mobile)
        swept.add(mobile)
        return leases

    while True:
        cursor, mobiles = await services.scan_people(server_id, cursor)
        ended += await services.each(mobiles, sweep)
        some_failed = some_failed or not swept.issuperset(mobiles)
        if swept:
            await services.redis.command("SREM", name, *swept)
            swept.clear()
        if cursor == b"0":
            if not some_failed:
                await services.redis.pipeline([("DEL", name), ("ZREM", keys.SERVERS, server_id)])
            return ended
        # A server that only stood still may be back, and fills its list anew.
        if budget.over or await services.redis.command("EXISTS", keys.server(server_id)):
            return ended


async def _sweep(services: JobServices, gone: str, mobile: str) -> int:
    mine = services.users.keys(mobile)
    lease_ms = int(services.settings.lease_seconds * 1000)
    ended = await services.redis.call(SWEEP, mine.of(SWEEP), [lease_ms, gone])
    for device, server_id, _connection, evidence in ended:
        event = Event(
            EventKind.DISCONNECT,
            mobile,
            device_id=device.decode(),
            reason="server gone" if server_id.decode() == gone else "lease over",
            server_id=server_id.decode(),
            at=datetime.fromtimestamp(int(evidence) / 1000, UTC),
        )
        services.events.add(event)
    return len(ended)
