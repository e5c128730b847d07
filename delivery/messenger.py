"""The journey of a message, on one page: connect, send, acknowledge, disconnect.

Three orders carry the guarantees (docs/decisions):

1. connect: enter the hub, claim presence, read the mailbox;
2. disconnect: release presence if the lease still names this connection, leave the hub;
3. acknowledge: deposit the receipt in the sender's mailbox, then settle the entry in one's own.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog

from delivery.doorbell import Doorbell
from delivery.hub import Hub, Member
from delivery.mailbox import Deposit, Mailbox
from delivery.presence import Claimed, Holder, Presence
from delivery.registry import Registry
from protocol.refusals import Refusal

logger = structlog.get_logger(__name__)
FORGET_SECONDS: Final = 5.0
FORGET_TRIES: Final = 50


class Acked(NamedTuple):
    """A chat its recipient has: where it waits, and how its sender knows it."""

    stream_id: str
    sender: str
    message_id: str


class Messenger:
    """What connections do, whatever they speak. Every method raises ``Refusal("unavailable")`` while Redis is away."""

    def __init__(self, mailbox: Mailbox, presence: Presence, doorbell: Doorbell, registry: Registry, hub: Hub) -> None:
        self.mailbox = mailbox
        self.presence = presence
        self._doorbell = doorbell
        self._registry = registry
        self._hub = hub

    async def connect(self, holder: Holder, account_id: str) -> Claimed:
        """Claim the device for a connection that is in the hub; the one before it is told (close 4508).

        :raises Refusal: ``too_many_devices``, ``session_revoked``, ``no_such_person``
        """
        await self._registry.add(holder.mobile)
        claimed = await self.presence.claim(holder, account_id)
        if claimed.before is not None:
            server, connection = claimed.before
            await self._doorbell.replaced(server, holder.mobile, connection)
        return claimed

    async def send(self, sender: str, to: str, message_id: str, message: str) -> Deposit:
        """Store a chat durably and ring.

        :raises Refusal: ``no_such_person``, ``mailbox_full``
        """
        deposit = await self.mailbox.deposit(to, sender, message_id, message)
        await self._ring(deposit, to)
        return deposit

    async def acknowledge(self, holder: Holder, chats: Sequence[Acked], receipts: Sequence[str]) -> None:
        """The device has these entries. Each sender gets one receipt, and only then the entries are settled."""
        by_sender: defaultdict[str, list[str]] = defaultdict(list)
        for chat in chats:
            by_sender[chat.sender].append(chat.message_id)
        for sender, message_ids in by_sender.items():
            await self._receipt(sender, holder.mobile, "delivered", message_ids)
        ids = [chat.stream_id for chat in chats] + list(receipts)
        if ids:
            await self.mailbox.settle(holder.mobile, holder.device, ids)

    async def mark_read(self, holder: Holder, sender: str, message_ids: Sequence[str]) -> list[str]:
        """The person read these chats; one receipt for those not marked yet. Returns the streamIds of all of them:
        what another device has marked already is settled here all the same."""
        unread = await self.mailbox.unread(holder.mobile, sender, message_ids)
        if unread:
            await self._receipt(sender, holder.mobile, "read", unread)
        return await self.mailbox.mark_read(holder.mobile, holder.device, sender, message_ids)

    async def disconnect(self, holder: Holder, member: Member, age_ms: int) -> None:
        """The connection ended, ``age_ms`` after its last sign of life."""
        try:
            await self.presence.release(holder, age_ms)
        except Refusal:
            logger.warning("a lease could not be released and runs out by itself")
        finally:
            last = self._hub.leave(member)
        if last:
            await self._forget_here(holder.mobile)

    async def forget(self, mobile: str, device: str) -> None:
        """The device was logged out: nothing waits for it any more, and another may take its place."""
        try:
            # Its connection, if there is one, was told just now and takes a moment to release the lease.
            for _ in range(FORGET_TRIES):
                if await self.mailbox.forget(mobile, device) != "connected":
                    return
                await asyncio.sleep(FORGET_SECONDS / FORGET_TRIES)
        except Refusal:
            pass
        logger.warning("a device that was logged out is waited for until DEVICE_DAYS are over")

    async def _receipt(self, sender: str, reader: str, ack_type: str, message_ids: Sequence[str]) -> None:
        deposit = await self.mailbox.deposit_receipt(sender, reader, ack_type, message_ids)
        if deposit is not None:
            await self._ring(deposit, sender)

    async def _ring(self, deposit: Deposit, mobile: str) -> None:
        try:
            await self._doorbell.ring(deposit.servers, mobile, deposit.stream_id)
        except Refusal:
            # The entry is stored: a lost ring only costs time, a refusal would tell the sender a lie.
            logger.warning("a ring was lost")

    async def _forget_here(self, mobile: str) -> None:
        try:
            await self._registry.remove(mobile)
        except Refusal:
            logger.warning("a person stays listed here until the sweep")
