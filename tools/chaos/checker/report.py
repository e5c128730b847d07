"""The result of a check: violations, each with the few events that prove it, and the figures of the whole history."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tools.chaos.history import Event

SHOWN: Final = 3
"""Violations of one invariant that are printed in full."""


@dataclass(frozen=True)
class Limits:
    """The seconds of the contract, at the settings of the servers that were tested.

    :param lease: LEASE_SECONDS: nobody is shown online for longer without a connection
    :param lease_grace: added to it, because a sweep must shorten leases after a clock jumped back
    :param send: a send succeeds within, outside of faults
    :param hang: everything is answered within, if only refused; also in faults with ``servers_answer``
    :param heal: all is well again within, after a fault
    :param in_flight: chats that were fetched before a block may still arrive within
    :param logout: the sockets of a session that logged out are closed within
    :param logout_cut: the same when a fault may have cut the channel between servers
    :param clock_set_back: when Redis' clock was: a lease that lasted then may last as long again
    :param window: WINDOW: unacknowledged entries in flight on one connection
    :param pushed: presence is pushed within
    :param device_known: within, a person's connections know that another device of theirs is there, at worst
    """

    lease: float = 60.0
    lease_grace: float = 2.0
    send: float = 5.0
    hang: float = 6.0
    heal: float = 10.0
    in_flight: float = 1.0
    logout: float = 1.0
    logout_cut: float = 30.0
    clock_set_back: Sequence[float] = ()
    window: int = 256
    device_known: float = 25.0
    pushed: float = 1.0


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Violation:
    """A broken invariant in one sentence, and the shortest excerpt of the history that shows it."""

    invariant: str
    sentence: str
    excerpt: Sequence[Event]

    def __str__(self) -> str:
        return "\n".join([f"{self.invariant}: {self.sentence}", *(f"    {event}" for event in self.excerpt)])


@dataclass(frozen=True)
class Report:
    """The verdict on one history.

    :param sent: chats that were sent
    :param acknowledged: chats that got ``sent``
    :param delivered: chats that arrived
    :param notified: chats with ``sent`` that storage lost, of which the recipient was notified
    :param withheld: chats with ``sent`` that did not arrive because of a block, certain or possible
    :param expired: chats with ``sent`` that did not arrive, and of which the sender got ``expired``
    :param outage: the longest time in which a client sent without success, outside of faults (seconds)
    :param outage_in_faults: the same during faults and their repair
    :param drained: whether everything arrived that was waited for
    """

    sent: int
    acknowledged: int
    delivered: int
    notified: int
    withheld: int
    expired: int
    outage: float
    outage_in_faults: float
    drained: bool
    violations: Sequence[Violation] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether no invariant was broken and everything arrived."""
        return self.drained and not self.violations

    @property
    def by_invariant(self) -> Counter[str]:
        """The number of violations of each invariant."""
        return Counter(violation.invariant for violation in self.violations)

    @property
    def lost(self) -> int:
        """Chats with ``sent`` that never arrived, without an excuse (I1)."""
        return self.by_invariant["I1"]

    @property
    def doubled(self) -> int:
        """Chats with two entries (I1b, I2)."""
        return self.by_invariant["I1b"] + self.by_invariant["I2"]

    @property
    def reordered(self) -> int:
        """Chats that arrived before an earlier one (I3)."""
        return self.by_invariant["I3"]

    @property
    def wrong_presence(self) -> int:
        """Wrong answers to whether somebody is online (I6)."""
        return self.by_invariant["I6"]

    def figures(self) -> dict[str, float]:
        """The numbers by name, for a table."""
        names = ("sent", "acknowledged", "delivered", "lost", "doubled", "reordered", "wrong_presence")
        more = ("notified", "withheld", "expired", "outage", "outage_in_faults")
        return {name: getattr(self, name) for name in (*names, *more)}

    def __str__(self) -> str:
        """The figures and the first violations, for a terminal."""
        figures = "  ".join(f"{name} {value:g}" for name, value in self.figures().items())
        lines = [figures, f"drained {'yes' if self.drained else 'NO'}"]
        for invariant, count in sorted(self.by_invariant.items()):
            first = [v for v in self.violations if v.invariant == invariant][:SHOWN]
            lines += [f"{invariant}: {count} violations" + (f", the first {SHOWN}:" if count > SHOWN else ":")]
            lines += [str(violation) for violation in first]
        return "\n".join(lines)
