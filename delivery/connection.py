"""One per socket: hears its client, carries his entries, holds his lease. Lives in the hub, not in a request's task."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from delivery.carrier import Carrier
from delivery.hub import Hub
from delivery.inbound import Canonical, Inbound
from delivery.lease import Lease, close_for
from delivery.messenger import Messenger
from delivery.ports import Identity, Record, Socket
from delivery.presence import Claimed, Holder
from protocol.dialects import Dialect, Welcome
from protocol.messages import pack
from protocol.refusals import DRAINING, INTERNAL, TOKEN_EXPIRED, TOO_MANY_BAD_FRAMES, Close, Refusal
from settings import Settings

logger = structlog.get_logger(__name__)
QUEUE: Final = 32
UNSENT_BYTES: Final = 256 * 1024


class Connection:
    """Fits server.socket.Listener below and delivery.hub.Member above; has a lease, a carrier and an ear."""

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
        self._carrier = Carrier(self, self.holder, messenger.mailbox, dialect, settings)
        self._inbound = Inbound(self.holder, dialect, messenger, self._carrier, settings, canonical)
        self._queue: deque[str | bytes | list[str]] = deque()
        self._wake = asyncio.Event()
        self._ending: str | None = None
        self._busy = False
        self._unpinged: list[str] = []
        self._pinged: tuple[int, list[str]] | None = None

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

    def ring(self, stream_id: str) -> None:
        """Something waits."""
        self._carrier.ring(stream_id)

    def close(self, close: Close) -> None:
        """End it. What was received before is still worked through."""
        if self._ending is None:
            self._end(close.reason)
            self._socket.close(close)

    def drain(self, retry_after: float) -> None:
        """This server goes down: finish what is in hand, and tell when to come back."""
        if self._ending is None:
            self._hub.spawn(self._drain(retry_after))

    def tick(self, now: float) -> None:
        """Once a second."""
        self._carrier.tick(now)
        if time.time() >= self._identity.expires_at:
            self.close(TOKEN_EXPIRED)
        if self._lease.due(now):
            self._hub.spawn(self._lease.renew())

    # ---- Listener

    def received(self, data: str | bytes) -> None:
        """One message."""
        self._lease.sign_of_life()
        self._put(data)

    @property
    def full(self) -> bool:
        """Whether the queue has no room."""
        return len(self._queue) >= QUEUE

    def alive(self) -> None:
        """A pong."""
        self._lease.sign_of_life()

    def ponged(self, mark: int) -> None:
        """The pong for this ping: receipts sent before it have arrived (seed dialect)."""
        if self._pinged is not None and mark >= self._pinged[0]:
            self._put(self._pinged[1])
            self._pinged = None
            self.confirm([])

    def lost(self, code: int, reason: str) -> None:
        """The socket is gone."""
        self._end(f"{code} {reason}".strip())

    # ---- Road

    async def carry(self, frames: Sequence[bytes]) -> None:
        """Send frames, waiting for a slow reader rather than piling up."""
        for message in pack(frames, joined=self._dialect.joins_frames):
            if self._socket.unsent > UNSENT_BYTES:
                await self._socket.drained()
            self._socket.send(message)

    def confirm(self, receipts: Sequence[str]) -> None:
        """Settle these receipts when a pong answers a ping sent after them; one such ping at a time."""
        self._unpinged += receipts
        if self._pinged is None and self._unpinged:
            self._pinged = (self._socket.ping(), self._unpinged)
            self._unpinged = []

    def lease_gone(self) -> None:
        """The mailbox says that this connection holds the lease no more: find out, and claim again if nobody does."""
        self._hub.spawn(self._lease.renew())

    # ---- Tenant

    @property
    def ended(self) -> bool:
        """Whether the end has begun."""
        return self._ending is not None

    async def reclaimed(self, claimed: Claimed, *, storage_lost: bool) -> None:
        """The lease was lost and is ours again."""
        if storage_lost:
            await self.carry(self._dialect.resync(claimed.epoch, "storage lost something: send unanswered chats again"))
        self._carrier.begin(claimed.newest)

    # ----

    def start(self) -> None:
        """Enter the hub and live. Nothing may be awaited between this and handing it to the socket."""
        self._hub.enter(self)
        self._hub.spawn(self._live())

    async def _live(self) -> None:
        carrying: asyncio.Task[None] | None = None
        try:
            await self._open()
            carrying = self._hub.spawn(self._carry())
            await self._hear()
        except Refusal as refusal:
            self.close(close_for(refusal))
        except Exception:
            logger.exception("a connection failed")
            self.close(INTERNAL)
        finally:
            if carrying is not None:
                carrying.cancel()
            await self._leave()

    async def _open(self) -> None:
        claimed = await self._lease.claim()
        self._record("connect", self._identity, "")
        welcome = Welcome(
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
        await self.carry(self._dialect.welcome(welcome))
        self._carrier.begin(claimed.newest)

    async def _hear(self) -> None:
        while True:
            while not self._queue:
                if self._ending is not None:
                    return
                self._wake.clear()
                await self._wake.wait()
            item = self._queue.popleft()
            if len(self._queue) == QUEUE // 2:
                self._socket.resume()
            await self._take(item)
            if self._inbound.too_many_bad:
                self._queue.clear()
                self.close(TOO_MANY_BAD_FRAMES)

    async def _take(self, item: str | bytes | list[str]) -> None:
        self._busy = True
        try:
            if isinstance(item, list):
                await self._settle(item)
            else:
                await self.carry(await self._inbound.handle(item))
        finally:
            self._busy = False

    async def _settle(self, receipts: list[str]) -> None:
        try:
            await self._inbound.settle(receipts)
        except Refusal:
            self.confirm(receipts)  # they stay in flight; the next pong tries again

    async def _carry(self) -> None:
        try:
            await self._carrier.run()
        except Exception:
            logger.exception("a carrier failed")
            self.close(INTERNAL)

    async def _leave(self) -> None:
        self._end("")
        await self._messenger.disconnect(self.holder, self, self._lease.age_ms)
        if self._lease.epoch:
            self._record("disconnect", self._identity, self._ending or "")

    async def _drain(self, retry_after: float) -> None:
        while self._queue or self._busy:
            await asyncio.sleep(0.01)
        if self._ending is None:
            refusal = Refusal("draining", retry_after=retry_after)
            await self.carry(self._dialect.error(refusal, "server"))
            self.close(DRAINING)

    def _put(self, item: str | bytes | list[str]) -> None:
        if self._ending is None:
            self._queue.append(item)
            self._wake.set()

    def _end(self, reason: str) -> None:
        if self._ending is None:
            self._ending = reason
        self._wake.set()
