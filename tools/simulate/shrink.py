"""A red run made smaller: shorter, fewer faults, fewer people, as long as it stays red."""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Final

from tools.simulate.faults import Fault
from tools.simulate.world import Scenario, planned_faults

LEAST_HOURS: Final = 0.02
LEAST_PEOPLE: Final = 4
IsRed = Callable[[Scenario], bool]


def shrink(scenario: Scenario, is_red: IsRed, seconds: float) -> Scenario:
    """The smallest red scenario that is found within so many seconds."""
    end = monotonic() + seconds
    best = replace(scenario, faults=tuple(planned_faults(scenario)))

    def try_one(smaller: Scenario) -> bool:
        nonlocal best
        if monotonic() < end and is_red(smaller):
            best = smaller
            return True
        return False

    while best.hours > LEAST_HOURS and try_one(_shorter(best)):
        pass
    while best.people > LEAST_PEOPLE and try_one(replace(best, people=max(LEAST_PEOPLE, best.people * 2 // 3))):
        pass
    _drop_faults(best.faults or (), lambda faults: try_one(replace(best, faults=faults)))
    while best.hours > LEAST_HOURS and try_one(_shorter(best)):
        pass
    return best


def _shorter(scenario: Scenario) -> Scenario:
    hours = max(LEAST_HOURS, round(scenario.hours / 2, 4))
    return replace(scenario, hours=hours, faults=tuple(f for f in scenario.faults or () if f.at < hours * 3600))


def _drop_faults(faults: tuple[Fault, ...], stays_red: Callable[[tuple[Fault, ...]], bool]) -> None:
    """Delta debugging: halves first, then quarters, then each alone."""
    size = len(faults)
    while size >= 1:
        start = 0
        while start < len(faults):
            fewer = faults[:start] + faults[start + size :]
            if stays_red(fewer):
                faults = fewer
            else:
                start += size
        size //= 2
