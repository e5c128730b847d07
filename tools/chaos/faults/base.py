"""What every fault has in common."""

from collections.abc import Mapping
from typing import ClassVar

from tools.chaos.stack import LEASE_SECONDS, Profile, Stack

TWICE_T = 2 * LEASE_SECONDS
ANY = Profile()
"""A fault with this profile can be run on every stack."""


class Fault:
    """One thing that breaks. ``prepare``, ``strike`` and ``heal`` may block: they run in a thread.

    One object is one use: what ``strike`` did to whom, ``heal`` finds in its own fields.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    """In a line, for ``--list``."""
    seconds: ClassVar[float] = 3.0
    """Between ``strike`` and ``heal``, in a short run."""
    long_seconds: ClassVar[float | None] = None
    """The same in a long run; None: the same."""
    profile: ClassVar[Profile] = ANY
    touches: ClassVar[frozenset[str]] = frozenset()
    """What it lays hands on: two faults that share something are no pair."""
    excuses: ClassVar[frozenset[str]] = frozenset()
    """Invariants that it may break, with the reason said in docs/RELIABILITY.md."""
    mild: ClassVar[bool] = False
    """While it lasts everything must be as if there were no fault: the history is not told of it."""
    loses_storage: ClassVar[bool] = False
    """Redis forgets: everybody must be told (``resync``)."""
    outage_limit: ClassVar[float | None] = None
    """Seconds a send may take while it lasts; None: any."""
    answers: ClassVar[bool] = False
    """No server process is harmed: all of them answer within six seconds, if only to refuse."""
    rates: ClassVar[Mapping[str, float]] = {}
    """What people do more or less often than usual in its scenario (``activities.RATES``)."""
    keeps: ClassVar[Mapping[str, int]] = {}
    """What need not come back to base (names of :class:`tools.chaos.probe.Probe`), and how much of it may stay."""

    def prepare(self, stack: Stack) -> None:
        """Make what it needs, before anything breaks."""

    def strike(self, stack: Stack) -> None:
        """Break it."""
        raise NotImplementedError

    def heal(self, stack: Stack) -> None:
        """Mend it; nothing to do for what mends itself."""

    def after(self, stack: Stack) -> list[str]:
        """What, in the end, is not as it must be after this fault, beyond what clients can see."""
        return []
