"""What waited for too long leaves, and its sender is told; empty mailboxes and forgotten devices go.

Nothing unacknowledged is ever trimmed silently: an entry becomes a phantom, then the ``expired`` receipt is deposited,
and only then the phantom goes. A crash in between repeats a receipt.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import structlog

from delivery import keys
from delivery.scripts import EXPIRE, EXPIRE_PHANTOMS, TIDY, TURN
from protocol.identifiers import place_of
from workers.chores import Chores

logger = structlog.get_logger(__name__)
BATCH: Final = 200
PHANTOMS: Final = 1_000
DAY: Final = 86_400
FLIGHT_DAYS: Final = 1
"""So much longer a connection may have an entry in flight."""


class Due(NamedTuple):
    """A phantom that has waited too long.

    :param time: of the chat, as (ms, sequence number)
    :param id: the phantom's
    """

    time: tuple[int, int]
    id: bytes
    sender: str
    message_id: str


def _due(phantom: tuple[bytes, list[bytes]]) -> Due:
    phantom_id, fields = phantom
    of_the_chat = fields[7] if len(fields) > 7 else phantom_id
    return Due(place_of(of_the_chat.decode()), phantom_id, fields[1].decode(), fields[3].decode())


async def cap_mailboxes(ctx: dict[str, Any]) -> int:
    """Look at the next so many people, where the last run stopped; returns how many entries expired."""
    chores: Chores = ctx["chores"]
    cursor = await chores.link.command("GET", keys.CAP_CURSOR) or b"0"
    looked = expired = 0
    while looked < chores.settings.cap_batch:
        cursor, found = await chores.link.command("SCAN", cursor, "MATCH", keys.EVERY_RECORD, "COUNT", 500)
        for name in found:
            if mobile := keys.mobile_of(name):
                looked += 1
                expired += await cap(chores, mobile)
        if cursor == b"0":
            break
    await chores.link.write("SET", keys.CAP_CURSOR, cursor)
    if expired:
        logger.info("mailboxes capped", people=looked, expired=expired)
    return expired


async def cap(chores: Chores, mobile: str) -> int:
    """One person's mailbox; returns how many entries expired."""
    now = time.time()
    before, latest = (_place(now - (chores.settings.mailbox_days + more) * DAY) for more in (0, FLIGHT_DAYS))
    expired = await _expire(chores, mobile, before, latest)
    await _forget_devices(chores, mobile)
    mine = chores.people.keys(mobile)
    await chores.link.call(TIDY, [mine.record, mine.mailbox, mine.leases])
    await _turn_records(chores, mobile)
    return expired


def _place(seconds: float) -> str:
    return f"{int(seconds * 1000)}-0"


async def _turn_records(chores: Chores, mobile: str) -> None:
    mine, settings = chores.people.keys(mobile), chores.settings
    names = [mine.records, mine.records_before, mine.mailbox, mine.phantoms]
    args = [settings.dedupe_seconds, settings.records_seconds, BATCH]
    while (await chores.link.call(TURN, names, args))[0] == b"more":
        pass


async def _expire(chores: Chores, mobile: str, before: str, latest: str) -> int:
    """Entries become phantoms first. Then all are told in the order of their times: a blocked sender, of whose chats
    some were entries and some were not, gets the receipts he would get if they all had waited."""
    mine, left, start = chores.people.keys(mobile), 0, "-"
    while entries := await chores.link.command("XRANGE", mine.mailbox, start, f"({before}", "COUNT", BATCH):
        left += await chores.link.call(EXPIRE, mine.expiring, [latest, *(stream_id for stream_id, _ in entries)])
        start = f"({entries[-1][0].decode()}"
    phantoms = await _due_phantoms(chores, mobile, before)
    for first in range(0, len(phantoms), BATCH):
        some = phantoms[first : first + BATCH]
        await _tell(chores, mobile, some)
        left += await chores.link.call(EXPIRE_PHANTOMS, [mine.phantoms, mine.tally], [each.id for each in some])
    return left


async def _due_phantoms(chores: Chores, mobile: str, before: str) -> list[Due]:
    """All of them, oldest first. Their ids do not tell: a chat that became a phantom carries its time in a field."""
    mine, limit, start, due = chores.people.keys(mobile), place_of(before), "-", list[Due]()
    while True:
        phantoms = await chores.link.command("XRANGE", mine.phantoms, start, "+", "COUNT", PHANTOMS)
        due += [each for each in map(_due, phantoms) if each.time < limit]
        if len(phantoms) < PHANTOMS:
            return sorted(due, key=lambda each: each.time)
        start = f"({phantoms[-1][0].decode()}"


async def _tell(chores: Chores, mobile: str, phantoms: Sequence[Due]) -> None:
    by_sender: defaultdict[str, list[str]] = defaultdict(list)
    for each in phantoms:
        by_sender[each.sender].append(each.message_id)
    for sender, message_ids in by_sender.items():
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
