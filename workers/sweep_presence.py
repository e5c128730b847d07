"""Leases that are over, or whose server is gone, become last seen; block sets unlike PostgreSQL's are mended."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import structlog

from accounts.database import read
from accounts.events import Event
from delivery import keys
from delivery.scripts import SWEEP
from models import EventKind, User
from workers.chores import Chores

logger = structlog.get_logger(__name__)


async def sweep_presence(ctx: dict[str, Any]) -> int:
    """One sweep over all servers; returns how many leases ended."""
    chores: Chores = ctx["chores"]
    ended = 0
    for server_id, alive in await chores.servers():
        gone = "" if alive else server_id
        async for mobiles in chores.people_of(server_id):
            ended += sum(await asyncio.gather(*[_sweep(chores, mobile, gone) for mobile in mobiles]))
        if not alive:
            await chores.link.together([("DEL", keys.people(server_id)), ("ZREM", keys.SERVERS, server_id)])
    mended = await mend_blocks(chores)
    if ended or mended:
        logger.info("presence swept", leases=ended, blocks_mended=mended)
    return ended


async def _sweep(chores: Chores, mobile: str, gone: str) -> int:
    mine = chores.people.keys(mobile)
    lease_ms = int(chores.settings.lease_seconds * 1000)
    ended = await chores.link.call(SWEEP, [mine.leases, mine.last_seen], [lease_ms, gone])
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


async def mend_blocks(chores: Chores) -> int:
    """Compare the versions of everyone's blocks who ever blocked somebody; Redis may have missed the last change.

    :returns: how many block sets were written anew
    :raises Refusal: ``unavailable``; the next sweep compares them
    """
    mended = 0
    rows = await read(lambda: User.filter(blocks_version__gt=0).values_list("mobile_no", "blocks_version"))
    for start in range(0, len(rows), 500):
        batch = rows[start : start + 500]
        words = [("HGET", chores.people.keys(mobile).record, "blocks") for mobile, _ in batch]
        for (mobile, version), known in zip(batch, await chores.link.together(words), strict=True):
            # Who is not loaded is loaded, blocks and all, before anything is decided about him.
            if known is not None and int(known) < version:
                await chores.people.load(mobile)
                mended += 1
    return mended
