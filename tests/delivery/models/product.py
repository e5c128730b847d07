"""The product as the models use it: two servers' classes on a faulty client, PostgreSQL a dict.

What takes other arguments in the product takes them here; the machines do not know.
"""

import asyncio
import importlib
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from delivery.expiry import Expiry
from delivery.mailbox import Mailbox
from delivery.presence import Holder, Presence
from delivery.redis.client import RedisClient
from delivery.results import ClaimMode, FetchMode, Silent, Superseded, Unproven
from delivery.scripts import FIND_STUCK, SWEEP
from delivery.user_records import UserRecords
from protocol.entries import Entry
from protocol.errors import ApiError
from settings import Settings
from tests.delivery.models.clocks import KEY, Clocks
from tests.delivery.models.faulty_client import NONE, Fault, FaultyClient, Ran
from tests.delivery.models.redis_state import RedisState, look
from tests.support.messaging import AwaitedMailbox, Row, make_settings, to_settle
from tools.chaos.breakages import Breakage

T = TypeVar("T")
DAY = 86_400


@cache
def expire_mailbox() -> Callable[[Any, str], Awaitable[int]]:
    """``workers.expire_mailboxes.expire_mailbox``; that package reads the environment when it is imported."""
    needed = {"REDIS_URL": "unix://unused", "DATABASE_URL": "postgres://nobody@127.0.0.1/none"}
    before = dict(os.environ)
    os.environ.update(needed, JWT_SECRET=os.urandom(32).hex())
    try:
        found: Callable[[Any, str], Awaitable[int]] = importlib.import_module("workers.expire_mailboxes").expire_mailbox
    finally:
        os.environ.clear()
        os.environ.update(before)
    return found


@dataclass
class JobServices:
    """What the expiry job uses of ``workers.jobs.JobServices``."""

    settings: Settings
    redis: RedisClient
    users: UserRecords
    mailbox: Mailbox
    devices: Any
    expiry: Expiry


class Product:
    """Runs the product's coroutines to their end, one after the other."""

    def __init__(self, url: str, rows: dict[str, Row], clocks: Clocks, breakage: Breakage | None, **knobs: Any) -> None:
        self.rows, self.clocks = rows, clocks
        # Smaller than anybody could configure, so that the limits are reached.
        self.settings = make_settings(redis_url=url).model_copy(update=knobs)
        self._runner = asyncio.Runner()
        # Not the runner's own ``run``, which sets a handler of Ctrl-C each time: that takes longer than a script.
        self._run = self._runner.get_loop().run_until_complete
        self._run(self._open(breakage))

    async def _open(self, breakage: Breakage | None) -> None:
        self.link, self._plain = FaultyClient(self.settings, self.clocks, breakage), RedisClient(self.settings)
        self.people = UserRecords(self.link, self._find)
        self.mailbox = Mailbox(self.link, self.people, self.settings)
        self.mail = AwaitedMailbox(self.mailbox, self.people)
        self.presence = Presence(self.link, self.people, self.settings, lambda: self.clocks.passed / 1000)

    async def _find(self, mobile: str) -> Row | None:
        return self.rows.get(mobile)

    def close(self) -> None:
        """End the connections."""
        self._run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        await self.link.close()
        await self._plain.close()

    def run(self, work: Callable[[], Awaitable[T]], fault: Fault = NONE) -> tuple[T | None, list[Ran]]:
        """Do something once; its answer, None if it was refused as ``unavailable``, and the scripts that ran."""
        self.link.begin(fault)

        async def once() -> T | None:
            try:
                return await work()
            except ApiError as refusal:
                if refusal.code != "unavailable":
                    raise
                return None

        return self._run(once()), list(self.link.log)

    def admin(self, *words: str) -> None:
        """A command from aside."""

        async def said() -> None:
            await self._plain.command(*words)

        self.link.told = -1
        self._run(said())

    def look(self, mobiles: Sequence[str]) -> tuple[dict[str, RedisState], set[str]]:
        """What Redis really holds."""
        found, strange = self._run(look(self._plain, mobiles))
        return found, strange - {KEY}

    # ---- what the product does

    async def claim(self, holder: Holder, age: int, mode: ClaimMode) -> tuple[str, tuple[str, str] | None, str, str]:
        """Verdict, connection before, newest streamId, epoch."""
        try:
            account = self.rows[holder.mobile].account_id
            claimed = await self.presence.claim(holder, account, age=lambda: age, mode=mode)
        except Superseded:
            return "replaced", None, "", ""
        except Silent:
            return "silent", None, "", ""
        except Unproven:
            return "unproven", None, "", ""
        except ApiError as refusal:
            if refusal.code == "unavailable":
                raise
            return refusal.code, None, "", ""
        return "claimed", claimed.before, claimed.newest, claimed.epoch

    async def settle(self, holder: Holder, entries: Sequence[Entry]) -> str:
        """The device has these."""
        await self.mail.settle(holder.mobile, holder.device, to_settle(*entries))
        return "settled"

    async def collect(
        self, holder: Holder, mode: FetchMode, count: int, cursor: str, ids: Sequence[str], through: Sequence[Entry]
    ) -> tuple[str, str, int, list[Entry]]:
        """Verdict, cursor, how many were read, and the entries; those that are ``through`` are settled on the way."""
        found = await self.mail.fetch(holder, mode, count, cursor, ids, to_settle(*through))
        return found.verdict, found.cursor, found.read, found.entries

    async def sweep(self, mobile: str, gone: str) -> list[str]:
        """The devices whose leases ended."""
        keys, lease_ms = self.people.keys(mobile), int(self.settings.lease_seconds * 1000)
        ended = await self.link.call(SWEEP, keys.of(SWEEP), [lease_ms, gone])
        return sorted(device.decode() for device, *_ in ended)

    async def stuck(self, mobile: str, too_long_ms: int) -> list[str]:
        """The servers to notify."""
        keys = self.people.keys(mobile)
        return sorted(
            server.decode() for server in await self.link.call(FIND_STUCK, keys.of(FIND_STUCK), [too_long_ms])
        )

    def before(self, limit_ms: int) -> tuple[float, int]:
        """How many days a chat may wait for what is older than ``limit_ms`` to expire, and what that comes to."""
        days = (self.clocks.server_ms - limit_ms) / 1000 / DAY
        return days, int((self.clocks.time() - days * DAY) * 1000)

    async def expire(self, mobile: str, days: float) -> str:
        """The job for one person."""
        settings = self.settings.model_copy(update={"mailbox_days": days, "device_days": 100_000})
        expiry = Expiry(self.mailbox, self.people)
        services = JobServices(settings, self.link, self.people, self.mailbox, self.presence.devices, expiry)
        await expire_mailbox()(services, mobile)
        return "expired"
