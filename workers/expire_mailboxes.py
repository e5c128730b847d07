"""Entries that waited for too long leave, and their senders get a receipt; empty mailboxes and forgotten devices go.

No unacknowledged entry is trimmed silently: it becomes a shadow entry, then the ``expired`` receipt is stored, and only
then the shadow entry goes. A crash in between repeats a receipt.
"""

import asyncio
import time
from functools import partial
from typing import Any, Final

import structlog

from delivery import keys
from delivery.scripts import DELETE_EMPTY, EXPIRE, EXPIRE_SHADOWS, ROTATE_DEDUPE
from protocol.identifiers import parse_stream_id
from protocol.stored_entries import Shadow, decode_shadow
from workers.jobs import Budget, JobServices

logger = structlog.get_logger(__name__)
DAY_SECONDS: Final = 86_400
SCANNED: Final = 500
"""Keys looked at in one step of the scan."""
BATCH_SIZE: Final = 200
"""Entries that one command works on: it takes Redis some milliseconds."""
FIRST_BATCH_SIZE: Final = 10
"""Entries in the first step of a rotation: most people have no more."""
SHADOW_BATCH_SIZE: Final = 1_000
"""Shadow entries read at once."""
MAX_HEAVY_COMMANDS: Final = 4
"""Commands of some milliseconds at once: while Redis works on them, all others wait."""
IN_FLIGHT_DAYS: Final = 1
"""How much longer a connection may have an entry in flight."""


class Run:
    """One run of the job.

    :param budget: None: no limit of time
    """

    def __init__(self, services: JobServices, budget: Budget | None = None) -> None:
        self.services = services
        self._budget = budget
        self.heavy = asyncio.Semaphore(MAX_HEAVY_COMMANDS)
        """Held around each command that may take Redis some milliseconds."""
        self.unfinished = False
        """Whether the run left a mailbox before the work on it was done."""

    def must_stop(self) -> bool:
        """Whether the work on a mailbox ends here, with more to do: the time is over."""
        if self._budget is None or not self._budget.over:
            return False
        self.unfinished = True
        return True

    @property
    def over(self) -> bool:
        """Whether no further step of the scan may begin."""
        return self._budget is not None and self._budget.over


async def expire_mailboxes(ctx: dict[str, Any]) -> int:
    """Look at the next so many people, where the last run stopped; returns how many entries expired.

    The position is saved after each step of the scan. A step that was cut off begins anew: what has expired has left by
    then, so that it takes less each time.
    """
    services: JobServices = ctx["services"]
    run = Run(services, Budget(services.settings.cap_minutes * 60))
    cursor = await services.redis.command("GET", keys.EXPIRY_CURSOR) or b"0"
    looked = expired = 0
    while looked < services.settings.cap_batch:
        following, found = await services.redis.command("SCAN", cursor, "MATCH", keys.EVERY_USER, "COUNT", SCANNED)
        mobiles = [mobile for name in found if (mobile := keys.mobile_of(name))]
        expired += await services.each(mobiles, partial(_work_on, run))
        if run.unfinished:
            break
        cursor, looked = following, looked + len(mobiles)
        await services.redis.write("SET", keys.EXPIRY_CURSOR, cursor)
        if cursor == b"0" or run.over:
            break
    if expired:
        logger.info("entries expired", people=looked, expired=expired)
    return expired


async def expire_mailbox(services: JobServices, mobile: str) -> int:
    """One person's mailbox, however long it takes; returns how many entries expired."""
    return await _work_on(Run(services), mobile)


async def _work_on(run: Run, mobile: str) -> int:
    person = run.services.users.keys(mobile)
    expired = await _expire(run, mobile)
    await _forget_devices(run.services, mobile)
    await run.services.redis.call(DELETE_EMPTY, person.of(DELETE_EMPTY))
    await _rotate_dedupe(run, mobile)
    return expired


async def _rotate_dedupe(run: Run, mobile: str) -> None:
    settings, names = run.services.settings, run.services.users.keys(mobile).of(ROTATE_DEDUPE)
    args = [settings.dedupe_seconds, settings.records_seconds]
    # Most people need no rotation, or have few entries to look at.
    verdict = (await run.services.redis.call(ROTATE_DEDUPE, names, [*args, FIRST_BATCH_SIZE]))[0]
    while verdict == b"more" and not run.must_stop():
        async with run.heavy:
            verdict = (await run.services.redis.call(ROTATE_DEDUPE, names, [*args, BATCH_SIZE]))[0]


async def _expire(run: Run, mobile: str) -> int:
    """First all entries that are due become shadow entries. Then their senders get receipts in the order of the chats'
    times: a blocked sender, some of whose chats were entries and some shadow entries, gets the receipts they would get
    if all had waited in the mailbox."""
    now, services = time.time(), run.services
    before, latest = (
        _first_id_at(now - (services.settings.mailbox_days + more) * DAY_SECONDS) for more in (0, IN_FLIGHT_DAYS)
    )
    person, left, start = services.users.keys(mobile), 0, "-"
    # Most mailboxes hold nothing that is due, and one entry is a small answer.
    due = await services.redis.command("XRANGE", person.mailbox, start, f"({before}", "COUNT", 1)
    while due:
        async with run.heavy:
            entries = await services.redis.command("XRANGE", person.mailbox, start, f"({before}", "COUNT", BATCH_SIZE)
            ids = [stream_id for stream_id, _ in entries]
            left += await services.redis.call(EXPIRE, person.of(EXPIRE), [latest, *ids]) if ids else 0
        if len(entries) < BATCH_SIZE:
            break
        if run.must_stop():
            return left  # the senders get their receipts when all are shadow entries
        start = f"({ids[-1].decode()}"
    shadows = await _due_shadows(services, mobile, before)
    for first in range(0, len(shadows), BATCH_SIZE):
        if first and run.must_stop():
            break
        batch = shadows[first : first + BATCH_SIZE]
        chats = [(shadow.sender, shadow.message_id, shadow.chat_id) for shadow in batch]
        await services.expiry.tell_senders(mobile, chats)
        async with run.heavy:
            ids = [shadow.shadow_id for shadow in batch]
            left += await services.redis.call(EXPIRE_SHADOWS, person.of(EXPIRE_SHADOWS), ids)
    return left


def _first_id_at(seconds: float) -> str:
    return f"{int(seconds * 1000)}-0"


async def _due_shadows(services: JobServices, mobile: str, before: str) -> list[Shadow]:
    """All of them, oldest chat first. Their own ids do not tell: the time is that of the chat."""
    name, limit, start, due = services.users.keys(mobile).shadows, parse_stream_id(before), "-", list[Shadow]()
    while True:
        found = await services.redis.command("XRANGE", name, start, "+", "COUNT", SHADOW_BATCH_SIZE)
        shadows = [decode_shadow(*entry) for entry in found]
        due += [shadow for shadow in shadows if parse_stream_id(shadow.chat_id) < limit]
        if len(found) < SHADOW_BATCH_SIZE:
            return sorted(due, key=lambda shadow: parse_stream_id(shadow.chat_id))
        start = f"({shadows[-1].shadow_id}"


async def _forget_devices(services: JobServices, mobile: str) -> None:
    limit = int((time.time() - services.settings.device_days * DAY_SECONDS) * 1000)
    for device, claimed_at in (await services.devices.known(mobile)).items():
        if claimed_at <= limit:
            await services.devices.forget(mobile, device, limit)
