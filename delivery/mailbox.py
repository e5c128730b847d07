"""A person's waiting entries: deposit, collect, settle. Each step is one script; see ``lua/``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from delivery.link import Arg, Link
from delivery.people import People
from delivery.presence import Holder, Verdict
from delivery.scripts import COLLECT, FORGET, MARK_READ, RECEIPT, SEND, SETTLE, UNREAD
from protocol.entries import Chat, Entry, Receipt
from protocol.refusals import Refusal
from settings import Settings

START = "0-0"
EVER = 2**53
"""Ms later than any clock tells, and exact in Lua."""
Mode = Literal["pending", "new", "again"]
Forgotten = Literal["unknown", "connected", "recent", "forgotten"]


@dataclass(frozen=True, slots=True)
class Deposit:
    """An entry has its place; ``servers`` hold live connections of its owner and are to be rung."""

    stream_id: str
    servers: list[str]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a connection got. ``read`` counts also what was dropped because its sender is blocked by now."""

    verdict: Verdict
    cursor: str
    read: int
    entries: list[Entry]


class Mailbox:
    """All mailboxes, seen from one server."""

    def __init__(self, link: Link, people: People, settings: Settings) -> None:
        self._link = link
        self._people = people
        self._limits: list[Arg] = [settings.mailbox_limit, settings.mailbox_bytes, settings.mailbox_per_sender]

    async def deposit(self, to: str, sender: str, message_id: str, message: str) -> Deposit:
        """A chat. Repeated with the same ``message_id`` it gets the first answer again.

        :raises Refusal: ``no_such_person``, ``mailbox_full``, ``unavailable``
        """
        keys = self._people.keys(to)
        names = [keys.record, keys.mailbox, keys.blocks, keys.phantoms, keys.leases, keys.tally, keys.waiting]
        args: list[Arg] = [sender, message_id, message.encode(), *self._limits]
        for _ in range(2):
            verdict, stream_id, servers = await self._link.call(SEND, [*names, *keys.buckets()], args)
            if verdict == b"full":
                raise Refusal("mailbox_full")
            if verdict != b"unloaded":
                return _deposit(stream_id, servers)
            await self._people.load(to)
        raise Refusal("unavailable")

    async def deposit_receipt(self, to: str, sender: str, ack_type: str, message_ids: Sequence[str]) -> Deposit | None:
        """A receipt for the sender of chats; None when his account is gone.

        :raises Refusal: ``unavailable``
        """
        keys = self._people.keys(to)
        args = [sender, ack_type, " ".join(message_ids)]
        for _ in range(2):
            words = [keys.record, keys.mailbox, keys.leases]
            verdict, stream_id, servers = await self._link.call(RECEIPT, words, args)
            if verdict == b"stored":
                return _deposit(stream_id, servers)
            try:
                await self._people.load(to)
            except Refusal as refusal:
                if refusal.code == "no_such_person":
                    return None
                raise
        raise Refusal("unavailable")

    async def collect(
        self, holder: Holder, mode: Mode, count: int, cursor: str = START, ids: Sequence[str] = ()
    ) -> Collected:
        """The next entries for this connection, if it still holds the lease."""
        keys = self._people.keys(holder.mobile)
        names = [keys.leases, keys.mailbox, keys.blocks, *keys.removal()]
        args: list[Arg] = [
            holder.device,
            holder.server_id,
            holder.connection_id,
            mode,
            count,
            keys.bucket_seconds,
            cursor,
            *ids,
        ]
        verdict, after, read, entries = await self._link.call(COLLECT, names, args)
        return Collected(verdict.decode(), after.decode(), read, [_entry(*entry) for entry in entries])

    async def settle(self, mobile: str, device: str, ids: Sequence[str]) -> None:
        """This device has these entries. Again is as good as once."""
        keys = self._people.keys(mobile)
        await self._link.call(SETTLE, [keys.mailbox, *keys.removal()], [device, keys.bucket_seconds, *ids])

    async def unread(self, mobile: str, sender: str, message_ids: Sequence[str]) -> list[str]:
        """Which of this sender's chats are known here and not marked read."""
        keys = self._people.keys(mobile)
        found = await self._link.call(UNREAD, [keys.blocks, keys.waiting, *keys.buckets()], [sender, *message_ids])
        return [message_id.decode() for message_id in found]

    async def mark_read(self, mobile: str, device: str, sender: str, message_ids: Sequence[str]) -> list[str]:
        """Mark chats read, settling those that still wait; returns their streamIds."""
        keys = self._people.keys(mobile)
        names = [keys.mailbox, *keys.removal(), keys.bucket(-1), keys.bucket(1), keys.blocks]
        args: list[Arg] = [device, keys.bucket_seconds, sender, *message_ids]
        return [stream_id.decode() for stream_id in await self._link.call(MARK_READ, names, args)]

    async def forget(self, mobile: str, device: str, not_seen_since: int = EVER) -> Forgotten:
        """Wait for this device no more: what only it had still to settle leaves, and another may take its place.

        :param not_seen_since: ms; a device seen later is kept
        """
        keys = self._people.keys(mobile)
        names = [keys.record, keys.mailbox, keys.leases, *keys.removal()]
        verdict, _ = await self._link.call(FORGET, names, [device, keys.bucket_seconds, not_seen_since])
        found: Forgotten = verdict.decode()
        return found

    async def failed(self, mobile: str, stream_id: str) -> int:
        """Our own code failed on this entry; how often by now."""
        count: int = await self._link.command("HINCRBY", self._people.keys(mobile).parked, stream_id, 1)
        return count


def _deposit(stream_id: bytes, servers: list[bytes]) -> Deposit:
    return Deposit(stream_id.decode(), [server.decode() for server in servers])


def _entry(stream_id: bytes, fields: list[Any]) -> Entry:
    if fields[1] == b"c":
        return Chat(stream_id.decode(), fields[3].decode(), fields[5].decode(), fields[7].decode())
    return Receipt(stream_id.decode(), fields[3].decode(), fields[5].decode(), fields[7].decode().split(" "))
