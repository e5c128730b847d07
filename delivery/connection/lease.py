"""Keeps one connection's lease: claims it, carries it on at signs of life, and finds out when it is lost."""

import asyncio
import time
from typing import Final, Protocol

from delivery.messenger import Messenger
from delivery.presence import Claimed, Holder, Silent, Superseded, Unproven
from protocol.errors import LOGGED_OUT, REPLACED, TOO_MANY_DEVICES, UNAVAILABLE, ApiError, Close

EARLY: Final = 0.9
"""Part of a ping period after which a sign of life renews: the next pong must not come too early."""
PROOF_SECONDS: Final = 10.0
"""For so long a client may take to answer the ping that asks whether it is still there."""

_CLOSES: Final = {
    "too_many_devices": TOO_MANY_DEVICES,
    "session_revoked": LOGGED_OUT,
    "no_such_person": LOGGED_OUT,
}


def close_for(refusal: ApiError) -> Close:
    """How a connection ends that was refused its lease."""
    return _CLOSES.get(refusal.code, UNAVAILABLE)


class Tenant(Protocol):
    """Whose lease it is."""

    def ping(self) -> None: ...
    @property
    def spoke(self) -> bool: ...
    @property
    def leaving(self) -> bool: ...

    @property
    def ended(self) -> bool: ...
    def ring(self, stream_id: str) -> None: ...
    def close(self, close: Close) -> None: ...
    async def reclaimed(self, claimed: Claimed, *, storage_lost: bool) -> None: ...


class Lease:
    """The lease of ``holder``. Times are monotonic seconds; Redis judges leases by its own clock."""

    __slots__ = (
        "_account_id", "_early", "_evidence", "_holder", "_messenger", "_proof", "_renewed", "_renewing", "_tenant",
        "epoch",
    )  # fmt: skip

    def __init__(
        self, tenant: Tenant, holder: Holder, account_id: str, messenger: Messenger, ping_seconds: float
    ) -> None:
        self._tenant = tenant
        self._holder = holder
        self._account_id = account_id
        self._messenger = messenger
        self._early = ping_seconds * EARLY
        self._evidence = self._renewed = time.monotonic()
        self._renewing = False
        self._proof: asyncio.Event | None = None
        self.epoch = ""
        """Of the mailbox, once claimed."""

    def sign_of_life(self) -> None:
        """A frame or a pong came."""
        self._evidence = time.monotonic()
        if self._proof is not None:
            self._proof.set()

    @property
    def age_ms(self) -> int:
        """Since the last sign of life."""
        return int((time.monotonic() - self._evidence) * 1000)

    def due(self, now: float) -> bool:
        """Whether there is news of life worth a renewal."""
        return self._evidence > self._renewed and now - self._renewed >= self._early

    async def claim(self) -> Claimed:
        """Take the device. A connection that lives is replaced only once the client gave a sign of life: an attempt
        that its client gave up may arrive late, and would end the one that took its place.

        :raises Unproven: the client gave none
        :raises ApiError: see :meth:`delivery.messenger.Messenger.connect`
        """
        try:
            claimed = await self._messenger.connect(self._holder, self._account_id, age=lambda: self.age_ms)
        except Unproven:
            await self._prove()
            claimed = await self._messenger.connect(
                self._holder, self._account_id, age=lambda: self.age_ms, mode="proven"
            )
        self.epoch = claimed.epoch
        return claimed

    def give_up(self) -> None:
        """The connection ended: nobody will prove anything."""
        if self._proof is not None:
            self._proof.set()

    async def _prove(self) -> None:
        """:raises Unproven: the client is gone, or does not answer"""
        if self._tenant.ended:
            raise Unproven
        if self._tenant.spoke:
            return  # its pong may lie behind what it sent, of which no more is read before the claim
        self._proof = asyncio.Event()
        self._tenant.ping()
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await self._proof.wait()
                while self._tenant.leaving and not self._tenant.ended:
                    self._proof.clear()  # a goodbye is no sign that somebody stays; its end follows
                    await self._proof.wait()
        except TimeoutError:
            raise Unproven from None
        finally:
            self._proof = None
        if self._tenant.ended:
            raise Unproven

    async def renew(self) -> None:
        """Carry it on, or find out that it is lost. While Redis is away or the client silent nothing happens: the next
        sign tries again."""
        if self._renewing or self._tenant.ended:
            return
        self._renewing = True
        try:
            await self._renew()
        except Superseded:
            self._tenant.close(REPLACED)
        except ApiError as refusal:
            if refusal.code != "unavailable":
                self._tenant.close(close_for(refusal))
        finally:
            self._renewing = False

    async def _renew(self) -> None:
        evidence = self._evidence
        verdict, newest = await self._messenger.presence.renew(self._holder, self.age_ms)
        if verdict == "replaced":
            self._tenant.close(REPLACED)
        elif verdict == "gone":
            await self._reclaim()
        elif newest:
            self._tenant.ring(newest)
        self._renewed = evidence

    async def _reclaim(self) -> None:
        """Nobody holds it: it ran out while Redis was away or the client silent, or Redis lost it, and perhaps more.

        It is not ours again before he gives a sign: others have seen that he is gone, and he may be.
        """
        if self._tenant.ended:
            return
        try:
            claimed = await self._messenger.connect(
                self._holder, self._account_id, age=lambda: self.age_ms, mode="again"
            )
        except Silent:
            return
        before, self.epoch = self.epoch, claimed.epoch
        if self._tenant.ended:
            # The end came in between: its release may have found nothing yet.
            await self._messenger.presence.release(self._holder, self.age_ms)
            return
        await self._tenant.reclaimed(claimed, storage_lost=claimed.epoch != before)
