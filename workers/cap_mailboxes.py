"""What waited for too long leaves, and its sender is told; empty mailboxes and forgotten devices go.

Nothing unacknowledged is ever trimmed silently: first the ``expired`` receipt is deposited, then the entry removed.
A crash in between repeats a receipt.
"""

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import structlog

from delivery import keys
from delivery.scripts import EXPIRE, EXPIRE_PHANTOMS, TIDY, TURN
from protocol.identifiers import place_of
from workers.chores import Chores

logger = structlog.get_logger(__name__)
BATCH: Final = 200
PHANTOMS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Due:
    """What has waited too long.

    :param time: of the chat, as (ms, sequence number)
    :param id: its entry's, or its phantom's
    :param chat: (sender, messageId); None for a receipt
    """

    time: tuple[int, int]
    id: bytes
    chat: tuple[str, str] | None
    phantom: bool


def _due_entry(entry: tuple[bytes, list[bytes]]) -> Due:
    stream_id, fields = entry
    chat = (fields[3].decode(), fields[5].decode()) if fields[1] == b"c" else None
    return Due(place_of(stream_id.decode()), stream_id, chat, phantom=False)


def _due_phantom(phantom: tuple[bytes, list[bytes]]) -> Due:
    phantom_id, fields = phantom
    of_the_chat = fields[7] if len(fields) > 7 else phantom_id
    return Due(place_of(of_the_chat.decode()), phantom_id, (fields[1].decode(), fields[3].decode()), phantom=True)


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
    await chores.link.command("SET", keys.CAP_CURSOR, cursor)
    if expired:
        logger.info("mailboxes capped", people=looked, expired=expired)
    return expired


async def cap(chores: Chores, mobile: str) -> int:
    """One person's mailbox; returns how many entries expired."""
    before = f"{int((time.time() - chores.settings.mailbox_days * 86_400) * 1000)}-0"
    expired = await _expire(chores, mobile, before)
    await _forget_devices(chores, mobile)
    mine = chores.people.keys(mobile)
    await chores.link.call(TIDY, [mine.record, mine.mailbox, mine.leases])
    await _turn_records(chores, mobile)
    return expired


async def _turn_records(chores: Chores, mobile: str) -> None:
    mine, settings = chores.people.keys(mobile), chores.settings
    names = [mine.records, mine.records_before, mine.mailbox, mine.phantoms]
    args = [settings.dedupe_seconds, settings.records_seconds, BATCH]
    while (await chores.link.call(TURN, names, args))[0] == b"more":
        pass


async def _expire(chores: Chores, mobile: str, before: str) -> int:
    """Entries and phantoms in the order of their times, in common batches: a blocked sender, of whose chats some may
    be entries and some phantoms, gets the receipts he would get if they all waited."""
    mine, left = chores.people.keys(mobile), 0
    phantoms = await _due_phantoms(chores, mobile, before)
    while True:
        entries = await chores.link.command("XRANGE", mine.mailbox, "-", f"({before}", "COUNT", BATCH)
        due = sorted([*map(_due_entry, entries), *phantoms[:BATCH]], key=lambda each: each.time)[:BATCH]
        if not due:
            return left
        await _tell(chores, mobile, [each.chat for each in due if each.chat])
        leaving = [each.id for each in due if each.phantom]
        phantoms = phantoms[len(leaving) :]
        left += await _remove(chores, mobile, [each.id for each in due if not each.phantom], leaving)


async def _due_phantoms(chores: Chores, mobile: str, before: str) -> list[Due]:
    """All of them, oldest first. Their ids do not tell: a chat that became a phantom carries its time in a field."""
    mine, limit, start, due = chores.people.keys(mobile), place_of(before), "-", list[Due]()
    while True:
        phantoms = await chores.link.command("XRANGE", mine.phantoms, start, "+", "COUNT", PHANTOMS)
        due += [each for each in map(_due_phantom, phantoms) if each.time < limit]
        if len(phantoms) < PHANTOMS:
            return sorted(due, key=lambda each: each.time)
        start = f"({phantoms[-1][0].decode()}"


async def _remove(chores: Chores, mobile: str, entries: list[bytes], phantoms: list[bytes]) -> int:
    mine, left = chores.people.keys(mobile), 0
    if entries:
        left += await chores.link.call(EXPIRE, mine.removal, entries)
    if phantoms:
        left += await chores.link.call(EXPIRE_PHANTOMS, [mine.phantoms, mine.tally], phantoms)
    return left


async def _tell(chores: Chores, mobile: str, chats: list[tuple[str, str]]) -> None:
    by_sender: defaultdict[str, list[str]] = defaultdict(list)
    for sender, message_id in chats:
        by_sender[sender].append(message_id)
    for sender, message_ids in by_sender.items():
        # To whom a chat was delivered on one device, it is not expired on another: ticks only move forward.
        if untold := await chores.mailbox.untold(mobile, sender, message_ids):
            await chores.mailbox.deposit_receipt(sender, mobile, "expired", untold)


async def _forget_devices(chores: Chores, mobile: str) -> None:
    limit = int((time.time() - chores.settings.device_days * 86_400) * 1000)
    for device, seen in (await chores.devices.known(mobile)).items():
        if seen <= limit:
            await chores.devices.forget(mobile, device, limit)
