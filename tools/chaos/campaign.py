"""A campaign: many scenarios, each fault alone and then pairs, on as few stacks as possible."""

import asyncio
import json
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Final

from tools.chaos.faults import FAULTS, Fault
from tools.chaos.scenario import Outcome, Scenario, Times
from tools.chaos.stack import Profile, Stack

Kinds = tuple[type[Fault], ...]
NOTHING: Final = "nothing"
"""The name of a scenario without a fault: what must hold outside of faults."""
CALM_SECONDS: Final = 8.0
"""Its length. It checks what is excused during faults and their repair."""
COLUMNS: Final = (
    *("sent", "acknowledged", "lost", "doubled", "reordered", "wrong_presence"),
    *("notified", "withheld", "outage", "outage_in_faults"),
)


@dataclass(frozen=True)
class Plan:
    """One scenario to run: its faults and its seed."""

    kinds: Kinds
    seed: int

    @property
    def name(self) -> str:
        """Its name in the table."""
        return "+".join(kind.name for kind in self.kinds) or NOTHING

    @property
    def profile(self) -> Profile:
        """The stack that all of its faults need."""
        return union([kind.profile for kind in self.kinds])


def union(profiles: Sequence[Profile]) -> Profile:
    """A stack on which all of these can be run; without any, the plain one.

    :raises ValueError: one stack is not enough
    """
    made = Profile(*profiles[0].must) if profiles else Profile()
    for each in profiles:
        if each.must != made.must:
            raise ValueError("these faults need different stacks")
        made = replace(
            made,
            replica=made.replica or each.replica,
            small_disk=made.small_disk or each.small_disk,
            clocks=made.clocks or each.clocks,
            patches=made.patches or each.patches,
        )
    return made


def pairs() -> list[Kinds]:
    """All pairs of faults that can strike together."""
    return [
        (one, other)
        for one, other in combinations(FAULTS.values(), 2)
        if not one.touches & other.touches
        and one.profile.must == other.profile.must
        and not (one.profile.missing or other.profile.missing)
        and not ((one.needs_storage and other.loses_storage) or (other.needs_storage and one.loses_storage))
    ]


def grouped(plans: Sequence[Plan]) -> Iterator[tuple[Profile, list[Plan]]]:
    """The plans by stack: those without needs on the plain one, the others on stacks that have all they need."""
    plain = [plan for plan in plans if plan.profile == Profile()]
    if plain:
        yield Profile(), plain
    special = [plan for plan in plans if plan.profile != Profile()]
    for key in dict.fromkeys(plan.profile.must for plan in special):
        same = [plan for plan in special if plan.profile.must == key]
        yield union([plan.profile for plan in same]), same


class Campaign:
    """Runs plans and keeps their outcomes.

    :param out: directory for the histories and logs of red scenarios
    :param say: prints a line
    """

    def __init__(
        self, out: Path, say: Callable[[str], None], *, long: bool = False, times: Times | None = None
    ) -> None:
        self.outcomes: list[Outcome] = []
        self.skipped: list[str] = []
        self.failed: list[str] = []
        """Scenarios that could not be run to their end. Nothing follows from them."""
        self._out, self._say, self._long, self._times = out, say, long, times or Times()
        self._stack: Stack | None = None

    def run(self, plans: Sequence[Plan], until: float = float("inf")) -> None:
        """Run those plans that are possible on this machine.

        :param until: monotonic time after which none is begun
        """
        possible = [plan for plan in plans if not self._missing(plan)]
        for profile, some in grouped(possible):
            for plan in some:
                if time.monotonic() > until:
                    return
                self._run_one(plan, profile)
            self.close()

    def run_pairs(self, rng: random.Random, until: float) -> None:
        """Random pairs, until the time is over."""
        everything = pairs()
        while time.monotonic() < until:
            some = [Plan(rng.choice(everything), rng.randrange(10**6)) for _ in range(8)]
            self.run(some, until)

    def close(self) -> None:
        """Stop the current stack."""
        if self._stack is not None:
            stack, self._stack = self._stack, None
            stack.stop()
            shutil.rmtree(stack.home, ignore_errors=True)

    def _missing(self, plan: Plan) -> bool:
        why = {kind.name: kind.profile.missing for kind in plan.kinds if kind.profile.missing}
        self.skipped += [f"{name}: needs {what}" for name, what in why.items()]
        return bool(why)

    def _run_one(self, plan: Plan, profile: Profile) -> None:
        stack = self._ready_stack(profile)
        times = self._times if plan.kinds else replace(self._times, before=CALM_SECONDS)
        scenario = Scenario(stack, [kind() for kind in plan.kinds], plan.seed, times)
        try:
            outcome = asyncio.run(scenario.run())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is reported, and the other scenarios are run all the same
            self.failed.append(f"{plan.name} {plan.seed}: {error!r}")
            self._say(f"{plan.name:<36} {plan.seed:>6}  FAILED")
            self._say("    " + "    ".join(traceback.format_exception(error)[-12:]))
            self._say(f"    history and logs: {self._keep(stack, scenario.path, plan)}")
            self.close()
            return
        self.outcomes.append(outcome)
        self._say(row(outcome))
        if outcome.red:
            for line in outcome.broken:
                self._say(f"    {line}")
            kept = self._keep(stack, outcome.history, plan)
            self._say(f"    history and logs: {kept}")
            self.close()  # what it left may disturb the next scenario
        else:
            outcome.history.unlink()

    def _ready_stack(self, profile: Profile) -> Stack:
        if self._stack is None:
            home = Path(tempfile.mkdtemp(prefix="wm-chaos-"))
            self._stack = Stack(home, profile, long=self._long)
            self._stack.start()
        return self._stack

    def _keep(self, stack: Stack, history: Path, plan: Plan) -> Path:
        place = self._out / f"{plan.name}-{plan.seed}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(stack.logs, place)
        if history.exists():
            shutil.copy(history, place / "history.jsonl")
        return place

    def write(self, seed: int) -> None:
        """Write all figures as JSON."""
        self._out.mkdir(parents=True, exist_ok=True)
        found = {
            "seed": seed,
            "long": self._long,
            "scenarios": [outcome.record() for outcome in self.outcomes],
            "skipped": self.skipped,
            "failed": self.failed,
        }
        (self._out / "result.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def header() -> str:
    """The line above the rows."""
    return (
        f"{'scenario':<36} {'seed':>6} " + " ".join(f"{name[:8]:>8}" for name in (*COLUMNS, "green")) + "  MB fds keys"
    )


def row(outcome: Outcome) -> str:
    """One scenario: the figures of its report, seconds to green, and memory, descriptors and keys against base."""
    figures = outcome.report.figures()
    numbers = " ".join(f"{figures[name]:>8g}" for name in COLUMNS)
    now, base = outcome.now, outcome.base
    change = f"{now.megabytes - base.megabytes:+.0f} {now.descriptors - base.descriptors:+d} {now.keys - base.keys:+d}"
    verdict = "RED" if outcome.red else "ok"
    return f"{outcome.name:<36} {outcome.seed:>6} {numbers} {outcome.green:>8.1f}  {change}  {verdict}"
