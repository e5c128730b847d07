"""What every chore works with: its tools, its time, and the place where the last run stopped.

A chore keeps what it has done: it saves its place after each step, stops by itself before arq would cut it off, and the
next run goes on from there (docs/decisions/0023).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from accounts.events import SessionEvents
from delivery import keys
from delivery.devices import Devices
from delivery.mailbox import Mailbox
from delivery.redis.client import RedisClient
from delivery.user_records import UserRecords
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)

AT_ONCE: Final = 100
"""UserRecords asked about in one trip: what a batch of scripts does, all others wait for."""
STOP_SECONDS: Final = 15.0
"""A chore begins no further step after this. arq would cut it off after ``JOB_SECONDS``, wherever it is."""
OF_INTERVAL: Final = 0.9
"""Part of its interval that a chore takes at most, so that two runs of it do not overlap."""
PLACE_SECONDS: Final = 3600
"""How long a place is remembered that nobody goes on from."""


class Budget:
    """The time of one run of a chore, or less when it runs more often.

    :param interval: seconds between two runs
    """

    def __init__(self, interval: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._until = self._clock() + min(STOP_SECONDS, OF_INTERVAL * interval)

    @property
    def over(self) -> bool:
        """Whether no further step may begin."""
        return self._clock() >= self._until


@dataclass(frozen=True, slots=True)
class Chores:
    """The tools of a background worker."""

    settings: Settings
    link: RedisClient
    people: UserRecords
    mailbox: Mailbox
    devices: Devices
    events: SessionEvents

    async def servers(self) -> list[tuple[str, bool]]:
        """Every server that is or was, and whether it lives."""
        names = [name.decode() for name in await self.link.command("ZRANGE", keys.SERVERS, 0, -1)]
        alive = await self.link.pipeline([("EXISTS", keys.server(name)) for name in names]) if names else []
        return list(zip(names, map(bool, alive), strict=True))

    async def some_people(self, server_id: str, cursor: bytes) -> tuple[bytes, list[str]]:
        """The mobiles listed as connected to a server, about a hundred; and where to go on, ``b"0"`` at the end.

        What is asked about them together is one trip to Redis.
        """
        try:
            cursor, mobiles = await self.link.command("SSCAN", keys.people(server_id), cursor, "COUNT", AT_ONCE)
        except Exception as error:  # noqa: BLE001 - logged, or raised again
            _log_unless_away(error, server_id=server_id)
            return b"0", []
        return cursor, [mobile.decode() for mobile in mobiles]

    async def walk(self, job: str, servers: Sequence[str], budget: Budget) -> AsyncIterator[list[str]]:
        """The people of these servers, about a hundred at a time, from where the last run of ``job`` stopped.

        The place is saved when the caller comes for the next hundred: then these are done.
        """
        here, _, cursor = (await self.place(job)).partition(" ")
        everywhere = sorted(servers)
        left = [server_id for server_id in everywhere if server_id >= here] or everywhere
        for server_id, following in zip(left, [*left[1:], ""], strict=False):
            at = cursor.encode() if server_id == here and cursor else b"0"
            while True:
                at, mobiles = await self.some_people(server_id, at)
                yield mobiles
                ended = at == b"0"
                await self.save_place(job, following if ended else f"{server_id} {at.decode()}")
                if budget.over:
                    return
                if ended:
                    break

    async def each(self, mobiles: Sequence[str], work: Callable[[str], Awaitable[int]]) -> int:
        """Do ``work`` for all of them, many at a time; the sum of what it returns. What fails for one person is logged,
        and the others get theirs.

        :raises ApiError: ``unavailable``: for nobody it would work now
        """
        total = 0
        for start in range(0, len(mobiles), AT_ONCE):
            some = mobiles[start : start + AT_ONCE]
            ends = await asyncio.gather(*[work(mobile) for mobile in some], return_exceptions=True)
            for mobile, end in zip(some, ends, strict=True):
                if isinstance(end, BaseException):
                    _log_unless_away(end, mobile=mobile)
                else:
                    total += end
        return total

    async def place(self, job: str) -> str:
        """Where the last run stopped; "" at the beginning."""
        found: bytes | None = await self.link.command("GET", keys.job_cursor(job))
        return "" if found is None else found.decode()

    async def save_place(self, job: str, place: str, seconds: int = PLACE_SECONDS) -> None:
        """Remember it; "" when the job is through."""
        if place:
            await self.link.write("SET", keys.job_cursor(job), place, "EX", seconds)
        else:
            await self.link.command("DEL", keys.job_cursor(job))


def _log_unless_away(error: BaseException, **whom: str) -> None:
    """:raises ApiError: ``unavailable``, and whatever is no failure of the work itself"""
    if not isinstance(error, Exception) or (isinstance(error, ApiError) and error.code == "unavailable"):
        raise error
    logger.error("a chore failed for one of many and goes on", **whom, exc_info=error)
