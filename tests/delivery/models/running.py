"""How the machines are run: the same examples every time, or for long with ``MODEL_EXAMPLES`` (and ``MODEL_SEED``)."""

import os
import secrets
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from delivery.results import CommandFailed
from tests.delivery.models.base_machine import BaseMachine
from tests.delivery.models.clocks import Clocks
from tools.chaos.breakages import Breakage

STEPS: Final = 50
LONG: Final = int(os.environ.get("MODEL_EXAMPLES", "0"))
COMMON: Final[dict[str, Any]] = {
    "stateful_step_count": STEPS,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}
Make = Callable[[str, Clocks, Breakage | None], BaseMachine]


def run(make: Make, url: str, patch: pytest.MonkeyPatch, examples: int) -> None:
    """So many examples, or ``MODEL_EXAMPLES`` from a seed that is printed.

    :raises AssertionError: Redis is not as the model, or the contract is broken; the shortest way there is printed
    """
    clocks = Clocks()
    patch.setattr(time, "time", clocks.time)

    def factory() -> BaseMachine:
        return make(url, clocks, None)

    if not LONG:
        run_state_machine_as_test(factory, settings=settings(max_examples=examples, derandomize=True, **COMMON))
        return
    number = int(os.environ.get("MODEL_SEED", secrets.randbits(32)))
    print(f"MODEL_SEED={number} MODEL_EXAMPLES={LONG}, {STEPS} steps each")
    run_state_machine_as_test(seed(number)(factory), settings=settings(max_examples=LONG, **COMMON))


def find(
    make: Make, breakage: Breakage | None, url: str, patch: pytest.MonkeyPatch, numbers: Iterable[int]
) -> int | None:
    """Plays with a script broken; the number of the first play in which that shows, or None.

    Without hypothesis, which is there to shorten what it finds: any way will do here, and its number leads there again.

    :raises CommandFailed: a script was broken so badly that Redis cannot load it, so nothing follows
    """
    clocks = Clocks()
    patch.setattr(time, "time", clocks.time)
    for number in numbers:
        machine = make(url, clocks, breakage)
        try:
            machine.play(Random(number), STEPS)  # noqa: S311 - a throw of dice, not a secret
        except AssertionError:
            return number
        except CommandFailed as refusal:
            if "NOSCRIPT" in str(refusal):
                raise
            return number
        finally:
            machine.teardown()
    return None
