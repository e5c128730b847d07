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
    assert found.contenders == ["mini-everysec", "mini-always", "ejabberd", "ejabberd-archive", "prosody"]
    assert found.rate == [500, 2000, 4000]
    assert found.existing == [100, 10_000, 1_000_000]


def test_several_modes_run_in_the_order_given() -> None:
    assert parse(["storm", "closed", "--rounds", "1"]).mode == ["storm", "closed"]


def test_lists_are_separated_by_commas() -> None:
    found = parse(["open", "--rate", "8e3,250", "--contenders", "prosody,mini-always", "--existing", "10,1e3"])
    assert (found.rate, found.contenders, found.existing) == ([8000, 250], ["prosody", "mini-always"], [10, 1000])


def test_a_contender_may_name_its_number_of_server_processes() -> None:
    assert parse(["open", "--contenders", "mini-everysec-1,mini-always-4", "--dialect", "seed"]).contenders == [
        "mini-everysec-1-seed",
        "mini-always-4-seed",
    ]


def test_a_replica_takes_part_when_it_is_named() -> None:
    assert parse(["closed", "--contenders", "mini-replica-wait,mini-replica"]).contenders == [
        "mini-replica-wait",
        "mini-replica",
    ]


def test_floods_are_short_in_both_dialects_and_with_default_limits_unless_options_differ() -> None:
    found = parse(["floods"])
    assert (found.flood_rounds, found.flood_seconds, found.flood_limits) == (1, 2.0, "shipped")
    assert (found.limits, found.flood_dialects, found.accounts) == ("off", ["wm.v1", "seed"], [1, 4])
    found = parse(["floods", "--floods", "acks,drip", "--accounts", "2", "--dialect", "seed", "--limits", "off"])
    assert (found.floods, found.accounts) == (["acks", "drip"], [2])
    assert (found.flood_dialects, found.flood_limits) == (["seed"], "off")
    assert parse(["floods", "--rounds", "2", "--seconds", "5"]).flood_seconds == 5


def test_servers_known_by_their_address_are_one_contender() -> None:
    assert parse(["closed", "--url", "http://127.0.0.1:5000"]).contenders == [
        "mini",
        "ejabberd",
        "ejabberd-archive",
        "prosody",
    ]


def test_the_product_takes_part_once_for_each_dialect_and_once_more_for_an_older_checkout() -> None:
    assert parse(["closed", "--contenders", "mini-always,ejabberd", "--dialect", "seed"]).contenders == [
        "mini-always-seed",
        "ejabberd",
    ]
    found = parse(["closed", "--contenders", "mini-everysec", "--dialect", "both", "--before", str(ROOT)])
    assert found.contenders == ["mini-everysec", "mini-everysec-seed", "mini-before", "mini-before-seed"]
    assert found.before == ROOT


def test_limits_are_settings_of_the_product() -> None:
    for settings in LIMITS.values():
        assert {name.lower() for name in settings} <= set(Settings.model_fields)
    assert {name: settings["RATE_LIMITS"] for name, settings in LIMITS.items()} == {
        "off": "off",
        "on": "on",
        "shipped": "on",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["closed", "nonsense"],
        ["--url", "http://x"],
        ["closed", "--contenders", "nobody"],
        ["idle", "--url", "http://x"],
        ["closed", "--contenders", "mini-replica-1"],
        ["closed", "--contenders", "mini-everysec-1", "--data", "x"],
        ["open", "--rate", "half"],
        ["growth", "--data", "x"],
        ["closed", "--before", "/nowhere"],
        ["closed", "--dialect", "xmpp"],
        ["floods", "--floods", "rain"],
    ],
)
def test_an_invalid_command_line_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    assert "usage: run.py bench" in capsys.readouterr().err
