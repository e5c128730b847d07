"""What may happen in a machine, and with what."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st

from tests.delivery.models.faulty_client import NONE, Fault

T = TypeVar("T")
HOUR_MS = 3_600_000
LEASE_MS = 60_000
FARTHEST_MS = 6 * HOUR_MS
FAULTS = [NONE, NONE, NONE, *(Fault(kind, 1) for kind in ("twice", "cut", "lost")), Fault("cut", 2)]
PICK = range(12)
SEEDS = st.integers(0, 2**64 - 1)
OFF = 3
EVENTS = [1_000, 20_000, 61_000, (1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1), "flush", "cut"]
AGES = [0, 0, 5_000, 59_999, 70_000]


class Step(NamedTuple):
    """Something that may happen: how often in proportion, what with, and whether it can just now."""

    weight: int
    arguments: dict[str, Sequence[Any]]
    possible: Callable[[Any], bool]


def step(weight: int = 2, possible: Callable[[Any], bool] = bool, /, **arguments: Sequence[Any]) -> Callable[[T], T]:
    """Like hypothesis' ``rule``, but all are drawn alike. Hypothesis leaves out half of the rules in an average example
    and likes to repeat what it drew: few examples would get as far as an ack of one of two devices."""

    def mark(method: T) -> T:
        method.step = Step(weight, arguments, possible)  # type: ignore[attr-defined]
        return method

    return mark
