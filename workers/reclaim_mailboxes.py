"""Notifies connections of people whose entries no connection fetches; the connection does the rest."""

from functools import partial
from typing import Any

import structlog

from delivery.keys import ENTRY_ACKNOWLEDGED
from delivery.notifications import notify_command
from delivery.scripts import FIND_STUCK
from workers.jobs import Budget, JobServices

logger = structlog.get_logger(__name__)


async def reclaim_mailboxes(ctx: dict[str, Any]) -> int:
    """Look once at everyone connected; return how many connections were notified. People offline need nothing."""
    services: JobServices = ctx["services"]
    budget, notified, dead_letters = Budget(services.settings.reclaim_seconds), 0, 0
    living = [server_id for server_id, alive in await services.servers() if alive]
    async for mobiles in services.walk("reclaim", living, budget):
        notified += await services.each(mobiles, partial(_notify_if_stuck, services))
        dead_letters += await services.each(mobiles, partial(_report_dead_letters, services))
    if notified or dead_letters:
        logger.info("mailboxes reclaimed", notified=notified, dead_letters=dead_letters)
    return notified


async def _notify_if_stuck(services: JobServices, mobile: str) -> int:
    mine = services.users.keys(mobile)
    too_long = int(services.settings.redeliver_seconds * 1000)
    servers = await services.redis.call(FIND_STUCK, mine.of(FIND_STUCK), [too_long])
    for server in servers:
        # Without an id the connection looks whatever it has read, and claims what others left.
        await services.redis.command(*notify_command(server.decode(), mobile, ""))
    return len(servers)


async def _report_dead_letters(services: JobServices, mobile: str) -> int:
    states = await services.redis.command("HGETALL", services.users.keys(mobile).entry_states)
    dead_letters = 0
    for stream_id, state in zip(states[::2], states[1::2], strict=True):
        failures = int(state) % ENTRY_ACKNOWLEDGED
        if failures >= services.settings.park_after:
            dead_letters += 1
            logger.error(
                "an entry is a dead letter",
                mobile=mobile,
                stream_id=stream_id.decode(),
                failures=failures,
            )
    return dead_letters
