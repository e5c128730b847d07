"""``python -m tools.simulate``: one seed, seeds for so long, or the bugs on purpose."""

import argparse
import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, process_time
from typing import Final

from delivery.session.session import Session
from tools.simulate.bugs import BUGS
from tools.simulate.faults import Fault
from tools.simulate.judge import Verdict, judge
from tools.simulate.shrink import shrink
from tools.simulate.world import Scenario, World

SHRINK_SECONDS: Final = 60.0
SHOWN: Final = 5
OLD_SEEDS: Final = Path(__file__).with_name("old_seeds.json")
"""Scenarios that were red once."""


def main(words: list[str] | None = None) -> int:
    """:returns: 1 when something was wrong; of bugs: when one was not found"""
    options = _parse(words)
    if options.bugs:
        return _find_bugs(options.bugs, options.hours)
    session = BUGS[options.bug] if options.bug else Session
    if options.seed is not None:
        scenario = _scenario(options)
        verdict = _judge(scenario, session, keeps_trace=options.trace)
        print("\n".join(verdict.run.trace), end="\n" if options.trace else "")
        return _tell(verdict, session, options)
    end, totals = monotonic() + options.seconds, Totals()
    for scenario in _scenarios(options):
        verdict = _judge(scenario, session)
        totals.add(verdict)
        if not verdict.is_good:
            _tell(verdict, session, options)
        if monotonic() > end:
            break
    print(totals)
    return 1 if totals.red else 0


class Totals:
    """Of all runs."""

    def __init__(self) -> None:
        self.runs = self.sent = self.lost = self.doubled = self.reordered = self.red = 0
        self.hours = 0.0
        self._began = process_time()

    def add(self, verdict: Verdict) -> None:
        """One more."""
        report = verdict.report
        self.runs += 1
        self.hours += verdict.run.scenario.hours
        self.sent += report.sent
        self.lost += report.lost
        self.doubled += report.doubled
        self.reordered += report.reordered
        self.red += not verdict.is_good

    def __str__(self) -> str:
        seconds = process_time() - self._began
        chats = f"{self.sent} chats, {self.lost} lost, {self.doubled} doubled, {self.reordered} reordered"
        rate = f"{seconds:.0f} s of processor time, {self.hours * 60 / max(seconds, 0.001):.1f} h a minute"
        return f"{self.runs} runs, {self.hours:.1f} h of talk, {chats}, {self.red} red; {rate}"


def _parse(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="this one only; without it fresh seeds are drawn")
    parser.add_argument("--hours", type=float, default=0.2, help="of talk in each run")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="for so long new runs are begun")
    parser.add_argument(
        "--faults", help="instead of the seed's own: a JSON list of {at, kind, seconds, server, strength}"
    )
    parser.add_argument("--trace", action="store_true", help="print every effect and reply of the seed's run")
    parser.add_argument("--bug", choices=sorted(BUGS), help="with this bug on purpose")
    parser.add_argument("--bugs", type=int, metavar="RUNS", help="find every bug on purpose within so many runs each")
    parser.add_argument("--no-shrink", action="store_true", help="print a red run as it is")
    return parser.parse_args(words)


def _scenario(options: argparse.Namespace) -> Scenario:
    faults = None if options.faults is None else tuple(Fault(**each) for each in json.loads(options.faults))
    return Scenario(options.seed, options.hours, options.people, faults)


def _scenarios(options: argparse.Namespace) -> Iterator[Scenario]:
    while True:
        yield Scenario(secrets.randbelow(2**32), options.hours, options.people)


def _judge(scenario: Scenario, session: type[Session], *, keeps_trace: bool = False) -> Verdict:
    return judge(World(scenario, session, keeps_trace=keeps_trace).run())


def _tell(verdict: Verdict, session: type[Session], options: argparse.Namespace) -> int:
    run = verdict.run
    print(f"seed {run.scenario.seed}: {run.scenario.hours} h, {len(run.faults)} faults, digest {run.digest}")
    figures = "  ".join(f"{name} {value:g}" for name, value in verdict.report.figures().items())
    print(figures if verdict.is_good else "\n".join(verdict.wrong[:SHOWN]))
    if verdict.is_good:
        return 0
    smallest = run.scenario
    if not options.no_shrink:
        smallest = shrink(smallest, lambda scenario: not _judge(scenario, session).is_good, SHRINK_SECONDS)
        print(
            "smaller:",
            *_judge(smallest, session).wrong[:1],
            *(f"  {fault}" for fault in smallest.faults or ()),
            sep="\n",
        )
    print(f"again: {command(smallest, options.bug)}")
    return 1


def command(scenario: Scenario, bug: str | None = None) -> str:
    """What repeats this run."""
    words = f"python3 -m tools.simulate --seed {scenario.seed} --hours {scenario.hours} --people {scenario.people}"
    if scenario.faults is not None:
        words += f" --faults '{json.dumps([vars(fault) for fault in scenario.faults])}'"
    return f"{words} --bug {bug}" if bug else words


def _find_bugs(runs: int, hours: float) -> int:
    missed = 0
    for name, session in BUGS.items():
        began = process_time()
        for seed in range(1, runs + 1):
            verdict = _judge(Scenario(seed, hours), session)
            if not verdict.is_good:
                break
        missed += verdict.is_good
        found = "NOT FOUND" if verdict.is_good else verdict.wrong[0].partition("\n")[0]
        print(f"{name:22} {process_time() - began:6.1f} s {seed * hours:5.1f} h  {found}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
