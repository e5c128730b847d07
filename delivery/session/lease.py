"""What a session knows of its lease: whether it has one, and when there is something new to say about it."""

from enum import Enum
from typing import Final

RENEWAL_PART: Final = 0.9
"""Part of a ping period after which a sign of life renews the lease: a pong that comes early must not be too early."""
PROOF_SECONDS: Final = 10.0
"""For so long a client may take to answer the ping that asks whether it is still there."""


class LeaseState(Enum):
    """From the upgrade on."""

    CLAIMING = "a claim is under way"
    PROVING = "another connection of the device lives: this one's client has to give a sign of life first"
    HELD = "claimed; it may be lost since, which a renewal finds out"
    REFUSED = "the connection ends without ever having had one"


class Lease:
    """Times are monotonic seconds. Redis judges leases by its own clock."""

    __slots__ = ("_renewal_seconds", "_renewed", "epoch", "in_doubt", "proof_until", "renewing", "state")

    def __init__(self, ping_seconds: float, now: float) -> None:
        self._renewal_seconds = ping_seconds * RENEWAL_PART
        self._renewed = now
        self.state = LeaseState.CLAIMING
        self.renewing: float | None = None
        """The sign of life with which a renewal, or a new claim, is under way; None: there is none."""
        self.epoch = ""
        """Of the mailbox, once claimed. Another one means that storage lost something."""
        self.in_doubt = False
        """Whether a claim was made of which it is not known whether Redis executed it."""
        self.proof_until = float("inf")

    def is_due(self, last_sign_of_life: float, now: float) -> bool:
        """Whether there is news of life that is worth a renewal."""
        if self.renewing is not None or last_sign_of_life <= self._renewed:
            return False
        return now - self._renewed >= self._renewal_seconds

    def begin_proof(self, now: float) -> None:
        """The client is asked for a sign of life."""
        self.state = LeaseState.PROVING
        self.proof_until = now + PROOF_SECONDS

    def end_proof(self, state: LeaseState) -> None:
        """They gave one, or did not."""
        self.state = state
        self.proof_until = float("inf")

    def begin_renewal(self, last_sign_of_life: float) -> None:
        """A renewal is under way, with this sign of life."""
        self.renewing = last_sign_of_life

    def end_renewal(self, *, answered: bool) -> None:
        """:param answered: whether Redis said something. If not, the next sign of life tries again."""
        if answered and self.renewing is not None:
            self._renewed = self.renewing
        self.renewing = None
