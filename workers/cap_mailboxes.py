"""What waited for too long leaves, and its sender is told; empty mailboxes and forgotten devices go.

Nothing unacknowledged is ever trimmed silently: first the ``expired`` receipt is deposited, then the entry removed.
A crash in between repeats a receipt.
"""

import time
from collections import defaultdict
from typing import Any, Final

import structlog

from delivery import keys
from delivery.doorbell import ring_command
from delivery.scripts import EXPIRE, EXPIRE_PHANTOMS, TIDY
from workers.chores import Chores

logger = structlog.get_logger(__name__)
BATCH: Final = 200


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
    expired = await _expire_entries(chores, mobile, before) + await _expire_phantoms(chores, mobile, before)
    await _forget_devices(chores, mobile)
    mine = chores.people.keys(mobile)
    await chores.link.call(TIDY, [mine.record, mine.mailbox, mine.leases])
    return expired


async def _expire_entries(chores: Chores, mobile: str, before: str) -> int:
    mine, left = chores.people.keys(mobile), 0
    while True:
        entries = await chores.link.command("XRANGE", mine.mailbox, "-", f"({before}", "COUNT", BATCH)
        if not entries:
            return left
        chats = [(fields[3].decode(), fields[5].decode()) for _, fields in entries if fields[1] == b"c"]
        await _tell(chores, mobile, chats)
        args = [mine.bucket_seconds, *(stream_id for stream_id, _ in entries)]
        left += await chores.link.call(EXPIRE, [mine.mailbox, *mine.removal()], args)


async def _expire_phantoms(chores: Chores, mobile: str, before: str) -> int:
    mine, left = chores.people.keys(mobile), 0
    while True:
        phantoms = await chores.link.command("XRANGE", mine.phantoms, "-", f"({before}", "COUNT", BATCH)
        if not phantoms:
            return left
        await _tell(chores, mobile, [(fields[1].decode(), fields[3].decode()) for _, fields in phantoms])
        names = [mine.phantoms, mine.tally, mine.waiting, mine.bucket()]
        args = [mine.bucket_seconds, *(phantom_id for phantom_id, _ in phantoms)]
        left += await chores.link.call(EXPIRE_PHANTOMS, names, args)


async def _tell(chores: Chores, mobile: str, chats: list[tuple[str, str]]) -> None:
    by_sender: defaultdict[str, list[str]] = defaultdict(list)
    for sender, message_id in chats:
        by_sender[sender].append(message_id)
    for sender, message_ids in by_sender.items():
        deposit = await chores.mailbox.deposit_receipt(sender, mobile, "expired", message_ids)
        if deposit is None:
            continue
        for server in deposit.servers:
            await chores.link.command(*ring_command(server, sender, deposit.stream_id))


async def _forget_devices(chores: Chores, mobile: str) -> None:
    mine = chores.people.keys(mobile)
    limit = int((time.time() - chores.settings.device_days * 86_400) * 1000)
    fields = await chores.link.command("HGETALL", mine.record)
    for name, seen in zip(fields[::2], fields[1::2], strict=True):
        if name.startswith(b"dev:") and int(seen) <= limit:
            device = name.removeprefix(b"dev:").decode()
            await chores.mailbox.forget(mobile, device, limit)
