"""Makes numbers free that their owners have left, where the request was cut off, or a connection still lived."""

from typing import Any, Final

import structlog

from workers.jobs import Budget, JobServices
from workers.repair_blocks import repair_changed

PEOPLE_AT_ONCE: Final = 10

logger = structlog.get_logger(__name__)


async def finish_departures(ctx: dict[str, Any]) -> int:
    """Do for each what can be done now; returns how many numbers are free.

    First the block sets of those who blocked a former owner are repaired: the next owner must not be in them.
    """
    services: JobServices = ctx["services"]
    budget, finished = Budget(services.settings.sweep_seconds), 0
    left = {number.mobile: number for number in await services.departures.unfinished()}
    if not left:
        return 0
    await repair_changed(services, budget)

    async def finish(mobile: str) -> int:
        return await services.departures.finish(left[mobile])

    waiting = list(left)
    while waiting and not budget.over:
        some, waiting = waiting[:PEOPLE_AT_ONCE], waiting[PEOPLE_AT_ONCE:]
        finished += await services.each(some, finish)
    logger.info("numbers are free that were left", finished=finished, left=len(left) - finished)
    return finished
