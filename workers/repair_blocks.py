"""Block sets in Redis that miss a change: a server may have ended between PostgreSQL's commit and telling Redis.

Every sweep compares what was changed lately, however many people ever blocked somebody. The place is kept in Redis
itself: one that lost its last seconds lost the place as well, and these changes are compared again. Once an hour all
are compared, in pages: servers of an older version do not write down when they change a block set.
"""

from collections.abc import Sequence
from typing import Any, Final

import structlog
from tortoise.connection import get_connection

from accounts.database import read
from delivery.keys import BLOCKS_VERSION
from workers.jobs import Budget, Chores

logger = structlog.get_logger(__name__)

PAGE: Final = 500
WALKED: Final = 5_000
"""UserRecords looked at by one statement of the walk over all."""
WALK_SECONDS: Final = 3600
_THROUGH: Final = "through"

# Not after 60 s ago: PostgreSQL's clock may have been set back.
_BEGIN: Final = "SELECT least($1::text::timestamptz, now() - interval '60 s')::text AS at"
# A change is written down when its statement runs and is seen when its transaction ends: within these 60 s.
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


async def mend_changed(chores: Chores, budget: Budget) -> int:
    """Compare what was changed since the last look, and the last minute once more.

    :returns: how many block sets were written anew
    :raises ApiError: ``unavailable``; the next sweep goes on
    """
    mended = 0
    at, _, last = (await chores.place("blocks changed")).partition("|")
    last = last or _NOBODY
    at = (await _rows(_BEGIN, at or "-infinity"))[0]["at"]
    while True:
        rows = await _rows(_CHANGED, at, last, PAGE)
        mended += await _compare(chores, rows)
        if settled := [row for row in rows if row["settled"]]:
            await chores.save_place("blocks changed", f"{settled[-1]['at']}|{settled[-1]['id']}", 30 * 86_400)
        if len(rows) < PAGE or budget.over:
            return mended
        at, last = rows[-1]["at"], rows[-1]["id"]


async def mend_blocks(ctx: dict[str, Any]) -> int:
    """Compare all, once an hour; a run goes on where the last one stopped. Returns how many were written anew."""
    chores: Chores = ctx["chores"]
    budget, mended = Budget(60), 0
    place = await chores.place("blocks")
    while place != _THROUGH and not budget.over:
        rows = await _rows(_ALL, place or _NOBODY, WALKED)
        mended += await _compare(chores, [row for row in rows if row["blocks_version"] > 0])
        more = rows and rows[-1]["n"] == WALKED
        place = rows[-1]["id"] if more else _THROUGH
        await chores.save_place("blocks", place, WALK_SECONDS)
    if mended:
        logger.info("block sets mended", count=mended)
    return mended


async def _rows(statement: str, *values: object) -> list[Row]:
    return await read(lambda: get_connection("default").execute_query_dict(statement, list(values)))


async def _compare(chores: Chores, rows: Sequence[Row]) -> int:
    if not rows:
        return 0
    words = [("HGET", chores.people.keys(row["mobile_no"]).user, BLOCKS_VERSION) for row in rows]
    behind = []
    for row, known in zip(rows, await chores.link.pipeline(words), strict=True):
        # Who is not loaded is loaded, blocks and all, before anything is decided about them.
        if known is not None and int(known) < row["blocks_version"]:
            behind.append(row["mobile_no"])

    async def load(mobile: str) -> int:
        await chores.people.load(mobile)
        return 1

    return await chores.each(behind, load)
