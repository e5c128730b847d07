"""UserRecords who are connected and have entries that nobody carries are rung; their connection does the rest."""

from functools import partial
from typing import Any

import structlog

from delivery.notifications import notify_command
from delivery.scripts import FIND_STUCK
from workers.jobs import Budget, Chores

logger = structlog.get_logger(__name__)


async def reclaim_mailboxes(ctx: dict[str, Any]) -> int:
    """One look at everyone connected; returns how many connections were rung. Who is offline needs nothing."""
    chores: Chores = ctx["chores"]
    budget, rung, parked = Budget(chores.settings.reclaim_seconds), 0, 0
    living = [server_id for server_id, alive in await chores.servers() if alive]
    async for mobiles in chores.walk("reclaim", living, budget):
        rung += await chores.each(mobiles, partial(_ring_if_stuck, chores))
        parked += await chores.each(mobiles, partial(_report_parked, chores))
    if rung or parked:
        logger.info("mailboxes reclaimed", rung=rung, parked=parked)
    return rung


async def _ring_if_stuck(chores: Chores, mobile: str) -> int:
    mine = chores.people.keys(mobile)
    too_long = int(chores.settings.redeliver_seconds * 1000)
    servers = await chores.link.call(FIND_STUCK, mine.of(FIND_STUCK), [too_long])
    for server in servers:
        # Without an id: look whatever you have read, and claim what others left.
        await chores.link.command(*notify_command(server.decode(), mobile, ""))
    return len(servers)


async def _report_parked(chores: Chores, mobile: str) -> int:
    failures = await chores.link.command("HGETALL", chores.people.keys(mobile).dead_letters)
    parked = 0
    for stream_id, count in zip(failures[::2], failures[1::2], strict=True):
        if int(count) >= chores.settings.park_after:
            parked += 1
            logger.error("an entry is parked", mobile=mobile, stream_id=stream_id.decode(), failures=int(count))
    return parked
