"""The messaging of one server, put together as app.py does it, on a real Redis; PostgreSQL is a dict.

``HandConnection`` is Ravi's connection on it, between a socket made by hand and that Redis.
"""

import asyncio
import contextlib
import inspect
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import pytest
from redis.asyncio import Redis

from accounts.mobile_numbers import canonical_mobile
from delivery.hub import Hub
from delivery.in_flight import ToSettle
from delivery.keys import OWN_CHATS
from delivery.mailbox import Copied, Mailbox, Read, Stored, awaited, loading
from delivery.notifications import NotificationHandlers, Notifications
from delivery.presence import Holder, Presence
from delivery.rate_limits import RateLimits
from delivery.redis.client import RedisClient
from delivery.redis.replication import ScriptRunner
from delivery.results import FIRST_ENTRY, Fetched, FetchMode, Unread
from delivery.servers import Servers
from delivery.session.connection import UNSENT_BYTES, Connection, Messaging
from delivery.typing_relay import TypingRelay
from delivery.user_records import UserRecords
from delivery.watches import Watches
from protocol.dialects import V1, Seed
from protocol.entries import Chat, Entry, OwnChat, Receipt
from protocol.errors import Close
from protocol.stored_entries import decode_entry
from settings import Settings
from tests.support.links import link_to

RAVI, ASHA, EVE = "9100000001", "9200000001", "9300000001"
Frame = dict[str, Any]


def make_settings(**values: Any) -> Settings:
    """For parts that are given their connections."""
    needed = {
        "redis_url": "unix://unused",
        "database_url": "postgres://nobody@127.0.0.1/none",
        "jwt_secret": secrets.token_urlsafe(48),
        "rate_limits": "off",
    }
    return Settings(**needed | values)


@dataclass
class Row:
    """What PostgreSQL knows of a user."""

    account_id: str
    blocks_version: int = 0
    blocked: dict[str, int] = field(default_factory=dict)
    privacy: str = ""
    since_ms: int = 0
    last_seen_ms: int | None = None
    devices: list[str] = field(default_factory=list)


def everybody() -> dict[str, Row]:
    """Ravi, Asha and Eve have accounts."""
    return {mobile: Row(f"account of {mobile}") for mobile in (RAVI, ASHA, EVE)}


class AwaitedMailbox:
    """:class:`Mailbox` with operations that are awaited; users that Redis does not hold are loaded."""

    def __init__(self, mailbox: Mailbox, users: UserRecords) -> None:
        self.mailbox = mailbox
        self.users = users

    async def store(self, to: str, sender: str, chats: Sequence[tuple[str, str]]) -> Stored:
        return await loading(self.users, to, lambda: awaited(self.mailbox.store_chats, to, sender, chats))

    async def receipt(self, to: str, reader: str, kind: str, message_ids: Sequence[str]) -> Stored:
        work = lambda: awaited(self.mailbox.store_receipt, to, reader, kind, message_ids, ())  # noqa: E731 - short
        return await loading(self.users, to, work)

    async def fetch(
        self,
        holder: Holder,
        mode: FetchMode,
        count: int,
        cursor: str = FIRST_ENTRY,
        ids: Sequence[str] = (),
        settled: Sequence[ToSettle] = (),
    ) -> Fetched:
        found: Fetched = await awaited(self.mailbox.fetch, holder, mode, count, cursor, ids, settled)
        return found

    async def settle(self, mobile: str, device: str, settled: Sequence[ToSettle]) -> None:
        await awaited(self.mailbox.settle, mobile, device, settled)

    async def note_acknowledged(
        self, mobile: str, sender: str, stream_ids: Sequence[str], message_ids: Sequence[str]
    ) -> None:
        await awaited(self.mailbox.note_acknowledged, mobile, sender, stream_ids, message_ids)

    async def find_unacknowledged(
        self, mobile: str, sender: str, message_ids: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        return await awaited(self.mailbox.find_unacknowledged, mobile, sender, message_ids)

    async def note_delivered(
        self, mobile: str, sender: str, message_ids: Sequence[str], state: Literal["a", "d"] = "a"
    ) -> list[str]:
        known: list[str] = await awaited(self.mailbox.note_delivered, mobile, sender, message_ids, state)
        return known

    async def find_unread(self, mobile: str, sender: str, message_ids: Sequence[str]) -> list[str]:
        unread: Unread = await awaited(self.mailbox.find_unread, mobile, sender, message_ids)
        return unread.message_ids

    async def mark_read(self, mobile: str, device: str, sender: str, message_ids: Sequence[str]) -> Read:
        read: Read = await awaited(self.mailbox.mark_read, mobile, device, sender, message_ids)
        return read

    async def own(self, mobile: str, device: str, to: str, chats: Sequence[tuple[str, str, int]]) -> Copied:
        store = self.mailbox.store_own
        return await loading(self.users, mobile, lambda: awaited(store, mobile, device, to, chats))


class OneServer:
    """A server that passes its own notifications on at once; of those for others, only Redis knows."""

    def __init__(
        self,
        redis: "Redis | RedisClient",
        server_id: str = "s1",
        rows: dict[str, Row] | None = None,
        durable: ScriptRunner | None = None,
        **values: Any,
    ) -> None:
        self.rows = everybody() if rows is None else rows
        self.settings = make_settings(**values)
        self.server_id = server_id
        self.link = redis if isinstance(redis, RedisClient) else link_to(redis)
        self.durable = durable
        self.asked: list[str] = []
        self.people = UserRecords(self.link, self._find, durable)
        self.mailbox = Mailbox(self.link, self.people, self.settings, server_id, durable)
        self.mail = AwaitedMailbox(self.mailbox, self.people)
        self.presence = Presence(self.link, self.people, self.settings)
        self.hub = Hub(self.settings.lease_seconds, self.settings.cooldown_seconds)
        self.link.before_flush = self.hub.deliver
        hub, limits = self.hub, RateLimits(self.link, on=self.settings.rate_limits == "on")
        self.watches = Watches(self.link, self.people, limits, self.settings, server_id)
        handlers = NotificationHandlers(
            hub.notify,
            hub.replaced,
            hub.devices_changed,
            hub.close_sessions,
            hub.move_session,
            hub.change_privacy,
            self.watches.changed,
            hub.typing,
            hub.notify_all,
        )
        self.events: list[tuple[str, str]] = []
        self.messaging = Messaging(
            settings=self.settings,
            server_id=server_id,
            mailbox=self.mailbox,
            presence=self.presence,
            users=self.people,
            notifications=Notifications(self.link, server_id, self.settings, handlers),
            servers=Servers(self.link, server_id, self.settings),
            hub=self.hub,
            watches=self.watches,
            typing=TypingRelay(self.link, self.people, self.hub, server_id),
            record=lambda kind, _who, reason: self.events.append((kind, reason)),
            hand_over=self.link.hand_over,
        )

    async def send(self, sender: str, to: str, message_id: str) -> str:
        """One chat that its recipient's mailbox has room for, and the recipient is notified; its streamId."""
        stored = await self.mail.store(to, sender, [(message_id, "hello")])
        (stream_id,) = stored.results
        assert isinstance(stream_id, str)
        if self.server_id in stored.servers:
            self.hub.notify(to, stored.newest)
        return stream_id

    async def send_receipt(self, to: str, reader: str, message_ids: Sequence[str]) -> str:
        """A receipt, of which its owner is notified; its streamId."""
        stored = await self.mail.receipt(to, reader, "delivered", message_ids)
        if self.server_id in stored.servers:
            self.hub.notify(to, stored.newest)
        return stored.newest

    async def entries(self, mobile: str) -> list[Entry]:
        """Everything in a mailbox; of chats all but the text."""
        found = [decode_entry(*each) for each in await self.link.command("XRANGE", f"mailbox:{{{mobile}}}", "-", "+")]
        return [msgspec.structs.replace(each, message="") if isinstance(each, Chat) else each for each in found]

    async def waiting(self, mobile: str) -> list[str]:
        """The messageIds of the chats in a mailbox, oldest first."""
        return [entry.message_id for entry in await self.entries(mobile) if isinstance(entry, Chat)]

    async def receipts(self, mobile: str = ASHA) -> list[tuple[str, str, list[str]]]:
        """Who told this user what of which chats."""
        found = [entry for entry in await self.entries(mobile) if isinstance(entry, Receipt)]
        return [(receipt.sender, receipt.ack_type, receipt.message_ids) for receipt in found]

    async def _find(self, mobile: str) -> Row | None:
        self.asked.append(mobile)
        return self.rows.get(mobile)


class HandSocket:
    """Takes everything at once, unless told that the client does not read."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.messages = 0
        self.closes: list[Close] = []
        self.pings = 0
        self.resumes = 0
        self.unsent_bytes = 0
        self.waits_for_handler = False
        self.has_unread_messages = False
        self.is_closing = False
        self._drained: Callable[[], None] | None = None

    def send(self, text: bytes) -> None:
        sent = msgspec.json.decode(text)
        self.frames += sent if isinstance(sent, list) else [sent]
        self.messages += 1

    def ping(self) -> int:
        self.pings += 1
        return self.pings

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def resume_reading(self) -> None:
        self.resumes += 1

    def when_drained(self, callback: Callable[[], None]) -> None:
        self._drained = callback

    def stop_reading(self) -> None:
        """The client reads nothing more."""
        self.unsent_bytes = UNSENT_BYTES + 1

    def read_on(self) -> None:
        """It has read everything."""
        self.unsent_bytes = 0
        callback, self._drained = self._drained, None
        if callback is not None:
            callback()

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def codes(self) -> list[int]:
        return [close.code for close in self.closes]


class Who:
    """Ravi, by their token."""

    account_id = f"account of {RAVI}"
    mobile = RAVI
    name = "Ravi"
    session_id = "session-1"

    def __init__(self, device_id: str = "primary") -> None:
        self.device_id = device_id
        self.expires_at = int(time.time()) + 3600


class HandConnection:
    """Ravi's connection and what stands around it."""

    def __init__(
        self,
        redis: "Redis | RedisClient | OneServer",
        dialect: V1 | Seed | None = None,
        who: Who | None = None,
        **values: Any,
    ) -> None:
        self.server = redis if isinstance(redis, OneServer) else OneServer(redis, **values)
        self.socket, self.who = HandSocket(), who or Who()
        self.bug: Exception | None = None
        self.connection = Connection(self.socket, self.who, dialect or V1(), self.server.messaging, self._canonical)

    @property
    def events(self) -> list[tuple[str, str]]:
        return self.server.events

    def _canonical(self, raw: str) -> str:
        if self.bug is not None:
            raise self.bug
        return canonical_mobile(raw, "")

    async def begin(self) -> "HandConnection":
        """Until the hello is sent and the backlog is through."""
        self.connection.start()
        await until(lambda: self.socket.of("synced") or self.socket.of("system"))
        return self

    async def over(self) -> None:
        """Until it has left the hub."""
        await until(lambda: self.connection not in self.server.hub.connections())

    def put(self, message_id: str, **changes: Any) -> None:
        """A chat arrives; a batch ends with :meth:`end_batch`."""
        self.frame(**{"type": "chat", "to": ASHA, "messageId": message_id, "message": "hello"} | changes)

    def frame(self, **frame: Any) -> float:
        """Any frame arrives."""
        return self.connection.handle_message(json.dumps(frame))

    def end_batch(self) -> None:
        self.connection.handle_batch_end()

    def say(self, message_id: str, **changes: Any) -> None:
        """A chat arrives, alone."""
        self.connection.handle_sign_of_life()
        self.put(message_id, **changes)
        self.end_batch()

    def ack(self, *stream_ids: str) -> None:
        self.frame(type="ack", ackType="delivered", streamIds=list(stream_ids))
        self.end_batch()

    def read(self, *message_ids: str, sender: str = ASHA) -> None:
        self.frame(type="ack", ackType="read", to=sender, messageIds=list(message_ids))
        self.end_batch()

    def renew(self) -> None:
        """The second in which a renewal is due: a pong came, and a ping period is over."""
        self.connection.handle_sign_of_life()
        self.connection.tick(time.monotonic() + self.server.settings.ping_seconds)

    def chats(self) -> list[str]:
        """The messageIds of the chats that were sent to Ravi."""
        return [frame["messageId"] for frame in self.socket.of("chat")]

    async def hear(self, message_id: str, sender: str = ASHA) -> str:
        """A chat for Ravi, until it has arrived; its streamId."""
        stream_id = await self.server.send(sender, RAVI, message_id)
        await until(lambda: message_id in self.chats())
        return stream_id

    async def has_waiting(self, count: int) -> bool:
        """Whether so many entries are in Ravi's mailbox."""
        return len(await self.server.entries(RAVI)) == count


async def ashas_connection(one: HandConnection) -> HandConnection:
    """Asha's connection on the same server."""
    who = Who()
    who.mobile, who.account_id = ASHA, f"account of {ASHA}"  # type: ignore[misc]
    return await HandConnection(one.server, who=who).begin()


def to_settle(*entries: Entry) -> list[ToSettle]:
    """These entries, to be settled."""
    return [_to_settle(entry) for entry in entries]


def _to_settle(entry: Entry) -> ToSettle:
    match entry:
        case Chat():
            return ToSettle(entry.stream_id, entry.sender, entry.size)
        case OwnChat():
            return ToSettle(entry.stream_id, OWN_CHATS, entry.size)
        case _:
            return ToSettle(entry.stream_id, "", 0)


class Held:
    """Holds up the replies of one operation of every mailbox until :meth:`release`; counts the calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._held: list[Callable[[], None]] | None = []
        real = getattr(Mailbox, operation)

        def call(mailbox: Mailbox, *args: Any) -> None:
            *given, then = args
            self.calls.append(tuple(given))
            real(mailbox, *given, lambda result: self._reply(lambda: then(result)))

        monkeypatch.setattr(Mailbox, operation, call)

    def _reply(self, reply: Callable[[], None]) -> None:
        if self._held is None:
            reply()
        else:
            self._held.append(reply)

    def release(self) -> None:
        """Replies come, now and from now on."""
        held, self._held = self._held or [], None
        for reply in held:
            reply()


class HeldClaims:
    """The same for claims of a lease, before they are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._released = asyncio.Event()
        real = Presence.claim

        async def claim(presence: Presence, *args: Any, **named: Any) -> Any:
            await self._released.wait()
            return await real(presence, *args, **named)

        monkeypatch.setattr(Presence, "claim", claim)

    def release(self) -> None:
        self._released.set()


@contextlib.asynccontextmanager
async def locked(redis: "Redis", keys: str) -> AsyncIterator[None]:
    """Redis lets nobody touch any key but these, so that what works through several breaks in the middle."""
    await redis.execute_command("ACL", "SETUSER", "default", "resetkeys", *keys.split())  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        await redis.execute_command("ACL", "SETUSER", "default", "allkeys")  # type: ignore[no-untyped-call]


async def until(done: Callable[[], Any], seconds: float = 5) -> None:
    """What is waited for comes true; ``done`` may have to be awaited."""
    async with asyncio.timeout(seconds):
        while not (await found if inspect.isawaitable(found := done()) else found):
            await asyncio.sleep(0.01)
