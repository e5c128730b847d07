"""Puts bugs into the product, one after another, and checks that the campaign finds each for the right reason."""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools.chaos.bugs.base import Bug, Scene
from tools.chaos.campaign import NOTHING, union
from tools.chaos.checker import Limits
from tools.chaos.faults import FAULTS
from tools.chaos.scenario import LIMITS, Outcome, Scenario, Times
from tools.chaos.stack import Profile, Stack

SETTLE_SECONDS = 2.0
"""A stack with a bug may never come back to base, and is not used again, so this is not waited for."""


@dataclass
class Finding:
    """The result for one bug.

    :param line: the first violation that is about the bug; "": the bug was not caught
    :param all: the number of violations of each check
    :param error: why the scenario could not be run; "": it was
    """

    bug: Bug
    sound: bool
    line: str = ""
    all: Counter[str] = field(default_factory=Counter)
    error: str = ""
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """A bug must be caught. Without the bug, nothing must be red."""
        return not self.error and (not self.broken if self.sound else bool(self.line))


def profile(bug: Bug, *, sound: bool) -> Profile:
    """The stack for the bug's scene."""
    needed = union([FAULTS[name].profile for name in bug.scene.faults])
    knobs = (*needed.knobs, *bug.scene.knobs.items())
    return replace(needed, knobs=knobs, bug="" if sound else bug.name)


def times(scene: Scene, *, sound: bool) -> Times:
    """The times of the scene. Without the bug, the product gets the usual time to drain and settle."""
    few = Times(scene.before, scene.after, scene.drain, scene.people, scene.rate, SETTLE_SECONDS, scene.rates)
    return replace(few, drain=Times.drain, settle=Times.settle) if sound else few


def limits(scene: Scene) -> Limits:
    """The limits for the checker, by the knobs of the scene."""
    return replace(LIMITS, window=scene.window, lease=float(scene.knobs.get("LEASE_SECONDS", LIMITS.lease)))


class Hunt:
    """One bug after another, each on a stack of its own.

    :param out: directory for the history and the logs of what went wrong
    :param say: prints a line
    :param sound: leave the bugs out: then the same scenarios must be green
    :param seed: in the place of each scene's own
    """

    def __init__(self, out: Path, say: Callable[[str], None], *, sound: bool = False, seed: int | None = None) -> None:
        self.findings: list[Finding] = []
        self._out, self._say, self._sound, self._seed = out, say, sound, seed

    def run(self, bugs: Iterable[Bug]) -> None:
        """Run the scenes of these bugs."""
        for bug in map(self._seeded, bugs):
            finding = self._run_one(bug)
            self.findings.append(finding)
            self._say(row(finding))
            if not finding.good:
                for line in finding.broken:
                    self._say(f"    {line}")

    def _seeded(self, bug: Bug) -> Bug:
        return bug if self._seed is None else replace(bug, scene=replace(bug.scene, seed=self._seed))

    def _run_one(self, bug: Bug) -> Finding:
        began, found = time.monotonic(), Finding(bug, self._sound)
        home = Path(tempfile.mkdtemp(prefix="wm-bug-"))
        stack = Stack(home, profile(bug, sound=self._sound))
        try:
            stack.start()
            outcome = asyncio.run(self._scenario(stack, bug.scene).run())
            found.broken = outcome.broken
            found.line, found.all = bug.caught_by(outcome.broken), checks(outcome)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - it is reported, and the other bugs are run all the same
            found.error = repr(error)
        finally:
            stack.stop()
            if not found.good:
                self._keep(home, bug)
            shutil.rmtree(home, ignore_errors=True)
        found.seconds = time.monotonic() - began
        return found

    def _scenario(self, stack: Stack, scene: Scene) -> Scenario:
        faults = [FAULTS[name]() for name in scene.faults]
        return Scenario(stack, faults, scene.seed, times(scene, sound=self._sound), limits(scene))

    def _keep(self, home: Path, bug: Bug) -> None:
        place = self._out / "bugs" / bug.name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(home / "logs", place)
        for history in home.glob("*.jsonl"):
            shutil.copy(history, place / "history.jsonl")


def checks(outcome: Outcome) -> Counter[str]:
    """The number of violations of each invariant; complaints are counted together."""
    found = Counter(outcome.report.by_invariant)
    others = len(outcome.broken) - sum(found.values())
    return found + Counter({"else": others} if others > 0 else {})


def header() -> str:
    """The line above the rows."""
    return f"{'bug':<22} {'scenario':<28} {'seed':>4} {'s':>5}  check that caught it"


def row(finding: Finding) -> str:
    """One finding: the bug, its scenario, the check that caught it, and all that were red."""
    bug, scene = finding.bug, finding.bug.scene
    where = f"{bug.name:<22} {'+'.join(scene.faults) or NOTHING:<28} {scene.seed:>4} {finding.seconds:>5.0f}"
    if finding.error:
        return f"{where}  FAILED {finding.error}"
    if finding.sound:
        return f"{where}  {'green without the bug' if finding.good else 'RED WITHOUT THE BUG'}"
    red = ", ".join(f"{name} {count}" for name, count in sorted(finding.all.items()))
    verdict = f"{bug.check} ({bug.says})" if finding.good else f"NOT CAUGHT by {bug.check} ({bug.says})"
    return f"{where}  {verdict}; red: {red or 'nothing'}"
