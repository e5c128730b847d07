"""Repairs blocks and privacy in Redis that miss a change: a server may have ended between PostgreSQL's commit and its
write.

Every sweep compares the sets that were changed lately, however many people ever blocked somebody. The place is stored
in Redis itself: a Redis that lost its last seconds lost the place as well, and these changes are compared again. Once
an hour all sets are compared, in pages: servers of an older version do not record when they change one.
"""

from collections.abc import Sequence
from typing import Any, Final

import structlog
from tortoise.connection import get_connection

from accounts.database import read
from delivery.keys import BLOCKS_VERSION, RULES_VERSION
from workers.jobs import Budget, JobServices

logger = structlog.get_logger(__name__)

PAGE: Final = 500
WALK_PAGE: Final = 5_000
"""People in one statement of the walk over all."""
WALK_SECONDS: Final = 3600
_DONE: Final = "through"

# Not after 60 s ago: PostgreSQL's clock may have been set back.
_BEGIN: Final = "SELECT least($1::text::timestamptz, now() - interval '60 s')::text AS at"
# A change gets its time when its statement runs and is visible when its transaction ends: within these 60 s.
_CHANGED: Final = """
SELECT mobile_no, blocks_version, id::text AS id, blocks_changed_at::text AS at,
       blocks_changed_at < now() - interval '60 s' AS settled
FROM users
WHERE (blocks_changed_at, id) > ($1::text::timestamptz, $2::uuid) ORDER BY blocks_changed_at, id LIMIT $3
"""
_ALL: Final = """
WITH page AS (SELECT mobile_no, blocks_version, id FROM users WHERE id > $1::uuid ORDER BY id LIMIT $2),
numbered AS (SELECT mobile_no, blocks_version, id, row_number() OVER (ORDER BY id) AS n FROM page)
SELECT mobile_no, blocks_version, id::text AS id, n FROM numbered WHERE blocks_version > 0 OR n = $2 ORDER BY n
"""
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"

Row = dict[str, Any]


async def repair_changed(services: JobServices, budget: Budget) -> int:
    """Compare what was changed since the last run, and the last minute once more.

    :returns: how many block sets were repaired
    :raises ApiError: ``unavailable``; the next sweep continues
    """
    repaired = 0
    at, _, last = (await services.place("blocks changed")).partition("|")
    last = last or _NOBODY
    at = (await _rows(_BEGIN, at or "-infinity"))[0]["at"]
    while True:
        rows = await _rows(_CHANGED, at, last, PAGE)
        repaired += await _compare(services, rows)
        if settled := [row for row in rows if row["settled"]]:
            await services.save_place("blocks changed", f"{settled[-1]['at']}|{settled[-1]['id']}", 30 * 86_400)
        if len(rows) < PAGE or budget.over:
            return repaired
        at, last = rows[-1]["at"], rows[-1]["id"]


async def repair_blocks(ctx: dict[str, Any]) -> int:
    """Compare all, once an hour; a run continues where the last one stopped. Return how many were repaired."""
    services: JobServices = ctx["services"]
    budget, repaired = Budget(60), 0
    place = await services.place("blocks")
    while place != _DONE and not budget.over:
        rows = await _rows(_ALL, place or _NOBODY, WALK_PAGE)
        repaired += await _compare(services, [row for row in rows if row["blocks_version"] > 0])
        more = rows and rows[-1]["n"] == WALK_PAGE
        place = rows[-1]["id"] if more else _DONE
        await services.save_place("blocks", place, WALK_SECONDS)
    if repaired:
        logger.info("block sets repaired", count=repaired)
    return repaired


async def _rows(statement: str, *values: object) -> list[Row]:
    return await read(lambda: get_connection("default").execute_query_dict(statement, list(values)))


async def _compare(services: JobServices, rows: Sequence[Row]) -> int:
    if not rows:
        return 0
    names = [services.users.keys(row["mobile_no"]).user for row in rows]
    found = await services.redis.pipeline([("HMGET", name, BLOCKS_VERSION, RULES_VERSION) for name in names])
    # A person whom Redis does not hold is loaded with all rules before anything is decided about them. Those that a
    # server of a version before privacy wrote are not whole.
    behind = [
        row["mobile_no"]
        for row, (known, whole) in zip(rows, found, strict=True)
        if known is not None and min(int(known), int(whole or -1)) < row["blocks_version"]
    ]

    async def load(mobile: str) -> int:
        await services.users.load(mobile)
        return 1

    return await services.each(behind, load)
