"""How the machines are run: the same examples every time, or for long with ``MODEL_EXAMPLES`` (and ``MODEL_SEED``)."""

import os
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

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


def break_and_run(make: Make, breakage: Breakage, url: str, patch: pytest.MonkeyPatch, examples: int) -> None:
    """With a script broken; ends at the first failure, and looks for no shorter one."""
    clocks = Clocks()
    patch.setattr(time, "time", clocks.time)
    quick = settings(
        max_examples=examples,
        derandomize=True,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        **COMMON,
    )
    run_state_machine_as_test(lambda: make(url, clocks, breakage), settings=quick)
