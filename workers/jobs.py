"""What every job uses: its services, its time budget, and the place where its last run stopped.

A job saves its place after each step and stops by itself before arq would cancel it. The next run continues there
(docs/decisions/0023).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from accounts.departures import Departures
from accounts.events import SessionEvents
from delivery import keys
from delivery.devices import Devices
from delivery.expiry import Expiry
from delivery.mailbox import Mailbox
from delivery.redis.client import RedisClient
from delivery.user_records import UserRecords
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)

BATCH_SIZE: Final = 100
"""People in one trip to Redis: all other commands wait until their scripts are done."""
STOP_SECONDS: Final = 15.0
"""A job begins no further step after this. arq would cancel it after ``JOB_SECONDS``, wherever it is."""
MAX_SHARE: Final = 0.9
"""Part of its interval that a job takes at most, so that two runs do not overlap."""
PLACE_SECONDS: Final = 3600
"""How long a place is kept from which no run continues."""


class Budget:
    """The time one run of a job may take.

    :param interval: seconds between two runs: a job that runs often has less time
    """

    def __init__(self, interval: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._until = self._clock() + min(STOP_SECONDS, MAX_SHARE * interval)

    @property
    def over(self) -> bool:
        """Whether no further step may begin."""
        return self._clock() >= self._until


@dataclass(frozen=True, slots=True)
class JobServices:
    """What the jobs use."""

    settings: Settings
    redis: RedisClient
    users: UserRecords
    mailbox: Mailbox
    devices: Devices
    expiry: Expiry
    departures: Departures
    events: SessionEvents

    async def servers(self) -> list[tuple[str, bool]]:
        """Every server in the list, and whether it is alive."""
        names = [name.decode() for name in await self.redis.command("ZRANGE", keys.SERVERS, 0, -1)]
        alive = await self.redis.pipeline([("EXISTS", keys.server(name)) for name in names]) if names else []
        return list(zip(names, map(bool, alive), strict=True))

    async def scan_people(self, server_id: str, cursor: bytes) -> tuple[bytes, list[str]]:
        """About a hundred of the people connected to a server, and the cursor for the next ones: ``b"0"`` at the end.

        :returns: cursor, mobile numbers
        """
        try:
            cursor, mobiles = await self.redis.command("SSCAN", keys.people(server_id), cursor, "COUNT", BATCH_SIZE)
        except Exception as error:  # noqa: BLE001 - logged, or raised again
            _log_or_raise(error, server_id=server_id)
            return b"0", []
        return cursor, [mobile.decode() for mobile in mobiles]

    async def walk(self, job: str, servers: Sequence[str], budget: Budget) -> AsyncIterator[list[str]]:
        """The people of these servers, about a hundred at a time, from where the last run of ``job`` stopped.

        The place is saved when the caller takes the next hundred, having finished these.
        """
        here, _, cursor = (await self.place(job)).partition(" ")
        everywhere = sorted(servers)
        left = [server_id for server_id in everywhere if server_id >= here] or everywhere
        for server_id, following in zip(left, [*left[1:], ""], strict=False):
            at = cursor.encode() if server_id == here and cursor else b"0"
            while True:
                at, mobiles = await self.scan_people(server_id, at)
                yield mobiles
                ended = at == b"0"
                await self.save_place(job, following if ended else f"{server_id} {at.decode()}")
                if budget.over:
                    return
                if ended:
                    break

    async def each(self, mobiles: Sequence[str], work: Callable[[str], Awaitable[int]]) -> int:
        """Do ``work`` for all of them, many at a time; return the sum of its results. A failure for one person is
        logged, and the work is done for the others.

        :raises ApiError: ``unavailable``: it would fail for everybody
        """
        total = 0
        for start in range(0, len(mobiles), BATCH_SIZE):
            some = mobiles[start : start + BATCH_SIZE]
            ends = await asyncio.gather(*[work(mobile) for mobile in some], return_exceptions=True)
            for mobile, end in zip(some, ends, strict=True):
                if isinstance(end, BaseException):
                    _log_or_raise(end, mobile=mobile)
                else:
                    total += end
        return total

    async def place(self, job: str) -> str:
        """Where the last run stopped; "": begin anew."""
        found: bytes | None = await self.redis.command("GET", keys.job_cursor(job))
        return "" if found is None else found.decode()

    async def save_place(self, job: str, place: str, seconds: int = PLACE_SECONDS) -> None:
        """Store where the next run continues; "": at the beginning."""
        if place:
            await self.redis.write("SET", keys.job_cursor(job), place, "EX", seconds)
        else:
            await self.redis.command("DEL", keys.job_cursor(job))


def _log_or_raise(error: BaseException, **whom: str) -> None:
    """:raises ApiError: ``unavailable``, and whatever is no failure of the work itself"""
    if not isinstance(error, Exception) or (isinstance(error, ApiError) and error.code == "unavailable"):
        raise error
    logger.error("a job failed for one of many and goes on", **whom, exc_info=error)
