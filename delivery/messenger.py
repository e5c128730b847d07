"""The journey of a message, on one page: connect, send, acknowledge, disconnect.

Three orders carry the guarantees (docs/decisions):

1. connect: enter the hub, claim presence, read the mailbox;
2. disconnect: release presence if the lease still names this connection, leave the hub;
3. acknowledge: deposit the receipt in the sender's mailbox, then settle the entry in one's own.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal

import structlog

from delivery.hub import Hub, Member
from delivery.in_flight import Landed
from delivery.mailbox import Deposit, Deposited, Mailbox, Unloaded
from delivery.notifications import Notifications
from delivery.presence import Claimed, ClaimMode, Holder, Presence, just_now
from delivery.redis.client import resolve
from delivery.servers import Servers
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)
MOST: Final = 400
"""Names in one script: what a script does, all others wait for. Of the longest, they are 51 KiB of a receipt."""


class Messenger:
    """What connections do, whatever they speak. Every method raises ``ApiError("unavailable")`` while Redis is away."""

    def __init__(
        self, mailbox: Mailbox, presence: Presence, doorbell: Notifications, registry: Servers, hub: Hub
    ) -> None:
        self.mailbox = mailbox
        self.presence = presence
        self._doorbell = doorbell
        self._registry = registry
        self._hub = hub

    async def connect(
        self, holder: Holder, account_id: str, *, age: Callable[[], int] = just_now, mode: ClaimMode = "first"
    ) -> Claimed:
        """Claim the device for a connection that is in the hub; the one before it is told (close 4508).

        :raises Superseded, Silent, Unproven: see :meth:`delivery.presence.Presence.claim`
        :raises ApiError: ``too_many_devices``, ``session_revoked``, ``no_such_person``
        """
        await self._registry.add(holder.mobile)
        claimed = await self.presence.claim(holder, account_id, age=age, mode=mode)
        if claimed.before is not None:
            server, connection = claimed.before
            await self._doorbell.replaced(server, holder.mobile, connection)
        return claimed

    async def send(self, sender: str, to: str, chats: Sequence[tuple[str, str]]) -> list[str | ApiError]:
        """Store chats, as (messageId, text), durably and in order, and ring.

        :returns: the streamId of each, or why it has none: see :class:`delivery.mailbox.Deposited`
        :raises ApiError: ``no_such_person``
        """
        deposited = await self.mailbox.deposit(to, sender, chats)
        self._doorbell.notify(deposited.servers, to, deposited.newest)
        return deposited.stream_ids

    def send_soon(
        self,
        sender: str,
        to: str,
        chats: Sequence[tuple[str, str]],
        then: Callable[[list[str | ApiError] | Exception], None],
    ) -> None:
        """The same, told as the answer comes in; ``Unloaded`` when it must be left to :meth:`send`."""

        def stored(deposited: Deposited | Exception) -> None:
            if isinstance(deposited, Exception):
                then(deposited)
                return
            try:
                self._doorbell.notify(deposited.servers, to, deposited.newest)
            finally:
                then(deposited.stream_ids)

        self.mailbox.deposit_soon(to, sender, chats, stored)
        self._expect(to)

    async def acknowledge(
        self, holder: Holder, sender: str, message_ids: Sequence[str], *, shared: bool = False
    ) -> None:
        """The device has these chats of this sender, who gets a receipt for each ``MOST``. Only then may they be
        settled.

        :param shared: other devices have them too: of those that are known to be delivered or read, nothing is told
        """
        for start in range(0, len(message_ids), MOST):
            few = message_ids[start : start + MOST]
            if shared:
                known = set(await self._note(holder.mobile, sender, few))
                few = [message_id for message_id in few if message_id not in known]
            if few:
                await self._receipt(sender, holder.mobile, "delivered", few)

    def acknowledge_soon(
        self, holder: Holder, sender: str, message_ids: Sequence[str], then: Callable[[Exception | None], None]
    ) -> None:
        """The same, told as the answers come in; ``Unloaded`` when it must be left to :meth:`acknowledge`."""
        parts = [message_ids[start : start + MOST] for start in range(0, len(message_ids), MOST)]
        answers = _Answers(len(parts), then)
        for few in parts:
            self._receipt_soon(sender, holder.mobile, "delivered", few, answers.one)
        self._expect(sender)

    async def settle(self, holder: Holder, landed: Sequence[Landed]) -> None:
        """The device needs these entries no more, and their senders know."""
        await self.mailbox.settle(holder.mobile, holder.device, landed)

    async def mark_read(
        self, holder: Holder, sender: str, message_ids: Sequence[str], *, shared: bool = False
    ) -> list[str]:
        """The person read these chats; one receipt for those not marked yet. Returns the streamIds of all of them:
        what another device has marked already is settled here all the same.

        :param shared: other devices have them too, and must not tell afterwards that they are delivered
        """
        settled: list[str] = []
        for start in range(0, len(message_ids), MOST):
            few = message_ids[start : start + MOST]
            unread = await self.mailbox.unread(holder.mobile, sender, few)
            if unread and shared:
                await self._note(holder.mobile, sender, unread, "d")
            if unread:
                await self._receipt(sender, holder.mobile, "read", unread)
            settled += await self.mailbox.mark_read(holder.mobile, holder.device, sender, few)
        return settled

    async def disconnect(self, holder: Holder, member: Member, age_ms: int) -> None:
        """The connection ended, ``age_ms`` after its last sign of life."""
        try:
            await self.presence.release(holder, age_ms)
        except ApiError:
            logger.warning("a lease could not be released and runs out by itself")
        finally:
            last = self._hub.leave(member)
        if last:
            await self._forget_here(holder.mobile)

    def _note(
        self, mobile: str, sender: str, message_ids: Sequence[str], state: Literal["a", "d"] = "a"
    ) -> "asyncio.Future[list[str]]":
        noted: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.mailbox.acked(mobile, sender, message_ids, partial(resolve, noted), state)
        return noted

    async def _receipt(self, sender: str, reader: str, ack_type: str, message_ids: Sequence[str]) -> None:
        told = asyncio.get_running_loop().create_future()
        self._receipt_soon(sender, reader, ack_type, message_ids, partial(resolve, told))
        try:
            await told
        except Unloaded:
            deposit = await self.mailbox.deposit_receipt(sender, reader, ack_type, message_ids)
            if deposit is not None:
                self._doorbell.notify(deposit.servers, sender, deposit.stream_id)

    def _receipt_soon(
        self,
        sender: str,
        reader: str,
        ack_type: str,
        message_ids: Sequence[str],
        then: Callable[[Exception | None], None],
    ) -> None:
        """Noted first, in the same breath: who was told must not be told of an expiry, whatever ends before the chats
        are settled."""
        answers = _Answers(2, then)

        def stored(deposit: Deposit | Exception) -> None:
            try:
                if isinstance(deposit, Deposit):
                    self._doorbell.notify(deposit.servers, sender, deposit.stream_id)
            finally:
                answers.one(deposit)

        self.mailbox.acked(reader, sender, message_ids, answers.one)
        self.mailbox.deposit_receipt_soon(sender, reader, ack_type, message_ids, stored)

    def _expect(self, mobile: str) -> None:
        """Not while Redis is away or has too much to do: whoever expects something would try again and again."""
        if self.mailbox.is_healthy:
            self._hub.expect(mobile)

    async def _forget_here(self, mobile: str) -> None:
        try:
            await self._registry.remove(mobile)
        except ApiError:
            logger.warning("a person stays listed here until the sweep")


class _Answers:
    """So many that are waited for; then the first exception among them is told, or None. ``Unloaded`` is told only when
    there is no other: whoever hears of it believes that all else was done."""

    __slots__ = ("_error", "_left", "_then")

    def __init__(self, count: int, then: Callable[[Exception | None], None]) -> None:
        self._left = count
        self._then = then
        self._error: Exception | None = None

    def one(self, answer: object) -> None:
        """One of them."""
        if isinstance(answer, Exception) and (self._error is None or isinstance(self._error, Unloaded)):
            self._error = answer
        self._left -= 1
        if not self._left:
            self._then(self._error)
