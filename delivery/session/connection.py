"""The shell around a session: owns socket, hub entry and timer, runs the effects and feeds the replies back.

No task lives as long as a connection: ten thousand idle ones cost little. What is awaited for one runs as a task of the
hub's, so that it does not hang on a request's.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

import structlog

from delivery.hub import Hub
from delivery.mailbox import Copied, Mailbox, Read, Stored
from delivery.notifications import Notifications
from delivery.policy import View
from delivery.presence import Presence
from delivery.results import Claimed, CommandFailed, NotCached
from delivery.servers import Servers
from delivery.session import effects as do
from delivery.session.client_frames import Canonical
from delivery.session.session import Session
from delivery.typing_relay import TypingRelay
from delivery.user_records import UserRecords
from delivery.watches import Watches
from protocol.dialects import Dialect, Hello
from protocol.errors import TOKEN_EXPIRED, UNAVAILABLE, ApiError, Close
from protocol.messages import batch_frames
from protocol.privacy import Privacy
from protocol.websocket.interface import Socket
from settings import Settings

logger = structlog.get_logger(__name__)
UNSENT_BYTES: Final = 256 * 1024
"""So much unsent, and further entries wait until the client has read."""
UNREAD_SECONDS: Final = 10.0
"""For so long a client may be unread without a cause before that is taken for a bug."""
TIMER_SECONDS: Final = 0.001
"""A timer of uvloop's counts whole milliseconds, and may be so much early."""
NEVER: Final = float("inf")


class Identity(Protocol):
    """Who is at the other end, from their verified token."""

    @property
    def account_id(self) -> str: ...
    @property
    def mobile(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def device_id(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def expires_at(self) -> int: ...


Record: TypeAlias = Callable[[str, Identity, str], None]
"""Notes a session event: "connect" or "disconnect", of whom, and why. Never waits, never fails."""


@dataclass(frozen=True, slots=True)
class Messaging:
    """What all connections of one server share."""

    settings: Settings
    server_id: str
    mailbox: Mailbox
    presence: Presence
    users: UserRecords
    notifications: Notifications
    servers: Servers
    hub: Hub
    watches: Watches
    typing: TypingRelay
    record: Record
    hand_over: Callable[[], None]
    """:meth:`delivery.redis.client.RedisClient.hand_over`."""


class Connection:
    """One client's. It is the socket's handler (protocol/websocket/interface.py) and the hub's connection."""

    __slots__ = (
        "_backlog", "_dialect", "_identity", "_is_running", "_loop", "_messaging", "_session", "_socket", "_timer",
        "_timer_at", "_unread_since", "connection_id", "device", "mobile", "server_id",
    )  # fmt: skip

    def __init__(
        self, socket: Socket, identity: Identity, dialect: Dialect, messaging: Messaging, canonical: Canonical
    ) -> None:
        settings, now = messaging.settings, time.monotonic()
        self._socket = socket
        self._identity = identity
        self._messaging = messaging
        self._dialect = dialect
        self.mobile = identity.mobile
        self.device = identity.device_id
        self.server_id = messaging.server_id
        self.connection_id = secrets.token_hex(8)
        """A name that is never used again."""
        work = messaging.hub.work.bucket(identity.mobile, settings.data_frames_per_second, settings.data_frames_burst)
        self._session = Session(
            identity.mobile, identity.device_id, dialect, settings, canonical, messaging.mailbox.admit, work, now
        )
        self._loop = asyncio.get_running_loop()
        self._backlog: deque[bytes | do.Ping] | None = None
        """Messages with entries, and pings behind them, that wait until the client reads."""
        self._is_running = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._unread_since: float | None = None

    def start(self) -> None:
        """Enter the hub and claim the lease. Nothing may be awaited between this and handing it to the socket."""
        self._messaging.hub.enter(self)
        self._run()

    # ---- what the socket calls

    @property
    def is_full(self) -> bool:
        """Whether no message may be handed over for now."""
        return self._session.is_full

    def handle_message(self, data: str | bytes) -> float:
        """One message."""
        session = self._session
        pause = session.message(data, time.monotonic())
        if session.effects:
            self._run()
        return pause

    def handle_batch_end(self) -> None:
        """All that had arrived was handed over."""
        session = self._session
        session.batch_end(time.monotonic())
        if session.effects or session.deadline < self._timer_at:
            self._run()
        self._messaging.hand_over()

    def handle_sign_of_life(self) -> None:
        """Bytes arrived."""
        session = self._session
        session.last_sign_of_life = time.monotonic()
        if session.is_proving:
            # Not before these bytes are read: a close frame is no sign that somebody stays.
            self._loop.call_soon(self._prove)

    def handle_pong(self, mark: int) -> None:
        """A pong arrived."""
        self._session.pong(mark, time.monotonic())
        self._run()

    def handle_violation(self) -> None:
        """The client broke the protocol."""
        self._session.violation()
        self._run()

    def handle_lost(self, code: int, reason: str) -> None:
        """The socket is gone."""
        self._session.lost(code, reason, time.monotonic())
        self._run()

    def _prove(self) -> None:
        if not self._socket.is_closing:
            self._session.prove()
            self._run()

    # ---- what the hub calls

    @property
    def session_id(self) -> str:
        """The login session its token is bound to."""
        return self._identity.session_id

    def notify(self, stream_id: str) -> None:
        """This entry waits; "": look again, whatever was read."""
        session = self._session
        session.notify(stream_id, time.monotonic())
        if session.effects:
            self._run()

    def change_privacy(self, privacy: Privacy) -> None:
        """The user hides this from now on."""
        self._session.change_privacy(privacy)

    def show_presence(self, views: Sequence[tuple[str, View]]) -> bool:
        """Show what may be seen of watched people. False: the client does not read what it was sent before."""
        if self._session.ended:
            return True
        frames = [frame for mobile, view in views for frame in self._dialect.presence(mobile, *view)]
        return self._send_at_once(frames)

    def show_typing(self, sender: str, active: bool) -> None:
        """Show that somebody types. A client that does not read needs to know it the least."""
        if not self._session.ended and self._session.has_lease:
            self._send_at_once(self._dialect.typing(sender, active))

    def _send_at_once(self, frames: list[bytes]) -> bool:
        if self._backlog is not None or self._socket.unsent_bytes > UNSENT_BYTES:
            return False
        if frames:
            self._send_frames(do.SendFrames(frames))
        return True

    def prefetch(self) -> None:
        """An entry is being stored for the user."""
        self._session.prefetch(time.monotonic())
        self._run()

    def devices_changed(self) -> None:
        """Another device of the user is connected for the first time."""
        self._session.devices_changed()

    def close(self, close: Close) -> None:
        """End it. What arrived before is still worked through, unless its sender may speak no more."""
        self._session.close(close, time.monotonic())
        self._run()

    def drain(self, retry_after: float) -> None:
        """This server goes down."""
        self._session.drain(retry_after, time.monotonic())
        self._run()

    def tick(self, now: float) -> None:
        """Once a second."""
        session = self._session
        if time.time() >= self._identity.expires_at:
            session.close(TOKEN_EXPIRED, now)
        session.tick(now)
        self._watch_reading(now)
        self._run()

    def _watch_reading(self, now: float) -> None:
        """A client that is not read though there is room for its messages would never be read again: our own bug."""
        session = self._session
        if session.ended or session.is_full or not self._socket.waits_for_handler:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since >= UNREAD_SECONDS:
            logger.error("a client is not read any more though there is room", in_hand=session.in_hand)
            session.close(UNAVAILABLE, now)

    # ---- effects

    def _run(self) -> None:
        """Run all effects. What comes in meanwhile only adds to them."""
        if self._is_running:
            return
        session = self._session
        if session.effects:
            self._is_running = True
            try:
                while session.effects:
                    effects, session.effects = session.effects, []
                    for effect in effects:
                        try:
                            _RUN[type(effect)](self, effect)
                        except Exception as error:  # noqa: BLE001 - the connection ends by it
                            self._reply(effect, error)
            finally:
                self._is_running = False
        if session.deadline < self._timer_at:
            self._set_timer(session.deadline)

    def _reply(self, effect: do.Effect, result: Any) -> None:
        session, now = self._session, time.monotonic()
        try:
            session.reply(effect, result, now)
        except Exception as error:  # noqa: BLE001 - the connection ends by it
            session.fail(error, now)
        if not self._is_running and (session.effects or session.deadline < self._timer_at):
            self._run()

    def _await(self, effect: do.Effect, work: Coroutine[Any, Any, Any]) -> None:
        """Its result, or its exception, is the reply."""
        self._messaging.hub.spawn(self._awaited(effect, work))

    async def _awaited(self, effect: do.Effect, work: Coroutine[Any, Any, Any]) -> None:
        try:
            result = await work
        except Exception as error:  # noqa: BLE001 - told like any other reply
            result = error
        self._reply(effect, result)

    # ---- chats and receipts

    # Prefetches are queued in the hub before the command is written, so that they leave in the same write. Not while
    # Redis is away or has too much to do: fetches in vain would make that worse.

    def _store_chats(self, store: do.StoreChats) -> None:
        messaging, mailbox = self._messaging, self._messaging.mailbox
        if mailbox.durable.is_healthy:
            messaging.hub.prefetch(store.to)
        mailbox.store_chats(store.to, self.mobile, store.chats, partial(self._stored, store))

    def _stored(self, store: do.StoreChats, result: Stored | Exception) -> None:
        if isinstance(result, Stored):
            self._notify(store.to, result)
            self._reply(store, result.results)
        else:
            self._reply(store, result)

    def _store_own(self, own: do.StoreOwn) -> None:
        mailbox, then = self._messaging.mailbox, partial(self._own_stored, own)
        mailbox.store_own(self.mobile, self.device, own.store.to, own.chats, then)

    def _own_stored(self, own: do.StoreOwn, result: Copied | Exception) -> None:
        if isinstance(result, Copied):
            self._notify(self.mobile, result)
            self._reply(own, not result.alone)
        else:
            self._reply(own, result)

    def _note_delivered(self, note: do.NoteDelivered) -> None:
        receipt, mailbox = note.receipt, self._messaging.mailbox
        then = partial(self._reply, note)
        mailbox.note_delivered(self.mobile, receipt.sender, receipt.message_ids, note.state, then)

    def _send_receipt(self, receipt: do.SendReceipt) -> None:
        """Both commands are written before this returns, in this order: a sender who was told must not be told of an
        expiry, whatever ends before the chats are settled."""
        if self._messaging.mailbox.durable.is_healthy:
            self._messaging.hub.prefetch(receipt.sender)
        mailbox, names, results = self._messaging.mailbox, receipt.message_ids, list[object]()

        def on_result(result: object) -> None:
            if isinstance(result, Stored):
                self._notify(receipt.sender, result)
            results.append(result)
            if len(results) == 2:
                self._reply(receipt, _first_error(results))

        if receipt.kind == "delivered":
            mailbox.note_acknowledged(self.mobile, receipt.sender, receipt.ids, names, on_result)
        else:
            mailbox.note_delivered(self.mobile, receipt.sender, names, "a", on_result)
        tells, stream_ids = receipt.tells or receipt.kind, receipt.stream_ids
        mailbox.store_receipt(receipt.sender, self.mobile, tells, names, stream_ids, on_result)

    def _find_side(self, find: do.FindSide) -> None:
        self._await(find, self._messaging.presence.side(self.mobile, find.sender))

    def _find_unread(self, unread: do.FindUnread) -> None:
        mailbox = self._messaging.mailbox
        mailbox.find_unread(self.mobile, unread.sender, unread.message_ids, partial(self._reply, unread))

    def _mark_read(self, mark: do.MarkRead) -> None:
        mailbox, then = self._messaging.mailbox, partial(self._read_marked, mark)
        mailbox.mark_read(self.mobile, self.device, mark.sender, mark.message_ids, then)

    def _read_marked(self, mark: do.MarkRead, result: Read | Exception) -> None:
        if isinstance(result, Read):
            self._notify(self.mobile, result)
            self._reply(mark, result.stream_ids)
        else:
            self._reply(mark, result)

    def _watch(self, watch: do.Watch) -> None:
        self._await(watch, self._begin_watch(watch))

    async def _begin_watch(self, watch: do.Watch) -> list[tuple[str, View]]:
        # Nobody would end it for a connection that has left before this task began.
        return [] if self._session.left else await self._messaging.watches.watch(self, watch.mobiles)

    def _unwatch(self, unwatch: do.Unwatch) -> None:
        self._messaging.watches.unwatch(self, unwatch.mobiles)

    def _send_typing(self, typing: do.SendTyping) -> None:
        self._messaging.hub.spawn(self._messaging.typing.relay(self.mobile, typing.to, typing.active))

    def _load_user(self, load: do.LoadUser) -> None:
        if isinstance(load.then, do.StoreChats):
            self._await(load, self._messaging.mailbox.load_recipient(load.mobile, self.mobile))
        else:
            self._await(load, self._messaging.users.load(load.mobile))

    def _notify(self, mobile: str, stored: Stored | Copied | Read) -> None:
        """The script notified the other servers."""
        if self._messaging.server_id in stored.servers:
            self._messaging.hub.notify(mobile, stored.newest)

    # ---- entries

    def _fetch_entries(self, fetch: do.FetchEntries) -> None:
        then = partial(self._reply, fetch)
        self._messaging.mailbox.fetch(self, fetch.mode, fetch.count, fetch.cursor, fetch.ids, fetch.settled, then)

    def _settle(self, settle: do.Settle) -> None:
        mailbox, then = self._messaging.mailbox, partial(self._reply, settle)
        mailbox.settle(self.mobile, self.device, settle.settled, then)

    def _count_failure(self, failure: do.CountFailure) -> None:
        self._await(failure, self._messaging.mailbox.count_failure(self.mobile, failure.stream_id))

    # ---- the lease

    def _claim_lease(self, claim: do.ClaimLease) -> None:
        self._await(claim, self._claim(claim))

    async def _claim(self, claim: do.ClaimLease) -> Claimed:
        messaging = self._messaging
        await messaging.servers.add(self.mobile)
        claimed = await messaging.presence.claim(self, self._identity.account_id, age=self._age_ms, mode=claim.mode)
        if claimed.before is not None:
            server_id, connection_id = claimed.before
            await messaging.notifications.replaced(server_id, self.mobile, connection_id)
        return claimed

    def _renew_lease(self, renew: do.RenewLease) -> None:
        self._await(renew, self._messaging.presence.renew(self, self._age_ms()))

    def _release_lease(self, release: do.ReleaseLease) -> None:
        self._await(release, self._release())

    async def _release(self) -> None:
        try:
            await self._messaging.presence.release(self, self._age_ms())
        except (ApiError, CommandFailed):
            logger.warning("a lease could not be released and ends by itself")

    def _leave_hub(self, _leave: do.LeaveHub) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._messaging.watches.leave(self)
        if self._messaging.hub.leave(self):
            self._messaging.hub.spawn(self._unlist())

    async def _unlist(self) -> None:
        try:
            await self._messaging.servers.remove(self.mobile)
        except (ApiError, CommandFailed):
            logger.warning("a user stays listed on this server until the sweep")

    def _age_ms(self) -> int:
        return self._session.age_ms(time.monotonic())

    # ---- the socket

    def _send_frames(self, send: do.SendFrames) -> None:
        frames = send.frames
        if len(frames) == 1:
            self._socket.send(frames[0])
            return
        for message in batch_frames(frames, joined=self._dialect.joins_frames):
            self._socket.send(message)

    def _send_hello(self, hello: do.SendHello) -> None:
        settings = self._messaging.settings
        frames = self._dialect.hello(
            Hello(
                server_id=self.server_id,
                connection_id=self.connection_id,
                device_id=self.device,
                mobile=self.mobile,
                name=self._identity.name,
                epoch=hello.epoch,
                window=settings.window,
                max_message_bytes=settings.max_message_bytes,
                ping_seconds=settings.ping_seconds,
            )
        )
        self._send_entries(do.SendEntries(frames))

    def _send_entries(self, send: do.SendEntries) -> None:
        socket, backlog = self._socket, self._backlog
        if len(send.frames) == 1 and backlog is None and socket.unsent_bytes <= UNSENT_BYTES:
            socket.send(send.frames[0])
            return
        for message in batch_frames(send.frames, joined=self._dialect.joins_frames):
            if backlog is None and socket.unsent_bytes <= UNSENT_BYTES:
                socket.send(message)
                continue
            if backlog is None:
                self._backlog = backlog = deque()
                self._session.pause_output()
                socket.when_drained(self._send_backlog)
            backlog.append(message)

    def _send_backlog(self) -> None:
        socket, backlog = self._socket, self._backlog
        if backlog is None:
            return
        while backlog and socket.unsent_bytes <= UNSENT_BYTES:
            first = backlog.popleft()
            if isinstance(first, do.Ping):
                self._reply(first, socket.ping())
            else:
                socket.send(first)
        if backlog:
            socket.when_drained(self._send_backlog)
        else:
            self._backlog = None
            self._session.resume_output(time.monotonic())
            self._run()

    def _ping(self, ping: do.Ping) -> None:
        if self._backlog is not None:
            self._backlog.append(ping)
            return
        self._reply(ping, self._socket.ping())
        if self._session.is_proving and self._socket.has_unread_messages:
            # The pong may lie behind what the client sent, of which no more is read before the claim.
            self._session.prove()

    def _close_socket(self, close: do.CloseSocket) -> None:
        self._backlog = None
        self._socket.close(close.close)

    def _resume_reading(self, _resume: do.ResumeReading) -> None:
        self._socket.resume_reading()

    # ---- everything else

    def _record_event(self, event: do.RecordEvent) -> None:
        self._messaging.record(event.kind, self._identity, event.reason)

    def _penalize(self, penalty: do.Penalize) -> None:
        if penalty.cause == "replaced":
            self._messaging.hub.penalty.note_replaced(self.mobile, self.device)
        else:
            self._messaging.hub.penalty.penalize(self.mobile)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, NEVER
        session, now = self._session, time.monotonic()
        if session.deadline <= now + TIMER_SECONDS:
            try:
                session.timer(max(now, session.deadline))
            except Exception as error:  # noqa: BLE001 - the connection ends by it
                session.fail(error, now)
        self._run()


def _first_error(results: list[object]) -> Exception | None:
    """NotCached only when there is no other: what follows it takes all else for done."""
    if isinstance(results[0], list) and isinstance(results[1], Stored):
        return None
    errors = [result for result in results if isinstance(result, Exception)]
    return next((error for error in errors if not isinstance(error, NotCached)), errors[0] if errors else None)


_RUN: Final[dict[type[do.Effect], Callable[[Connection, Any], None]]] = {
    do.SendFrames: Connection._send_frames,
    do.SendEntries: Connection._send_entries,
    do.SendHello: Connection._send_hello,
    do.StoreChats: Connection._store_chats,
    do.StoreOwn: Connection._store_own,
    do.FetchEntries: Connection._fetch_entries,
    do.NoteDelivered: Connection._note_delivered,
    do.SendReceipt: Connection._send_receipt,
    do.FindSide: Connection._find_side,
    do.FindUnread: Connection._find_unread,
    do.MarkRead: Connection._mark_read,
    do.Settle: Connection._settle,
    do.Watch: Connection._watch,
    do.Unwatch: Connection._unwatch,
    do.SendTyping: Connection._send_typing,
    do.LoadUser: Connection._load_user,
    do.ClaimLease: Connection._claim_lease,
    do.RenewLease: Connection._renew_lease,
    do.ReleaseLease: Connection._release_lease,
    do.LeaveHub: Connection._leave_hub,
    do.Ping: Connection._ping,
    do.CloseSocket: Connection._close_socket,
    do.RecordEvent: Connection._record_event,
    do.Penalize: Connection._penalize,
    do.CountFailure: Connection._count_failure,
    do.ResumeReading: Connection._resume_reading,
}
