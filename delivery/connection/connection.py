"""One per socket: hears its client, carries his entries, holds his lease. Lives in the hub, not in a request's task.

No task lives as long as the connection: each piece of work is one, so that ten thousand idle connections cost little.
"""

import asyncio
import secrets
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import structlog

from delivery.connection.acks import Acks
from delivery.connection.carrier import Carrier
from delivery.connection.confirmations import Confirmations
from delivery.connection.ear import Ear
from delivery.connection.inbound import Canonical, Inbound
from delivery.connection.lease import Lease, close_for
from delivery.connection.sends import Sends
from delivery.connection.settles import Settles
from delivery.hub import Hub
from delivery.in_flight import Flights
from delivery.messenger import Messenger
from delivery.ports import Identity, Record
from delivery.presence import Claimed, Holder, Unproven
from delivery.redis.failures import CommandFailed
from protocol.dialects import Dialect, Hello
from protocol.errors import (
    DRAINING,
    INTERNAL,
    LOGGED_OUT,
    REPLACED,
    TOKEN_EXPIRED,
    UNAVAILABLE,
    UNREACHABLE,
    ApiError,
    Close,
)
from protocol.messages import batch_frames
from protocol.websocket.interface import Socket
from settings import Settings

logger = structlog.get_logger(__name__)
UNSENT_BYTES: Final = 256 * 1024
UNREAD_SECONDS: Final = 10.0
"""For so long a client may be unread without a cause before that is taken for a bug."""


class Connection:
    """Fits delivery.hub.Member above; below, its ear fits SocketHandler. Has a lease and a carrier, too."""

    __slots__ = (
        "_acks",
        "_carrier",
        "_confirmations",
        "_dialect",
        "_flights",
        "_hub",
        "_identity",
        "_lease",
        "_low",
        "_messenger",
        "_reason",
        "_record",
        "_sends",
        "_settings",
        "_settles",
        "_socket",
        "_unread_since",
        "ear",
        "ended",
        "holder",
    )  # fmt: skip

    def __init__(
        self,
        socket: Socket,
        identity: Identity,
        dialect: Dialect,
        server_id: str,
        messenger: Messenger,
        hub: Hub,
        settings: Settings,
        canonical: Canonical,
        record: Record,
    ) -> None:
        self._socket = socket
        self._identity = identity
        self._dialect = dialect
        self._messenger = messenger
        self._hub = hub
        self._settings = settings
        self._record = record
        self.holder = Holder(identity.mobile, identity.device_id, server_id, secrets.token_hex(8))
        self._lease = Lease(self, self.holder, identity.account_id, messenger, settings.ping_seconds)
        self._flights = flights = Flights(settings.window)
        self._settles = Settles(self, self.holder, messenger, flights)
        self._carrier = Carrier(self, self.holder, messenger.mailbox, dialect, flights, self._settles, settings)
        self._sends = Sends(self, self.mobile, dialect, messenger)
        self._acks = Acks(self, self.holder, dialect, messenger, flights, self._settles, self._carrier)
        self._confirmations = Confirmations(socket, self._acks)
        inbound = Inbound(self.mobile, dialect, self._sends, self._acks, settings, canonical)
        bucket = hub.work.bucket(self.mobile, settings.data_frames_per_second, settings.data_frames_burst)
        self.ear = Ear(
            self, socket, inbound, self._sends, self._acks, self._confirmations, self._lease, hub.cooldown, bucket
        )
        """What the socket is to call."""
        self.ended = False
        """Whether the end has begun."""
        self._low: asyncio.Event | None = None
        """Set when little is unsent: all that wait for it wait for the same event."""
        self._reason = ""
        self._unread_since: float | None = None

    # ---- Member

    @property
    def mobile(self) -> str:
        """Whose it is."""
        return self.holder.mobile

    @property
    def connection_id(self) -> str:
        """Its name, unique for ever."""
        return self.holder.connection_id

    @property
    def session_id(self) -> str:
        """The session its token is bound to."""
        return self._identity.session_id

    def expect(self) -> None:
        """Something is being stored for its owner."""
        if not self.ended and not self.ear.waiting:
            self._carrier.expect()

    def ring(self, stream_id: str) -> None:
        """Something waits."""
        if not self.ended and not self.ear.waiting:
            self._carrier.ring(stream_id)

    def close(self, close: Close) -> None:
        """End it. What was received before is still worked through, unless its sender may speak no more."""
        if not self.ended:
            if close in (LOGGED_OUT, TOKEN_EXPIRED):
                self.ear.drop()
            if close is REPLACED:
                self._hub.cooldown.note_replaced(self.mobile, self.holder.device)
            self.end(close.reason)
            self._socket.close(close)

    def drain(self, retry_after: float) -> None:
        """This server goes down: finish what is in hand, and tell when to come back."""
        if not self.ended:
            self.ear.mute()
            self.spawn(self._drain(retry_after))

    def tick(self, now: float) -> None:
        """Once a second."""
        self._carrier.tick(now)
        if time.time() >= self._identity.expires_at:
            self.close(TOKEN_EXPIRED)
        if self._lease.due(now):
            self.spawn(self._lease.renew())
        self._watch_reading(now)

    # ---- Road and Desk

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside all else; then it is :meth:`done`."""
        self._hub.spawn(work).add_done_callback(self._worked)

    def say(self, frames: Sequence[bytes]) -> None:
        """Send frames."""
        for message in batch_frames(frames, joined=self._dialect.joins_frames):
            self._socket.send(message)

    async def carry(self, frames: Sequence[bytes]) -> None:
        """Send frames, waiting for a slow reader rather than piling up."""
        for message in batch_frames(frames, joined=self._dialect.joins_frames):
            if self._socket.unsent_bytes > UNSENT_BYTES:
                await self._drained()
            self._socket.send(message)

    async def _drained(self) -> None:
        if self._low is None or self._low.is_set():
            self._low = asyncio.Event()
            self._socket.when_drained(self._low.set)
        await self._low.wait()

    @property
    def slow(self) -> bool:
        """Whether more is unsent than should be; then :meth:`carry`."""
        return self._socket.unsent_bytes > UNSENT_BYTES

    def confirm(self, receipts: Sequence[str]) -> None:
        """These receipts were sent to a client that does not ack them."""
        if not self.ended:
            self._confirmations.expect(receipts)

    def acked(self, ids: Sequence[str]) -> None:
        """The client had acked these before they were read from the mailbox."""
        self._acks.delivered(ids)

    def lease_gone(self) -> None:
        """The mailbox says that this connection holds the lease no more: find out, and claim again if nobody does."""
        if not self.ended:
            self.spawn(self._lease.renew())

    # ---- Tenant

    def ping(self) -> None:
        """Ask the client for a sign of life."""
        self._socket.ping()

    @property
    def spoke(self) -> bool:
        """Whether the client sent anything that waits for the claim."""
        return self._socket.has_unread_messages

    @property
    def leaving(self) -> bool:
        """Whether the client said goodbye, or is told it."""
        return self._socket.is_closing

    async def reclaimed(self, claimed: Claimed, *, storage_lost: bool) -> None:
        """The lease was lost and is ours again."""
        if storage_lost:
            await self.carry(self._dialect.resync(claimed.epoch, "storage lost something: send unanswered chats again"))
        if not self.ended:
            self._carrier.begin(claimed.newest)

    def _watch_reading(self, now: float) -> None:
        """A client that is not read though there is room for what it says would never be read again: our own bug."""
        if self.ended or self.ear.is_full or not self._socket.waits_for_handler:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since >= UNREAD_SECONDS:
            logger.error("a client is not read any more though there is room", in_hand=self.ear.in_hand)
            self.close(UNAVAILABLE)

    # ---- its life

    def start(self) -> None:
        """Enter the hub and live. Nothing may be awaited between this and handing it to the socket."""
        self._hub.enter(self)
        self.spawn(self._open())

    async def _open(self) -> None:
        try:
            claimed = await self._lease.claim()
        except ApiError as refusal:
            self.close(close_for(refusal))
        except Unproven:
            self.close(UNREACHABLE)
            self.ear.listen()  # what a client said before it left needs no lease to be stored
        else:
            self._flights.shared = claimed.devices > 1
            self._record("connect", self._identity, "")
            await self.carry(self._dialect.hello(self._welcome(claimed)))
            self._carrier.begin(claimed.newest)
            self.ear.listen()
        finally:
            self.ear.give_up()
            if self.ended:
                self.spawn(self._leave())

    def _welcome(self, claimed: Claimed) -> Hello:
        return Hello(
            server_id=self.holder.server_id,
            connection_id=self.connection_id,
            device_id=self.holder.device,
            mobile=self.mobile,
            name=self._identity.name,
            epoch=claimed.epoch,
            window=self._settings.window,
            max_message_bytes=self._settings.max_message_bytes,
            ping_seconds=self._settings.ping_seconds,
        )

    async def _leave(self) -> None:
        try:
            self._sends.go()
            while self._sends.pending:
                await asyncio.sleep(0.005)
            await self._acks.finish()
            await self._settles.finish()
        finally:
            await self._messenger.disconnect(self.holder, self, self._lease.age_ms)
        if self._lease.epoch:
            self._record("disconnect", self._identity, self._reason)
        self._part()

    def _part(self) -> None:
        """Each part knows us: if we went on knowing them, only Python's collector would free them and us, late, and of
        a crowd that left all would still be there when the next one comes. After the end nothing here asks them."""
        self.ear.part()
        del self._acks, self._carrier, self._confirmations, self._lease, self._sends, self._settles, self.ear

    async def _drain(self, retry_after: float) -> None:
        while not self.ended and self.ear.in_hand:
            await asyncio.sleep(0.01)
        if not self.ended:
            refusal = ApiError("draining", retry_after=retry_after)
            await self.carry(self._dialect.error(refusal, "server"))
            self.close(DRAINING)

    def _worked(self, task: asyncio.Task[Any]) -> None:
        self.done(None if task.cancelled() else task.exception())

    def done(self, error: BaseException | None = None) -> None:
        """A piece of work is over. Our own bugs end the connection. A broken key of the person's own does so too, but
        after that they may come back: it may be mended."""
        if isinstance(error, CommandFailed):
            self.close(UNAVAILABLE)
        elif error is not None:
            logger.error("a connection failed", exc_info=error)
            self.close(INTERNAL)
        if not self.ended:
            self.ear.worked()

    def end(self, reason: str) -> None:
        """The end begins, by whichever comes first; ``reason`` is for the session's event."""
        if not self.ended:
            self.ended = True
            self._reason = reason
            self._confirmations.stop()
            if self.ear.waiting:
                self._lease.give_up()
            else:
                self.spawn(self._leave())
