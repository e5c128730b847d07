"""The command line."""

import pytest

from settings.fields import Settings
from tools.bench.contenders import LIMITS
from tools.bench.options import parse
from tools.devstack.options import ROOT


def test_everything_has_a_default() -> None:
    found = parse([])
    assert (found.pairs, found.in_flight, found.rounds) == (50, 8, 3)
    assert found.mode == ["closed", "open", "offline", "idle", "storm", "growth", "floods"]
    assert found.contenders == ["mini-everysec", "mini-always", "ejabberd", "prosody"]
    assert found.rate == [500.0, "half"]
    assert found.existing == [100, 10_000, 1_000_000]


def test_several_modes_run_in_the_order_given() -> None:
    assert parse(["storm", "closed", "--rounds", "1"]).mode == ["storm", "closed"]


def test_lists_are_separated_by_commas() -> None:
    found = parse(["open", "--rate", "half,250", "--contenders", "prosody,mini-always", "--existing", "10,1e3"])
    assert (found.rate, found.contenders, found.existing) == (["half", 250.0], ["prosody", "mini-always"], [10, 1000])


def test_a_replica_takes_part_when_it_is_named() -> None:
    assert parse(["closed", "--contenders", "mini-replica-wait,mini-replica"]).contenders == [
        "mini-replica-wait",
        "mini-replica",
    ]


def test_floods_are_short_in_both_dialects_and_under_the_limits_as_they_come_unless_said_otherwise() -> None:
    found = parse(["floods"])
    assert (found.flood_rounds, found.flood_seconds, found.flood_limits) == (1, 2.0, "shipped")
    assert (found.limits, found.flood_dialects, found.accounts) == ("off", ["wm.v1", "seed"], [1, 4])
    found = parse(["floods", "--floods", "acks,drip", "--accounts", "2", "--dialect", "seed", "--limits", "off"])
    assert (found.floods, found.accounts) == (["acks", "drip"], [2])
    assert (found.flood_dialects, found.flood_limits) == (["seed"], "off")
    assert parse(["floods", "--rounds", "2", "--seconds", "5"]).flood_seconds == 5


def test_servers_known_by_their_address_are_one_contender() -> None:
    assert parse(["closed", "--url", "http://127.0.0.1:5000"]).contenders == ["mini", "ejabberd", "prosody"]


def test_ours_take_part_once_for_each_dialect_and_once_more_as_they_were_before() -> None:
    assert parse(["closed", "--contenders", "mini-always,ejabberd", "--dialect", "seed"]).contenders == [
        "mini-always-seed",
        "ejabberd",
    ]
    found = parse(["closed", "--contenders", "mini-everysec", "--dialect", "both", "--before", str(ROOT)])
    assert found.contenders == ["mini-everysec", "mini-everysec-seed", "mini-before", "mini-before-seed"]
    assert found.before == ROOT


def test_what_the_limits_are_set_by_are_settings_of_the_product() -> None:
    for knobs in LIMITS.values():
        assert {name.lower() for name in knobs} <= set(Settings.model_fields)
    assert {name: knobs["RATE_LIMITS"] for name, knobs in LIMITS.items()} == {"off": "off", "on": "on", "shipped": "on"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["closed", "nonsense"],
        ["--url", "http://x"],
        ["closed", "--contenders", "nobody"],
        ["idle", "--url", "http://x"],
        ["growth", "--data", "x"],
        ["closed", "--before", "/nowhere"],
        ["closed", "--dialect", "xmpp"],
        ["floods", "--floods", "rain"],
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    assert "usage: run.py bench" in capsys.readouterr().err
