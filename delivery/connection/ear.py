"""What the socket calls: takes one client's messages, says what they cost, and when it is enough."""

import time
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from delivery.connection.acks import Acks
from delivery.connection.confirmations import Confirmations
from delivery.connection.inbound import Inbound
from delivery.connection.lease import Lease
from delivery.connection.sends import Sends
from delivery.reconnect_penalty import ReconnectPenalty
from protocol.errors import INTERNAL, TOO_MANY_BAD_FRAMES, TOO_MANY_FRAMES, Close
from protocol.token_bucket import TokenBucket
from protocol.websocket.interface import Socket

logger = structlog.get_logger(__name__)
IN_HAND: Final = 256
"""Chats and acks in work above which the client is not read."""
CHARACTERS_IN_HAND: Final = 256 * 1024
"""The same for the texts of the chats."""
OVER_SECONDS: Final = 30.0
"""For so long a client may send more than it is allowed, and is only slowed down, if nothing comes of most of it."""


class Owner(Protocol):
    """Whose ear it is."""

    @property
    def mobile(self) -> str: ...
    @property
    def ended(self) -> bool: ...
    def say(self, frames: Sequence[bytes]) -> None: ...
    def close(self, close: Close) -> None: ...
    def end(self, reason: str) -> None: ...


class Ear:
    """Fits protocol.websocket.interface.SocketHandler. After its owner's end nothing that comes has an effect."""

    __slots__ = (
        "_acks", "_bucket", "_charged", "_confirmations", "_cooldown", "_early", "_inbound", "_lease", "_muted",
        "_offended", "_over_since", "_owner", "_sends", "_socket", "_wasted",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        socket: Socket,
        inbound: Inbound,
        sends: Sends,
        acks: Acks,
        confirmations: Confirmations,
        lease: Lease,
        cooldown: ReconnectPenalty,
        bucket: TokenBucket,
    ) -> None:
        """:param bucket: of the units of work that this person may still be to this server"""
        self._owner = owner
        self._socket = socket
        self._inbound = inbound
        self._sends = sends
        self._acks = acks
        self._confirmations = confirmations
        self._lease = lease
        self._cooldown = cooldown
        self._bucket = bucket
        self._over_since: float | None = None
        """Since when the client has sent more than it may; None while it does not."""
        self._charged = self._wasted = 0.0
        """Units of work since then, and those that came to nothing."""
        self._early: list[str | bytes] | None = []
        """What came before the lease was claimed; None since. Only a socket that ends gives us anything so early."""
        self._muted = False
        self._offended = False

    # ---- SocketHandler

    def handle_message(self, data: str | bytes) -> float:
        """One message; returns the seconds for which nothing more should be read."""
        if self._owner.ended:
            return 0.0
        if self._muted:
            return 0.0
        if self._early is not None:
            self._early.append(data)
            return 0.0
        return self._hear(data)

    def handle_batch_end(self) -> None:
        """All that came so far was handed over."""
        if not self._owner.ended:
            self._sends.go()

    @property
    def is_full(self) -> bool:
        """Whether more is in hand than should be."""
        if self._owner.ended:
            return False
        return self._early is not None or self.in_hand >= IN_HAND or self._sends.characters >= CHARACTERS_IN_HAND

    def handle_sign_of_life(self) -> None:
        """The client gave a sign of life."""
        if not self._owner.ended:
            self._lease.sign_of_life()

    def handle_pong(self, mark: int) -> None:
        """The pong for this ping: receipts sent before it have arrived (seed dialect)."""
        if not self._owner.ended:
            self._confirmations.ponged(mark)

    def handle_violation(self) -> None:
        """The socket is closed for what the client sent. For one that is, this counts once."""
        if not self._owner.ended and not self._offended:
            self._offended = True
            self._cooldown.penalize(self._owner.mobile)

    def handle_lost(self, code: int, reason: str) -> None:
        """The socket is gone."""
        self._owner.end(f"{code} {reason}".strip())

    # ---- what its owner asks

    @property
    def waiting(self) -> bool:
        """Whether what comes is only kept, since the lease is not claimed yet."""
        return self._early is not None

    @property
    def in_hand(self) -> int:
        """Messages, chats and acks that were received and not worked through."""
        return self._sends.pending + self._acks.pending + len(self._early or ())

    def listen(self) -> None:
        """The lease is claimed: hear what was kept, and from now on all at once."""
        early, self._early = self._early or [], None
        for data in early:
            self._hear(data)
        self._sends.go()
        self._socket.resume_reading()

    def give_up(self) -> None:
        """Keep nothing any more; what was kept and not heard is dropped."""
        self._early = None

    def drop(self) -> None:
        """Its sender may speak no more: forget what he said, as far as nothing was done for it."""
        self._sends.drop()
        if self._early:
            self._early = []

    def mute(self) -> None:
        """What comes from now on is not answered, and will be sent again elsewhere."""
        self._muted = True

    def part(self) -> None:
        """After the end the socket may know us for as long as its client does not let go: know nobody but our owner."""
        del self._acks, self._confirmations, self._inbound, self._lease, self._sends

    def worked(self) -> None:
        """Something was worked through: perhaps there is room. The socket knows whether that makes a difference."""
        self._socket.resume_reading()

    def _hear(self, data: str | bytes) -> float:
        inbound = self._inbound
        if inbound.too_many_bad:
            return 0.0
        try:
            self._owner.say(inbound.hear(data))
        except Exception:
            logger.exception("a frame was not understood")
            self._owner.close(INTERNAL)
        if inbound.too_many_bad:
            self.handle_violation()
            self._owner.close(TOO_MANY_BAD_FRAMES)
        return self._charge(*inbound.take_charge()) if inbound.charge else 0.0

    def _charge(self, charge: float, wasted: float) -> float:
        """:returns: seconds until the person has paid for what they are to this server"""
        now = time.monotonic()
        if self._over_since is not None and self._bucket.left(now) >= self._bucket.burst / 2:
            self._over_since = None  # with less than that it is still the same flood
        pause = self._bucket.charge(charge, now)
        if not pause:
            return 0.0
        if self._over_since is None:
            self._over_since, self._charged, self._wasted = now, 0.0, 0.0
        self._charged += charge
        self._wasted += wasted
        if now - self._over_since >= OVER_SECONDS and self._wasted > self._charged / 2:
            self.handle_violation()
            self._owner.close(TOO_MANY_FRAMES)
        return pause
