"""One per socket: hears its client, carries his entries, holds his lease. Lives in the hub, not in a request's task."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import structlog

from delivery.carrier import Carrier
from delivery.hub import Hub
from delivery.inbound import Canonical, Inbound
from delivery.messenger import Messenger
from delivery.presence import Holder
from protocol.dialects import Dialect, Welcome
from protocol.refusals import (
    DRAINING,
    INTERNAL,
    LOGGED_OUT,
    REPLACED,
    TOKEN_EXPIRED,
    TOO_MANY_BAD_FRAMES,
    TOO_MANY_DEVICES,
    UNAVAILABLE,
    Close,
    Refusal,
)
from settings import Settings

logger = structlog.get_logger(__name__)
QUEUE: Final = 32
CHUNK_BYTES: Final = 48 * 1024
UNSENT_BYTES: Final = 256 * 1024
_CLOSES: Final = {
    "too_many_devices": TOO_MANY_DEVICES,
    "session_revoked": LOGGED_OUT,
    "no_such_person": LOGGED_OUT,
    "unavailable": UNAVAILABLE,
}


class Socket(Protocol):
    """What is asked of the socket; see server/socket.py, where its words are explained."""

    @property
    def unsent(self) -> int: ...
    def send(self, text: bytes) -> None: ...
    def ping(self) -> int: ...
    def close(self, close: Close) -> None: ...
    async def drained(self) -> None: ...


class Identity(Protocol):
    """Who is at the other end, from his verified token."""

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


Record = Callable[[str, Identity, str], None]
"""Notes a session event: "connect" or "disconnect", of whom, and why. Never waits, never fails."""


class Connection:
    """Fits server.socket.Listener below and delivery.hub.Member above."""

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
        self._carrier = Carrier(self, self.holder, messenger.mailbox, dialect, settings)
        self._inbound = Inbound(self.holder, dialect, messenger, self._carrier, settings, canonical)
        self._queue: deque[str | bytes | list[str]] = deque()
        self._wake = asyncio.Event()
        self._space = asyncio.Event()
        self._space.set()
        self._ending: str | None = None
        self._evidence = self._renewed = time.monotonic()
        self._renewing = False
        self._epoch = ""
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
        if self._evidence > self._renewed and now - self._renewed >= self._settings.ping_seconds * 0.9:
            self._renew()

    # ---- Listener

    def received(self, data: str | bytes) -> None:
        """One message."""
        self._evidence = time.monotonic()
        self._put(data)

    async def room(self) -> None:
        """Return when the queue has room."""
        await self._space.wait()

    def alive(self) -> None:
        """A pong."""
        self._evidence = time.monotonic()

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
        for message in self._messages(frames):
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
        self._renew()

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
            self.close(_CLOSES.get(refusal.code, UNAVAILABLE))
        except Exception:
            logger.exception("a connection failed")
            self.close(INTERNAL)
        finally:
            if carrying is not None:
                carrying.cancel()
            await self._leave()

    async def _open(self) -> None:
        claimed = await self._messenger.connect(self.holder, self._identity.account_id)
        self._epoch = claimed.epoch
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
            if len(self._queue) < QUEUE:
                self._space.set()
            if isinstance(item, list):
                await self._settle(item)
                continue
            await self.carry(await self._inbound.handle(item))
            if self._inbound.too_many_bad:
                self._queue.clear()
                self.close(TOO_MANY_BAD_FRAMES)

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
        age = int((time.monotonic() - self._evidence) * 1000)
        await self._messenger.disconnect(self.holder, self, age)
        if self._epoch:
            self._record("disconnect", self._identity, self._ending or "")

    async def _drain(self, retry_after: float) -> None:
        while self._queue:
            await asyncio.sleep(0.01)
        if self._ending is None:
            refusal = Refusal("draining", retry_after=retry_after)
            await self.carry(self._dialect.error(refusal, "server"))
            self.close(DRAINING)

    def _renew(self) -> None:
        if not self._renewing and self._ending is None:
            self._renewing = True
            self._hub.spawn(self._renewal())

    async def _renewal(self) -> None:
        evidence = self._evidence
        try:
            age = int((time.monotonic() - evidence) * 1000)
            verdict, newest = await self._messenger.presence.renew(self.holder, age)
            if verdict == "replaced":
                self.close(REPLACED)
            elif verdict == "gone":
                await self._reclaim()
            elif newest:
                self._carrier.ring(newest)
            self._renewed = evidence
        except Refusal as refusal:
            if refusal.code != "unavailable":
                self.close(_CLOSES.get(refusal.code, UNAVAILABLE))
        finally:
            self._renewing = False

    async def _reclaim(self) -> None:
        """Nobody holds the lease: it ran out while Redis was away, or Redis lost it, and perhaps more than it."""
        if self._ending is not None:
            return
        claimed = await self._messenger.connect(self.holder, self._identity.account_id)
        if self._ending is not None:
            # The end came in between: its release may have found nothing yet.
            await self._messenger.presence.release(self.holder, 0)
            return
        if claimed.epoch != self._epoch:
            self._epoch = claimed.epoch
            await self.carry(self._dialect.resync(claimed.epoch, "storage lost something: send unanswered chats again"))
        self._carrier.begin(claimed.newest)

    def _put(self, item: str | bytes | list[str]) -> None:
        if self._ending is None:
            self._queue.append(item)
            if len(self._queue) >= QUEUE:
                self._space.clear()
            self._wake.set()

    def _end(self, reason: str) -> None:
        if self._ending is None:
            self._ending = reason
        self._space.set()
        self._wake.set()

    def _messages(self, frames: Sequence[bytes]) -> Iterator[bytes]:
        if not self._dialect.joins_frames:
            yield from frames
            return
        chunk: list[bytes] = []
        size = 0
        for frame in frames:
            if chunk and size + len(frame) > CHUNK_BYTES:
                yield _join(chunk)
                chunk, size = [], 0
            chunk.append(frame)
            size += len(frame)
        if chunk:
            yield _join(chunk)


def _join(frames: list[bytes]) -> bytes:
    return frames[0] if len(frames) == 1 else b"[" + b",".join(frames) + b"]"
