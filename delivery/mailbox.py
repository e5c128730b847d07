"""A person's waiting entries: deposit, collect, settle. Each step is one script; see ``lua/``."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from zlib import crc32

import structlog

from delivery.in_flight import Landed
from delivery.presence import Holder, Verdict
from delivery.rate_limits import rate_limited
from delivery.redis.client import Arg, RedisClient
from delivery.redis.replication import ScriptRunner
from delivery.scripts import (
    FETCH,
    FIND_UNACKNOWLEDGED,
    FIND_UNREAD,
    MARK_READ,
    NOTE_ACKNOWLEDGED,
    NOTE_ANSWERED,
    SETTLE,
    STORE_CHATS,
    STORE_RECEIPT,
)
from delivery.send_limits import ANSWERED_SECONDS, MAX_ANSWERED, SendLimits
from delivery.storage import Storage
from delivery.user_records import UserRecords
from protocol.entries import Entry
from protocol.errors import ApiError
from protocol.stored_entries import decode_entry
from settings import Settings

logger = structlog.get_logger(__name__)
START = "0-0"
FULL: Final = ApiError("mailbox_full")
REUSED: Final = ApiError("message_id_reused")
_REFUSALS: Final = {b"full": FULL, b"reused": REUSED}
"""What the script says of a chat that it does not store."""
_NO_QUESTION: Final[list[Arg]] = ["", "0", "0", "0"]
Mode = Literal["pending", "new", "again"]


class Unloaded(Exception):
    """Redis does not know the person: PostgreSQL must be asked first."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """A receipt has its place; ``servers`` hold live connections of its owner and were rung, but for our own."""

    stream_id: str
    servers: list[str]


@dataclass(frozen=True, slots=True)
class Deposited:
    """What became of chats.

    :param newest: streamId of the newest that waits, or "": there is nothing to ring for
    :param servers: they hold live connections of the owner and were rung, but for our own
    :param stream_ids: the place of each, or why it has none: :data:`FULL`, :data:`REUSED`
    """

    newest: str
    servers: list[str]
    stream_ids: list[str | ApiError]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a connection got. ``read`` counts also what became a phantom: its sender is blocked by now. ``shared``:
    other devices of the person have copies, as far as is known."""

    verdict: Verdict
    cursor: str
    read: int
    entries: list[Entry]
    shared: bool = False


class Mailbox:
    """All mailboxes, seen from one server, whose own connections are not rung over the wire ("": from none).

    :param durable: runs what somebody is told of or given; None: the link
    :param storage: knows whether there is room for chats; None: there is
    :param limits: of how much one person may send; None: there are none
    """

    def __init__(
        self,
        link: RedisClient,
        people: UserRecords,
        settings: Settings,
        server_id: str = "",
        durable: ScriptRunner | None = None,
        storage: Storage | None = None,
        limits: SendLimits | None = None,
    ) -> None:
        self._storage = storage
        self._link = link
        self._durable: ScriptRunner = durable or link
        self._people = people
        self._server_id = server_id
        self._send_limits = limits
        self.admit = limits.admit if limits is not None and limits.on else None
        """Whether a chat may go on to :meth:`deposit`, by sender, recipient and bytes of text: raises ``rate_limited``.
        None: there are no limits."""
        self._most_bytes_of_one = str(settings.mailbox_bytes_per_sender)
        limits_in_words = (
            settings.mailbox_limit,
            settings.mailbox_bytes,
            settings.mailbox_per_sender,
            settings.records_seconds,
        )
        self._limits: list[Arg] = [str(each) for each in limits_in_words]

    @property
    def is_healthy(self) -> bool:
        """Whether Redis is there and has little to do: a read that may be in vain does no harm."""
        return self._durable.is_healthy

    async def deposit(self, to: str, sender: str, chats: Sequence[tuple[str, str]]) -> Deposited:
        """Chats of one sender, as (messageId, text), in their order. One repeated gets its first answer again.

        :raises ApiError: ``no_such_person``, ``rate_limited``, ``storage_full``, ``unavailable``: for all of them
        """
        if self._full:
            raise ApiError("storage_full")
        names, args = self._people.keys(to).of(STORE_CHATS), self._sending(to, sender, chats)
        for _ in range(2):
            reply = await self._durable.call(STORE_CHATS, names, args)
            if reply[0] == b"done":
                return self._deposited(to, sender, reply)
            await self._load(to, sender)
        raise ApiError("unavailable")

    def deposit_soon(
        self, to: str, sender: str, chats: Sequence[tuple[str, str]], then: Callable[[Deposited | Exception], None]
    ) -> None:
        """The same, told as the answer comes in; :class:`Unloaded` when it must be left to :meth:`deposit`."""
        if self._full:
            asyncio.get_running_loop().call_soon(then, ApiError("storage_full"))
            return

        def heard(reply: Any) -> None:
            if isinstance(reply, Exception):
                then(reply)
            else:
                then(self._deposited(to, sender, reply) if reply[0] == b"done" else Unloaded())

        self._durable.request(
            STORE_CHATS, self._people.keys(to).of(STORE_CHATS), self._sending(to, sender, chats), heard
        )

    @property
    def _full(self) -> bool:
        """Whether no chat is taken now. One that is stored already is refused, too: to find it would need the trip to
        Redis that is not made."""
        return self._storage is not None and self._storage.full

    def _sending(self, to: str, sender: str, chats: Sequence[tuple[str, str]]) -> list[Arg]:
        limits = self._send_limits
        question = _NO_QUESTION if limits is None else limits.script_args(sender, to)
        args: list[Arg] = [sender, *self._limits, self._server_id, to, self._most_bytes_of_one, *question]
        for message_id, message in chats:
            text = message.encode()
            args += (message_id, text, _digest(text))
        return args

    def _deposited(self, to: str, sender: str, reply: list[Any]) -> Deposited:
        _, newest, servers, answers, standing = reply
        limits = self._send_limits
        if limits is None or not limits.on:
            told = [_REFUSALS.get(answer) or answer.decode() for answer in answers]
        else:
            waits = limits.handle_result(sender, to, standing, answers)
            told = [
                rate_limited(wait) if wait else _REFUSALS.get(answer) or answer.decode()
                for answer, wait in zip(answers, waits, strict=True)
            ]
            if newest and limits.needs_note(sender, to):
                args: list[Arg] = [to, ANSWERED_SECONDS, MAX_ANSWERED]
                self._link.request(NOTE_ANSWERED, self._people.keys(sender).of(NOTE_ANSWERED), args, _note_loss)
        return Deposited(newest.decode(), [server.decode() for server in servers], told)

    async def _load(self, to: str, sender: str) -> None:
        limits = self._send_limits
        if limits is None:
            await self._people.load(to)
            return
        try:
            await limits.look_up(sender)
            await self._people.load(to)
        except ApiError:
            limits.handle_unknown_recipient(sender, to)
            raise

    async def deposit_receipt(self, to: str, sender: str, ack_type: str, message_ids: Sequence[str]) -> Deposit | None:
        """A receipt for the sender of chats; None when his account is gone.

        :raises ApiError: ``unavailable``
        """
        names, args = self._people.keys(to).of(STORE_RECEIPT), self._telling(to, sender, ack_type, message_ids)
        for _ in range(2):
            verdict, stream_id, servers = await self._durable.call(STORE_RECEIPT, names, args)
            if verdict == b"stored":
                return _deposit(stream_id, servers)
            try:
                await self._people.load(to)
            except ApiError as refusal:
                if refusal.code == "no_such_person":
                    return None
                raise
        raise ApiError("unavailable")

    def deposit_receipt_soon(
        self,
        to: str,
        sender: str,
        ack_type: str,
        message_ids: Sequence[str],
        then: Callable[[Deposit | Exception], None],
    ) -> None:
        """The same, told as the answer comes in; :class:`Unloaded` when it must be left to :meth:`deposit_receipt`."""

        def heard(reply: Any) -> None:
            if isinstance(reply, Exception):
                then(reply)
            else:
                verdict, stream_id, servers = reply
                then(_deposit(stream_id, servers) if verdict == b"stored" else Unloaded())

        args = self._telling(to, sender, ack_type, message_ids)
        self._durable.request(STORE_RECEIPT, self._people.keys(to).of(STORE_RECEIPT), args, heard)

    def _telling(self, to: str, sender: str, ack_type: str, message_ids: Sequence[str]) -> list[Arg]:
        return [sender, ack_type, " ".join(message_ids), self._server_id, to]

    async def collect(
        self,
        holder: Holder,
        mode: Mode,
        count: int,
        cursor: str = START,
        ids: Sequence[str] = (),
        landed: Sequence[Landed] = (),
    ) -> Collected:
        """The next entries for this connection, if it still holds the lease; then ``landed`` are settled on the way."""
        args = _collecting(holder, mode, count, cursor, ids, landed)
        return _collected(await self._durable.call(FETCH, self._people.keys(holder.mobile).of(FETCH), args))

    def collect_soon(
        self, holder: Holder, count: int, landed: Sequence[Landed], then: Callable[[Collected | Exception], None]
    ) -> None:
        """New entries, told as the answer comes in."""

        def heard(reply: Any) -> None:
            then(reply if isinstance(reply, Exception) else _collected(reply))

        args = _collecting(holder, "new", count, START, (), landed)
        self._durable.request(FETCH, self._people.keys(holder.mobile).of(FETCH), args, heard)

    async def settle(self, mobile: str, device: str, landed: Sequence[Landed]) -> None:
        """This device has these entries. Again is as good as once."""
        await self._link.call(SETTLE, self._people.keys(mobile).of(SETTLE), [device, len(landed), *_settled(landed)])

    async def unread(self, mobile: str, sender: str, message_ids: Sequence[str]) -> list[str]:
        """Which of this sender's chats are known here and not marked read."""
        keys = self._people.keys(mobile)
        found = await self._link.call(FIND_UNREAD, keys.of(FIND_UNREAD), [sender, *message_ids])
        return [message_id.decode() for message_id in found]

    def acked(
        self,
        mobile: str,
        sender: str,
        message_ids: Sequence[str],
        then: Callable[[list[str] | Exception], None],
        state: Literal["a", "d"] = "a",
    ) -> None:
        """Note that a device of this person has these chats, and that their sender is about to be told.

        ``then`` gets those of which the sender knows as much already, or more: that they are delivered, or read.

        Written before this returns: a receipt that is deposited next comes after it.
        """

        def heard(reply: Any) -> None:
            then([message_id.decode() for message_id in reply] if reply and isinstance(reply, list) else reply)

        keys = self._people.keys(mobile)
        self._durable.request(NOTE_ACKNOWLEDGED, keys.of(NOTE_ACKNOWLEDGED), [sender, state, *message_ids], heard)

    async def untold(self, mobile: str, sender: str, message_ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Of which of these chats that wait here its sender was told nothing: no device of this person has them. And of
        which he may have been told that they are delivered: one was about to tell him, and did not settle them."""
        keys = self._people.keys(mobile)
        found = await self._link.call(FIND_UNACKNOWLEDGED, keys.of(FIND_UNACKNOWLEDGED), [sender, *message_ids])
        untold, unsure = ([message_id.decode() for message_id in some] for some in found)
        return untold, unsure

    async def mark_read(self, mobile: str, device: str, sender: str, message_ids: Sequence[str]) -> list[str]:
        """Mark chats read, settling those that still wait; returns their streamIds."""
        keys = self._people.keys(mobile)
        args = [device, sender, *message_ids]
        return [stream_id.decode() for stream_id in await self._link.call(MARK_READ, keys.of(MARK_READ), args)]

    async def failed(self, mobile: str, stream_id: str) -> int:
        """Our own code failed on this entry; how often by now."""
        count: int = await self._link.write("HINCRBY", self._people.keys(mobile).dead_letters, stream_id, 1)
        return count


def _digest(text: bytes) -> bytes:
    """By which another text is told from a retry: six characters, which is enough against accidents."""
    return b64encode(crc32(text).to_bytes(4))[:6]


def _collecting(
    holder: Holder, mode: Mode, count: int, cursor: str, ids: Sequence[str], landed: Sequence[Landed]
) -> list[Arg]:
    whose: list[Arg] = [holder.device, holder.server_id, holder.connection_id]
    return [*whose, mode, count, cursor, len(ids), len(landed), *ids, *_settled(landed)]


def _settled(landed: Sequence[Landed]) -> list[Arg]:
    """As the scripts take it: the ids, and how many chats and bytes of each sender they are."""
    args: list[Arg] = []
    sums: dict[str, list[int]] = {}
    for stream_id, sender, size in landed:
        args.append(stream_id)
        if sender:
            total = sums.setdefault(sender, [0, 0])
            total[0] += 1
            total[1] += size
    for sender, total in sums.items():
        args += (sender, *total)
    return args


def _note_loss(reply: object) -> None:
    if isinstance(reply, Exception):
        logger.warning("it could not be noted that somebody wrote", error=str(reply))


def _collected(reply: list[Any]) -> Collected:
    verdict, cursor, read, entries, devices = reply
    return Collected(verdict.decode(), cursor.decode(), read, [decode_entry(*entry) for entry in entries], devices > 1)


def _deposit(stream_id: bytes, servers: list[bytes]) -> Deposit:
    return Deposit(stream_id.decode(), [server.decode() for server in servers])
