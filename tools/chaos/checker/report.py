"""What a check says: violations, each with the few events that prove it, and the figures of the whole history."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tools.chaos.history import Event

SHOWN: Final = 3
"""Violations of one invariant that are printed in full."""


@dataclass(frozen=True)
class Limits:
    """What the contract gives in seconds, at the settings of the servers that were tested.

    :param lease: LEASE_SECONDS: nobody is shown online for longer without a connection
    :param lease_grace: on top of it: a sweep must clamp leases after a clock jumped back
    :param send: a send succeeds within, outside of faults
    :param hang: everything is answered within, if only refused; in faults that say ``answers``, too
    :param heal: after a fault, everything is well within
    :param in_flight: what was collected before a block may still arrive within
    :param logout: a logged out session's sockets are dead within
    :param logout_cut: the same when a fault may have cut the bus
    :param window: WINDOW: unacked entries in flight on one connection
    """

    lease: float = 60.0
    lease_grace: float = 2.0
    send: float = 5.0
    hang: float = 6.0
    heal: float = 10.0
    in_flight: float = 1.0
    logout: float = 1.0
    logout_cut: float = 30.0
    window: int = 256


USUAL: Final = Limits()


@dataclass(frozen=True)
class Violation:
    """A broken promise, in one sentence, and the shortest excerpt of the history that shows it."""

    invariant: str
    sentence: str
    excerpt: Sequence[Event]

    def __str__(self) -> str:
        return "\n".join([f"{self.invariant}: {self.sentence}", *(f"    {event}" for event in self.excerpt)])


@dataclass(frozen=True)
class Report:
    """Everything about one history.

    ``sent``: chats begun; ``acknowledged``: those that got ``sent``; ``delivered``: those that came. ``lost``,
    ``doubled``, ``reordered``, ``ghosts``: violations of I1, I1b and I2, I3, I6. Acknowledged, never delivered and not
    lost: ``told`` (storage lost them, and said so), ``withheld`` (a block stood or may have stood), ``expired``.
    ``outage`` and ``outage_in_faults``: the longest a client sent in vain, outside of faults and their healing, and
    within (seconds). ``drained``: everything arrived that was waited for.
    """

    sent: int
    acknowledged: int
    delivered: int
    told: int
    withheld: int
    expired: int
    outage: float
    outage_in_faults: float
    drained: bool
    violations: Sequence[Violation] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether every promise was kept and everything arrived."""
        return self.drained and not self.violations

    @property
    def by_invariant(self) -> Counter[str]:
        """How many violations of each."""
        return Counter(violation.invariant for violation in self.violations)

    @property
    def lost(self) -> int:
        """Acknowledged chats that never came, without a word."""
        return self.by_invariant["I1"]

    @property
    def doubled(self) -> int:
        """Chats that have two entries."""
        return self.by_invariant["I1b"] + self.by_invariant["I2"]

    @property
    def reordered(self) -> int:
        """Chats that came before an earlier one."""
        return self.by_invariant["I3"]

    @property
    def ghosts(self) -> int:
        """People shown online, or not, against what was so."""
        return self.by_invariant["I6"]

    def figures(self) -> dict[str, float]:
        """For a table."""
        names = ("sent", "acknowledged", "delivered", "lost", "doubled", "reordered", "ghosts")
        more = ("told", "withheld", "expired", "outage", "outage_in_faults")
        return {name: getattr(self, name) for name in (*names, *more)}

    def __str__(self) -> str:
        """Plainly, for a terminal."""
        figures = "  ".join(f"{name} {value:g}" for name, value in self.figures().items())
        lines = [figures, f"drained {'yes' if self.drained else 'NO'}"]
        for invariant, count in sorted(self.by_invariant.items()):
            first = [v for v in self.violations if v.invariant == invariant][:SHOWN]
            lines += [f"{invariant}: {count} violations" + (f", the first {SHOWN}:" if count > SHOWN else ":")]
            lines += [str(violation) for violation in first]
        return "\n".join(lines)
