"""The interface of a fault."""

from collections.abc import Mapping
from typing import ClassVar

from tools.chaos.stack import LEASE_SECONDS, Profile, Stack

TWICE_T = 2 * LEASE_SECONDS
ANY = Profile()
"""A fault with this profile can be run on every stack."""


class Fault:
    """Something that breaks. ``prepare``, ``strike`` and ``heal`` may block: they run in a thread.

    An object is used once: ``strike`` keeps in it what ``heal`` needs.
    """

    name: ClassVar[str]
    what: ClassVar[str]
    """In one line, for ``--list``."""
    seconds: ClassVar[float] = 3.0
    """Between ``strike`` and ``heal``, in a short run."""
    long_seconds: ClassVar[float | None] = None
    """The same in a long run; None: as in a short one."""
    profile: ClassVar[Profile] = ANY
    touches: ClassVar[frozenset[str]] = frozenset()
    """The parts of the stack that it changes. Two faults with a common part are not paired."""
    excuses: ClassVar[frozenset[str]] = frozenset()
    """Invariants that it may break, for a reason that docs/RELIABILITY.md gives."""
    logs: ClassVar[frozenset[str]] = frozenset()
    """Parts of the lines of level error that it causes in the product's logs, and no other fault."""
    mild: ClassVar[bool] = False
    """Everything must be as if there were no fault: the history does not mention it."""
    loses_storage: ClassVar[bool] = False
    """Redis loses data: every client must be notified (``resync``)."""
    needs_storage: ClassVar[bool] = False
    """What it prepares is in Redis, and it looks for it: not paired with a fault that loses storage."""
    outage_limit: ClassVar[float | None] = None
    """Seconds a send may take during the fault; None: any."""
    servers_answer: ClassVar[bool] = False
    """No server process is harmed: every request is answered within six seconds, if only refused."""
    rates: ClassVar[Mapping[str, float]] = {}
    """Rates of activities in its scenario, where they differ from ``activities.RATES``."""
    keeps: ClassVar[Mapping[str, int]] = {}
    """How much may stay above base afterwards (by the names of :class:`tools.chaos.probe.Probe`)."""

    def prepare(self, stack: Stack) -> None:
        """Make what the fault needs, before anything breaks."""

    def strike(self, stack: Stack) -> None:
        """Break it."""
        raise NotImplementedError

    def heal(self, stack: Stack) -> None:
        """Repair it."""

    def after(self, stack: Stack) -> list[str]:
        """What is wrong in the end, beyond what clients can see."""
        return []
