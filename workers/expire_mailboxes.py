"""What waited for too long leaves, and its sender is told; empty mailboxes and forgotten devices go.

Nothing unacknowledged is ever trimmed silently: an entry becomes a phantom, then the ``expired`` receipt is deposited,
and only then the phantom goes. A crash in between repeats a receipt.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import structlog

from delivery import keys
from delivery.scripts import DELETE_EMPTY, EXPIRE, EXPIRE_SHADOWS, ROTATE_DEDUPE
from protocol.identifiers import parse_stream_id
from protocol.stored_entries import Shadow, decode_shadow
from workers.jobs import Budget, Chores

logger = structlog.get_logger(__name__)
BATCH: Final = 200
PHANTOMS: Final = 1_000
DAY: Final = 86_400
SCANNED: Final = 500
"""Keys looked at in one step of the scan."""
HEAVY_AT_ONCE: Final = 4
"""So many commands of some milliseconds at once: while Redis works on them, all others wait."""
FEW: Final = 10
SENDERS_AT_ONCE: Final = 20
FLIGHT_DAYS: Final = 1
"""So much longer a connection may have an entry in flight."""


class Run:
    """One run of the job.

    :param budget: None: no limit of time
    """

    def __init__(self, chores: Chores, budget: Budget | None = None) -> None:
        self.chores = chores
        self._budget = budget
        self.heavy = asyncio.Semaphore(HEAVY_AT_ONCE)
        """Held around each command that may take Redis some milliseconds."""
        self.unfinished = False
        """Whether somebody's turn ended before they were through."""

    def stops(self) -> bool:
        """Whether a turn ends here, with more to do: the time is over."""
        if self._budget is None or not self._budget.over:
            return False
        self.unfinished = True
        return True

    @property
    def over(self) -> bool:
        """Whether no further step of the scan may begin."""
        return self._budget is not None and self._budget.over


async def cap_mailboxes(ctx: dict[str, Any]) -> int:
    """Look at the next so many people, where the last run stopped; returns how many entries expired.

    The place is saved after each step of the scan. A step is begun anew when it was cut off: what has expired has left
    by then, so that it takes less each time.
    """
    chores: Chores = ctx["chores"]
    run = Run(chores, Budget(chores.settings.cap_minutes * 60))
    cursor = await chores.link.command("GET", keys.EXPIRY_CURSOR) or b"0"
    looked = expired = 0
    while looked < chores.settings.cap_batch:
        following, found = await chores.link.command("SCAN", cursor, "MATCH", keys.EVERY_USER, "COUNT", SCANNED)
        mobiles = [mobile for name in found if (mobile := keys.mobile_of(name))]
        expired += await chores.each(mobiles, partial(_cap, run))
        if run.unfinished:
            break
        cursor, looked = following, looked + len(mobiles)
        await chores.link.write("SET", keys.EXPIRY_CURSOR, cursor)
        if cursor == b"0" or run.over:
            break
    if expired:
        logger.info("mailboxes capped", people=looked, expired=expired)
    return expired


async def cap(chores: Chores, mobile: str) -> int:
    """One person's mailbox, however long it takes; returns how many entries expired."""
    return await _cap(Run(chores), mobile)


async def _cap(run: Run, mobile: str) -> int:
    mine = run.chores.people.keys(mobile)
    expired = await _expire(run, mobile)
    await _forget_devices(run.chores, mobile)
    await run.chores.link.call(DELETE_EMPTY, mine.of(DELETE_EMPTY))
    await _turn_records(run, mobile)
    return expired


def _place(seconds: float) -> str:
    return f"{int(seconds * 1000)}-0"


async def _turn_records(run: Run, mobile: str) -> None:
    mine, settings = run.chores.people.keys(mobile), run.chores.settings
    names = mine.of(ROTATE_DEDUPE)
    args = [settings.dedupe_seconds, settings.records_seconds]
    # Most need no turn, or have few entries to look at.
    verdict = (await run.chores.link.call(ROTATE_DEDUPE, names, [*args, FEW]))[0]
    while verdict == b"more" and not run.stops():
        async with run.heavy:
            verdict = (await run.chores.link.call(ROTATE_DEDUPE, names, [*args, BATCH]))[0]


async def _expire(run: Run, mobile: str) -> int:
    """Entries become phantoms first. Then all are told in the order of their times: a blocked sender, of whose chats
    some were entries and some were not, gets the receipts they would get if they all had waited."""
    now, chores = time.time(), run.chores
    before, latest = (_place(now - (chores.settings.mailbox_days + more) * DAY) for more in (0, FLIGHT_DAYS))
    mine, left, start = chores.people.keys(mobile), 0, "-"
    # Most have nothing that is due, and one entry is a small answer.
    due = await chores.link.command("XRANGE", mine.mailbox, start, f"({before}", "COUNT", 1)
    while due:
        async with run.heavy:
            entries = await chores.link.command("XRANGE", mine.mailbox, start, f"({before}", "COUNT", BATCH)
            ids = [stream_id for stream_id, _ in entries]
            left += await chores.link.call(EXPIRE, mine.of(EXPIRE), [latest, *ids]) if ids else 0
        if len(entries) < BATCH:
            break
        if run.stops():
            return left  # the senders are told when all of them are phantoms
        start = f"({ids[-1].decode()}"
    phantoms = await _due_phantoms(chores, mobile, before)
    for first in range(0, len(phantoms), BATCH):
        if first and run.stops():
            break
        some = phantoms[first : first + BATCH]
        await _tell(chores, mobile, some)
        async with run.heavy:
            left += await chores.link.call(EXPIRE_SHADOWS, mine.of(EXPIRE_SHADOWS), [each.shadow_id for each in some])
    return left


async def _due_phantoms(chores: Chores, mobile: str, before: str) -> list[Shadow]:
    """All of them, oldest first. Their ids do not tell: a chat that became a phantom carries its time in a field."""
    mine, limit, start, due = chores.people.keys(mobile), parse_stream_id(before), "-", list[Shadow]()
    while True:
        found = await chores.link.command("XRANGE", mine.shadows, start, "+", "COUNT", PHANTOMS)
        shadows = [decode_shadow(*entry) for entry in found]
        due += [each for each in shadows if parse_stream_id(each.chat_id) < limit]
        if len(found) < PHANTOMS:
            return sorted(due, key=lambda each: parse_stream_id(each.chat_id))
        start = f"({shadows[-1].shadow_id}"


async def _tell(chores: Chores, mobile: str, phantoms: Sequence[Shadow]) -> None:
    by_sender: defaultdict[str, list[str]] = defaultdict(list)
    for each in phantoms:
        by_sender[each.sender].append(each.message_id)
    senders = list(by_sender.items())
    for first in range(0, len(senders), SENDERS_AT_ONCE):
        some = senders[first : first + SENDERS_AT_ONCE]
        await asyncio.gather(*[_tell_sender(chores, mobile, sender, ids) for sender, ids in some])


async def _tell_sender(chores: Chores, mobile: str, sender: str, message_ids: Sequence[str]) -> None:
    # Ticks only move forward: who may have been told of a delivery, by a server that ended before it settled, is
    # told of it once more, and of no expiry.
    untold, unsure = await chores.mailbox.untold(mobile, sender, message_ids)
    for ack_type, ids in (("delivered", unsure), ("expired", untold)):
        if ids:
            await chores.mailbox.deposit_receipt(sender, mobile, ack_type, ids)


async def _forget_devices(chores: Chores, mobile: str) -> None:
    limit = int((time.time() - chores.settings.device_days * 86_400) * 1000)
    for device, seen in (await chores.devices.known(mobile)).items():
        if seen <= limit:
            await chores.devices.forget(mobile, device, limit)
