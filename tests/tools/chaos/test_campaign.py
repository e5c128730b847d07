"""A short campaign: it breaks things, finds nothing lost, and would report it if something were."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tools.chaos.__main__ import parse, plans
from tools.chaos.campaign import Campaign, Plan, grouped, pairs, row, union
from tools.chaos.checker import Report, Violation
from tools.chaos.faults import FAULTS, Fault
from tools.chaos.probe import Probe, complaints
from tools.chaos.scenario import EXPECTED_ERRORS, Outcome, Times, errors
from tools.chaos.stack import Profile

SMALL = Times(before=0.5, after=1.0, people=20, rate=80)
BASE = Probe(
    workers=3, megabytes=200, descriptors=90, connections=10, database=3, keys=12, waiting=5, pending=1, dead=0
)


@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_lost_while_a_worker_dies_replies_are_cut_off_and_redis_loses_its_data(tmp_path: Path) -> None:
    lines: list[str] = []
    campaign = Campaign(tmp_path, lines.append, times=SMALL)
    names = ("kill-worker", "replies-cut-off", "flushall")
    try:
        campaign.run([Plan((FAULTS[name],), 7) for name in names])
    finally:
        campaign.close()
    assert [outcome.name for outcome in campaign.outcomes] == list(names)
    assert not [outcome.broken for outcome in campaign.outcomes if outcome.red], lines
    assert all(outcome.report.acknowledged > 50 for outcome in campaign.outcomes)
    assert campaign.outcomes[1].report.outage_in_faults > 0.01, "nothing was broken"
    campaign.write(7)
    assert (tmp_path / "result.json").exists()


def test_errors_in_the_logs_are_counted_unless_a_fault_causes_them(tmp_path: Path) -> None:
    log = tmp_path / "arq.log"
    before = '{"level": "error", "event": "before"}\n'
    events = ["1.00s ! cron:sweep failed, TimeoutError: ", "1.00s ! cron:sweep failed, ApiError: unavailable", "odd"]
    lines = [json.dumps({"level": "error", "event": event}) for event in [*events, "odd"]]
    log.write_text(before + "\n".join([*lines, '{"level": "info", "event": "fine"}', "no JSON", '{"cut']))
    since = {log: len(before)}
    assert errors(tmp_path, since, [*EXPECTED_ERRORS, *FAULTS["freeze-arq"].logs]) == ["logged 2 times: odd"]
    assert len(errors(tmp_path, since, EXPECTED_ERRORS)) == 2


def outcome(report: Report, **more: object) -> Outcome:
    usual = Outcome("x", 1, report, 0.1, BASE, BASE, frozenset(), Path("x"))
    return replace(usual, **more)  # type: ignore[arg-type]


GOOD = Report(9, 9, 9, 0, 0, 0, 0.1, 0.2, drained=True)
LOST = replace(GOOD, violations=[Violation("I1", "it is gone", [])])


def test_a_violation_is_red_unless_the_fault_excuses_it() -> None:
    assert not outcome(GOOD).red
    assert outcome(LOST).broken == ["I1: it is gone"]
    assert not outcome(LOST, excuses=frozenset({"I1"})).red
    assert outcome(LOST, excuses=frozenset({"I2"})).red
    assert outcome(replace(GOOD, drained=False)).red
    assert outcome(GOOD, complaints=["green only after 11 s"]).red
    assert row(outcome(GOOD)).endswith("ok")
    assert row(outcome(LOST)).endswith("RED")


@pytest.mark.parametrize(
    "worse",
    [
        {"megabytes": 300},
        {"descriptors": 120},
        {"connections": 20},
        {"keys": 30},
        {"waiting": 1},
        {"pending": 1},
        {"dead": 1},
        {"workers": 2},
    ],
    ids=str,
)
def test_resources_above_base_are_a_complaint(worse: dict[str, int]) -> None:
    calm = replace(BASE, waiting=0, pending=0)
    assert complaints(BASE, calm) == []
    assert len(complaints(BASE, replace(calm, **worse))) == 1  # type: ignore[arg-type]


def test_descriptors_that_are_connections_to_postgresql_are_none() -> None:
    calm = replace(BASE, waiting=0, pending=0, descriptors=110)
    assert complaints(BASE, replace(calm, database=7)) == []
    assert len(complaints(BASE, calm)) == 1


def test_every_fault_says_what_it_is() -> None:
    for name, fault in FAULTS.items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert fault.name == name
        assert fault.what
        assert fault.touches
        assert fault.strike is not Fault.strike


def test_faults_that_touch_the_same_part_are_no_pair() -> None:
    names = {(one.name, other.name) for one, other in pairs()}
    assert ("kill-worker", "kill-redis") in names
    assert ("kill-worker", "freeze-worker") not in names
    assert ("kill-redis", "kill-redis-everysec") not in names
    both_ways = names | {(other, one) for one, other in names}
    assert ("poison", "product-clock-ahead") in both_ways
    assert ("poison", "aof-deleted") not in both_ways
    assert ("herd", "postgres-down") not in both_ways


def test_plans_share_stacks_that_have_what_they_need() -> None:
    some = [
        *(Plan((FAULTS[name],), 0) for name in ("kill-worker", "disk-full", "kill-redis-everysec")),
        *(Plan((FAULTS[name],), 0) for name in ("redis-clock-ahead", "expiry")),
        Plan((), 0),
    ]
    found = {profile: [plan.name for plan in plans] for profile, plans in grouped(some)}
    assert found == {
        Profile(): ["kill-worker", "nothing"],
        Profile(small_disk=True, clocks=True): ["disk-full", "redis-clock-ahead"],
        Profile(fsync="everysec"): ["kill-redis-everysec"],
        FAULTS["expiry"].profile: ["expiry"],
    }
    with pytest.raises(ValueError, match="different stacks"):
        union([Profile(), Profile(fsync="everysec")])
    with pytest.raises(ValueError, match="different stacks"):
        union([Profile(), Profile(knobs=(("WINDOW", "8"),))])


def test_what_this_machine_lacks_is_skipped_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.chaos.stack._may_mount", lambda: False)
    campaign = Campaign(tmp_path, print)
    campaign.run([Plan((FAULTS["disk-full"],), 0)])
    assert campaign.outcomes == []
    assert campaign.skipped == ["disk-full: needs the right to mount a file system"]


def test_the_command_line() -> None:
    assert [plan.name for plan in plans(parse(["kill-worker", "flushall+kill-worker"]), 5)] == [
        "kill-worker",
        "flushall+kill-worker",
    ]
    ci, long = plans(parse([]), 1), plans(parse(["--part", "long"]), 1)
    assert {plan.name for plan in long} == {"nothing", *FAULTS}
    assert ci[-1].name == "nothing"
    assert [plan.name for plan in plans(parse(["nothing"]), 5)] == ["nothing"]
    assert 30 <= len(ci) <= 34, "more does not fit into ten minutes"
    assert len({plan.seed for plan in ci}) == len(ci)
    with pytest.raises(SystemExit):
        parse(["no-such-fault"])
