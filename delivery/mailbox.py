"""The mailboxes: store chats and receipts, fetch entries, settle them. Each step is one script; see ``lua/``.

Every operation takes ``then``, which is called with its result, or with the exception that stands for it, when Redis
has answered; never before the call returns. :func:`awaited` makes a future of that.
"""

import asyncio
from binascii import b2a_base64
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar
from zlib import crc32

import structlog

from delivery.in_flight import ToSettle
from delivery.keys import ENTRY_ACKNOWLEDGED
from delivery.presence import LeaseHolder, read_sides
from delivery.rate_limits import rate_limited
from delivery.redis.client import Arg, RedisClient, resolve
from delivery.redis.replication import ScriptRunner
from delivery.results import Fetched, FetchMode, NotCached, Unread
from delivery.scripts import (
    FETCH,
    FIND_UNACKNOWLEDGED,
    FIND_UNREAD,
    MARK_READ,
    NOTE_ACKNOWLEDGED,
    NOTE_ANSWERED,
    NOTE_DELIVERED,
    SETTLE,
    STORE_CHATS,
    STORE_OWN,
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
FULL: Final = ApiError("mailbox_full")
REUSED: Final = ApiError("message_id_reused")
_ERRORS: Final = {b"full": FULL, b"reused": REUSED}
"""What the script says of a chat that it does not store."""
_NO_LIMITS: Final[list[Arg]] = ["", "0", "0", "0"]
T = TypeVar("T")
Then: TypeAlias = Callable[[T | Exception], None]


class Stored(NamedTuple):
    """What became of chats, or of a receipt.

    :param newest: streamId of the newest entry that waits, or "": there is nothing to notify anybody of
    :param servers: those with live connections of the recipient; the script notified all of them but this one
    :param results: the streamId of each, or the error that refuses it
    """

    newest: str
    servers: list[str]
    results: list[str | ApiError]


class Copied(NamedTuple):
    """What became of copies for a person's other devices.

    :param alone: there are no other devices, and no copies
    :param newest: streamId of the newest copy, or "": there is nothing to notify anybody of
    :param servers: those with live connections of the other devices; the script notified all of them but this one
    """

    alone: bool
    newest: str
    servers: list[str]


class Read(NamedTuple):
    """What became of chats that were read.

    :param stream_ids: of the chats
    :param newest: streamId of what the person's other devices are told, or "": nothing
    :param servers: as of :class:`Copied`
    """

    stream_ids: list[str]
    newest: str
    servers: list[str]


def awaited(operation: Callable[..., None], *args: Any) -> "asyncio.Future[Any]":
    """The result of an operation of :class:`Mailbox`, to be awaited; raises what it fails with."""
    result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    operation(*args, partial(resolve, result))
    return result


class Mailbox:
    """All mailboxes, seen from one server, whose own connections are not notified by Redis ("": there are none).

    :param durable: runs the scripts whose results somebody is told of; None: ``redis``
    :param storage: knows whether there is room for chats; None: there is
    :param limits: of how much one person may send; None: there are none
    """

    def __init__(
        self,
        redis: RedisClient,
        users: UserRecords,
        settings: Settings,
        server_id: str = "",
        durable: ScriptRunner | None = None,
        storage: Storage | None = None,
        limits: SendLimits | None = None,
    ) -> None:
        self._redis = redis
        self.durable: ScriptRunner = durable or redis
        """Runs the scripts whose results somebody is told of."""
        self._users = users
        self._server_id = server_id
        self._storage = storage
        self._send_limits = limits
        self.admit = limits.admit if limits is not None and limits.on else None
        """Whether a chat may go on to :meth:`store_chats`, by sender, recipient and bytes of text: raises
        ``rate_limited``. None: there are no limits."""
        self._most_bytes_of_one = str(settings.mailbox_bytes_per_sender)
        sizes = settings.mailbox_limit, settings.mailbox_bytes, settings.mailbox_per_sender, settings.records_seconds
        self._limits: list[Arg] = [str(size) for size in sizes]

    # ---- what is stored

    def store_chats(self, to: str, sender: str, chats: Sequence[tuple[str, str]], then: Then[Stored]) -> None:
        """Chats of one sender, as (messageId, text), in their order. One that is repeated gets its first result again.

        Fails with :class:`NotCached`, ``storage_full``, ``unavailable``, CommandFailed: for all of them.
        """
        if self._storage is not None and self._storage.full:
            # One that is stored already is refused, too: to find it would need the trip that is not made.
            asyncio.get_running_loop().call_soon(then, ApiError("storage_full"))
            return
        limits = self._send_limits
        question = _NO_LIMITS if limits is None else limits.script_args(sender, to)
        args: list[Arg] = [sender, *self._limits, self._server_id, to, self._most_bytes_of_one, *question]
        for message_id, message in chats:
            text = message.encode()
            # Six characters of a checksum tell another text from a retry: enough against accidents.
            args += (message_id, text, b2a_base64(crc32(text).to_bytes(4))[:6])

        on_reply = partial(_pass_on, then, partial(self._stored, to, sender))
        self.durable.request(STORE_CHATS, self._users.keys(to).of(STORE_CHATS), args, on_reply)

    def _stored(self, to: str, sender: str, reply: list[Any]) -> Stored | NotCached:
        verdict, newest, servers, answers, standing = reply
        if verdict != b"done":
            return NotCached()
        limits = self._send_limits
        if limits is None:
            results = [_ERRORS.get(answer) or answer.decode() for answer in answers]
            return Stored(newest.decode(), [server.decode() for server in servers], results)
        if not limits.on:
            results = [_ERRORS.get(answer) or answer.decode() for answer in answers]
        else:
            waits = limits.handle_result(sender, to, standing, answers)
            results = [
                rate_limited(wait) if wait else _ERRORS.get(answer) or answer.decode()
                for answer, wait in zip(answers, waits, strict=True)
            ]
        # For a blocked sender nothing new waits; it is noted all the same, or what they may see would tell.
        if (newest or any(b"-" in answer for answer in answers)) and limits.needs_note(sender, to):
            note: list[Arg] = [to, ANSWERED_SECONDS, MAX_ANSWERED]
            self._redis.request(NOTE_ANSWERED, self._users.keys(sender).of(NOTE_ANSWERED), note, _log_loss)
        return Stored(newest.decode(), [server.decode() for server in servers], results)

    async def load_recipient(self, to: str, sender: str) -> None:
        """The recipient of a chat that failed with :class:`NotCached`, from PostgreSQL.

        :raises ApiError: ``no_such_person``, ``rate_limited``, ``unavailable``
        """
        limits = self._send_limits
        if limits is None:
            await self._users.load(to)
            return
        try:
            await limits.look_up(sender)
            await self._users.load(to)
        except ApiError:
            limits.handle_unknown_recipient(sender, to)
            raise

    def store_receipt(
        self,
        to: str,
        reader: str,
        kind: str,
        message_ids: Sequence[str],
        stream_ids: Sequence[str],
        then: Then[Stored],
    ) -> None:
        """A receipt (``delivered``, ``read``, ``expired``) of ``reader`` for the sender of chats.

        :param stream_ids: of the chats, in the same order; empty: not known. Of those that a former owner of the number
            sent, nobody is told; nothing is stored, and ``newest`` is "", if there are no others

        Fails with :class:`NotCached`, ``unavailable``, CommandFailed.
        """
        args: list[Arg] = [reader, kind, " ".join(message_ids), self._server_id, to, " ".join(stream_ids)]
        on_reply = partial(_pass_on, then, _receipt_stored)
        self.durable.request(STORE_RECEIPT, self._users.keys(to).of(STORE_RECEIPT), args, on_reply)

    def store_own(
        self, mobile: str, device: str, to: str, chats: Sequence[tuple[str, str, int]], then: Then[Copied]
    ) -> None:
        """Copies of chats that one device of this person sent, for their other devices: (messageId, text, when it was
        stored in ms). One that was stored before is not stored again.

        Fails with :class:`NotCached`, ``unavailable``, CommandFailed.
        """
        most_chats, most_bytes, _, least = self._limits
        args: list[Arg] = [device, to, self._server_id, mobile, least, most_chats, most_bytes]
        for chat in chats:
            args += chat
        on_reply = partial(_pass_on, then, _copied)
        self.durable.request(STORE_OWN, self._users.keys(mobile).of(STORE_OWN), args, on_reply)

    # ---- what is fetched, and settled

    def fetch(
        self,
        holder: LeaseHolder,
        mode: FetchMode,
        count: int,
        cursor: str,
        ids: Sequence[str],
        settled: Sequence[ToSettle],
        then: Then[Fetched],
    ) -> None:
        """At most ``count`` entries for this connection, if it holds the lease; then ``settled`` are settled before."""
        whose: list[Arg] = [holder.device, holder.server_id, holder.connection_id]
        args = [*whose, mode, count, cursor, len(ids), len(settled), *ids, *(_sums(settled) if settled else ())]
        on_reply = partial(_pass_on, then, _fetched)
        self.durable.request(FETCH, self._users.keys(holder.mobile).of(FETCH), args, on_reply)

    def settle(self, mobile: str, device: str, settled: Sequence[ToSettle], then: Then[None]) -> None:
        """This device has these entries. To settle twice is as good as once."""

        def on_reply(reply: Any) -> None:
            then(reply if isinstance(reply, Exception) else None)

        args: list[Arg] = [device, len(settled), *_sums(settled)]
        self._redis.request(SETTLE, self._users.keys(mobile).of(SETTLE), args, on_reply)

    def note_acknowledged(
        self, mobile: str, sender: str, stream_ids: Sequence[str], message_ids: Sequence[str], then: Then[Any]
    ) -> None:
        """Note that a device of this user has these chats, and that their sender is about to be told.

        A result says nothing, but that it was done.
        The request is written before this returns: a receipt that is stored next comes after it.
        """
        args: list[Arg] = [sender, " ".join(message_ids), *stream_ids]
        keys = self._users.keys(mobile).of(NOTE_ACKNOWLEDGED)
        self.durable.request(NOTE_ACKNOWLEDGED, keys, args, then)

    def note_delivered(
        self, mobile: str, sender: str, message_ids: Sequence[str], state: Literal["a", "d"], then: Then[list[str]]
    ) -> None:
        """The same in the dedupe records, for chats that are read, and where there are several devices.

        Results in those of which the sender knows as much already, or more.
        """
        args: list[Arg] = [sender, state, *message_ids]
        keys = self._users.keys(mobile).of(NOTE_DELIVERED)
        self.durable.request(NOTE_DELIVERED, keys, args, partial(_pass_on, then, _texts))

    def find_unread(self, mobile: str, sender: str, message_ids: Sequence[str], then: Then[Unread]) -> None:
        """Those of this sender's chats that are known here and not marked read."""
        keys = self._users.keys(mobile).of(FIND_UNREAD)
        self._redis.request(FIND_UNREAD, keys, [sender, *message_ids], partial(_pass_on, then, _unread))

    def mark_read(self, mobile: str, device: str, sender: str, message_ids: Sequence[str], then: Then[Read]) -> None:
        """Mark chats read, settle those that still wait, and tell the user's other devices."""
        args: list[Arg] = [device, sender, self._server_id, mobile, *message_ids]
        keys = self._users.keys(mobile).of(MARK_READ)
        self._redis.request(MARK_READ, keys, args, partial(_pass_on, then, _read))

    def find_unacknowledged(
        self, mobile: str, sender: str, message_ids: Sequence[str], then: Then[tuple[list[str], list[str]]]
    ) -> None:
        """Of chats that wait here: those that no device of the user has, and those of which their sender may have been
        told that they are delivered: a device was about to tell, and did not settle them."""
        keys = self._users.keys(mobile).of(FIND_UNACKNOWLEDGED)
        self._redis.request(FIND_UNACKNOWLEDGED, keys, [sender, *message_ids], partial(_pass_on, then, _two_lists))

    async def count_failure(self, mobile: str, stream_id: str) -> int:
        """Our own code failed on this entry; :returns: how often by now."""
        state: int = await self._redis.write("HINCRBY", self._users.keys(mobile).entry_states, stream_id, 1)
        return state % ENTRY_ACKNOWLEDGED


async def loading(users: UserRecords, mobile: str, work: Callable[[], Awaitable[T]]) -> T:
    """The result of ``work``; if Redis does not hold this user they are loaded, and it is done again.

    :raises ApiError: ``no_such_person``, ``unavailable``
    """
    try:
        return await work()
    except NotCached:
        await users.load(mobile)
    try:
        return await work()
    except NotCached:
        raise ApiError("unavailable") from None


def _sums(settled: Sequence[ToSettle]) -> list[Arg]:
    """As the scripts take it: the ids, and how many chats and bytes of each sender they are."""
    args: list[Arg] = []
    sums: dict[str, list[int]] = {}
    for stream_id, sender, size in settled:
        args.append(stream_id)
        if sender:
            total = sums.setdefault(sender, [0, 0])
            total[0] += 1
            total[1] += size
    for sender, total in sums.items():
        args += (sender, *total)
    return args


def _log_loss(reply: object) -> None:
    if isinstance(reply, Exception):
        logger.warning("it could not be noted that somebody wrote", error=str(reply))


def _pass_on(then: Then[Any], decode: Callable[[Any], Any], reply: Any) -> None:
    """Pass on a reply, decoded; or the exception that stands for it."""
    if not isinstance(reply, Exception):
        try:
            reply = decode(reply)
        except Exception as error:  # noqa: BLE001 - a result like any other: somebody waits for it
            reply = error
    then(reply)


def _texts(reply: list[bytes]) -> list[str]:
    return [each.decode() for each in reply]


def _two_lists(reply: list[list[bytes]]) -> tuple[list[str], list[str]]:
    first, second = reply
    return _texts(first), _texts(second)


def _unread(reply: list[Any]) -> Unread:
    message_ids, unacknowledged, privacy, side, stream_ids = reply
    return Unread(_texts(message_ids), _texts(unacknowledged), read_sides(privacy, [side])[0], _texts(stream_ids))


def _receipt_stored(reply: list[Any]) -> Stored | NotCached:
    verdict, stream_id, servers = reply
    if verdict != b"stored":
        return NotCached()
    newest = stream_id.decode()
    return Stored(newest, [server.decode() for server in servers], [newest])


def _copied(reply: list[Any]) -> Copied | NotCached:
    verdict, stream_id, servers = reply
    if verdict == b"not_cached":
        return NotCached()
    return Copied(verdict == b"alone", stream_id.decode(), _texts(servers))


def _read(reply: list[Any]) -> Read:
    stream_ids, newest, servers = reply
    return Read(_texts(stream_ids), newest.decode(), _texts(servers))


def _fetched(reply: list[Any]) -> Fetched:
    verdict, cursor, read, found, devices = reply
    try:
        entries: list[Entry] = [decode_entry(*entry) for entry in found]
        undecoded: list[str] = []
    except Exception:  # noqa: BLE001 - logged for each of them
        entries, undecoded = _decode_each(found)
    return Fetched(verdict.decode(), cursor.decode(), read, entries, devices > 1, undecoded)


def _decode_each(found: list[Any]) -> tuple[list[Entry], list[str]]:
    """The entries, and the streamIds of those that our own code fails on: the ones behind them must be sent all the
    same."""
    entries, undecoded = list[Entry](), list[str]()
    for stream_id, values in found:
        try:
            entries.append(decode_entry(stream_id, values))
        except Exception:
            undecoded.append(stream_id.decode())
            logger.exception("an entry could not be decoded", stream_id=undecoded[-1])
    return entries, undecoded
