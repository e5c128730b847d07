"""Fresh seeds, old seeds, and what makes both worth something: they replay, and they find bugs."""

import json
import os
import secrets
import subprocess
import sys
from math import inf
from time import monotonic

import pytest

from delivery.session.session import Session
from tools.session_bugs import TamperedSession
from tools.simulate.__main__ import OLD_SEEDS, command, main
from tools.simulate.bugs import BUGS
from tools.simulate.faults import Fault
from tools.simulate.judge import Verdict, judge
from tools.simulate.shrink import shrink
from tools.simulate.timeline import MOST_AT_ONCE, START
from tools.simulate.world import Scenario, World

FRESH_SECONDS = 3.0
HOURS = 0.1
SHORT = 0.03


def simulate(scenario: Scenario, session: type[Session] = Session) -> Verdict:
    return judge(World(scenario, session).run())


def check(scenario: Scenario) -> None:
    verdict = simulate(scenario)
    assert verdict.is_good, "\n".join([*verdict.wrong[:5], command(scenario)])


def test_fresh_seeds_are_good() -> None:
    end = monotonic() + FRESH_SECONDS
    while monotonic() < end:
        check(Scenario(secrets.randbelow(2**32), HOURS))


@pytest.mark.parametrize("old", json.loads(OLD_SEEDS.read_bytes()), ids=lambda old: str(old["seed"]))
def test_old_seeds_are_good(old: dict[str, int]) -> None:
    check(Scenario(old["seed"], 0.2))


def test_a_seed_replays_byte_for_byte() -> None:
    words = [sys.executable, "-m", "tools.simulate", "--seed", "4", "--hours", str(SHORT), "--trace"]
    processes = [
        subprocess.Popen(words, env=os.environ | {"PYTHONHASHSEED": dice}, stdout=subprocess.PIPE)
        for dice in ("1", "2")
    ]
    runs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert runs[0] == runs[1]
    assert b"digest" in runs[0]


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_on_purpose_is_found(bug: str) -> None:
    scenarios = [Scenario(seed, hours) for hours in (SHORT, HOURS) for seed in range(1, 10)]
    assert any(not simulate(scenario, BUGS[bug]).is_good for scenario in scenarios)


def test_what_bugs_are_made_of_is_none_itself() -> None:
    scenario = Scenario(3, SHORT)
    assert simulate(scenario, TamperedSession).run.digest == simulate(scenario).run.digest


def test_a_red_run_is_made_smaller_and_stays_red() -> None:
    bug = BUGS["pending-forgotten"]
    red = Scenario(3, 0.06, people=16)
    smaller = shrink(red, lambda scenario: not simulate(scenario, bug).is_good, 10.0)
    assert not simulate(smaller, bug).is_good
    assert smaller.hours < red.hours
    assert smaller.people < red.people
    assert simulate(smaller).is_good


def test_work_without_end_at_one_time_is_told() -> None:
    world = World(Scenario(1, SHORT, people=8), Session)
    timeline = world.timeline

    def again(left: float) -> None:
        if left:
            timeline.at(timeline.now, again, left - 1)

    timeline.at(START + 1, again, MOST_AT_ONCE / 10)
    timeline.at(START + 2, again, inf)
    verdict = judge(world.run())
    assert verdict.wrong[0].startswith("1002.000 work without end at one time: ")
    assert verdict.wrong[-1] == "not drained: something is stuck"


def test_a_red_run_is_printed_with_what_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seed", "1", "--hours", "0.02", "--people", "8", "--no-shrink"]
    assert main([*words, "--bug", "fetch-first"]) == 1
    said = capsys.readouterr().out
    assert "FetchEntries before the lease was claimed" in said
    assert "--seed 1 --hours 0.02 --people 8 --bug fetch-first" in said
    assert main(words) == 0
    assert "0 lost" in capsys.readouterr().out.replace("lost 0", "0 lost")


def test_a_loss_of_storage_near_the_end_has_the_time_to_be_told() -> None:
    check(Scenario(1, SHORT, people=8, faults=(Fault(SHORT * 3600 - 1, "flush", 0.0, 0, 0.0),)))


def test_fresh_seeds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "0", "--hours", "0.02", "--people", "8"]) == 0
    assert "1 runs, 0.0 h of talk" in capsys.readouterr().out
