"""What people read: medians and ranges of the good rounds, and a word about the void ones."""

import json
from pathlib import Path
from typing import Any

from tools.bench.report import about, document, summary, table, write


def run(rate: float, *, contender: str = "mini", void: bool = False, mode: str = "closed") -> dict[str, Any]:
    return {
        "mode": mode,
        "contender": contender,
        "void": void,
        "figures": {"messages_per_second": rate},
        "cpu_microseconds_each": {"server": rate / 10},
        "activity_each": {},
        "setting": {"rate": rate},
    }


def test_medians_and_ranges_over_the_rounds_of_each_contender() -> None:
    ours, theirs = summary([run(10), run(5, contender="other"), run(30), run(20)])
    assert ours["figures"] == {"messages_per_second": {"median": 20, "lowest": 10, "highest": 30}}
    assert ours["cpu_microseconds_each"]["server"] == {"median": 2, "lowest": 1, "highest": 3}
    assert (ours["rounds"], ours["void"]) == (3, 0)
    assert (theirs["contender"], theirs["rounds"]) == ("other", 1)


def test_void_rounds_are_counted_and_their_figures_left_out() -> None:
    (row,) = summary([run(10), run(99, void=True)])
    assert row["figures"]["messages_per_second"]["highest"] == 10
    assert (row["rounds"], row["void"]) == (2, 1)


def test_when_all_rounds_are_void_the_figures_are_shown_and_marked() -> None:
    rows = summary([run(10, void=True)])
    assert rows[0]["figures"]["messages_per_second"]["median"] == 10
    assert "1 of 1" in table(rows)


def test_modes_are_kept_apart() -> None:
    assert [row["mode"] for row in summary([run(1), run(2, mode="growth")])] == ["closed", "growth"]


def test_the_table_shows_median_and_range() -> None:
    text = table(summary([run(10), run(30), run(20), run(5, contender="other")]))
    assert text.splitlines() == [
        "### closed",
        "",
        "| contender | messages_per_second | × ejabberd | CPU µs each | void |",
        "| --- | --- | --- | --- | --- |",
        "| mini | 20 (10–30) |  | server 2 | 0 of 3 |",
        "| other | 5 |  | server 0.5 | 0 of 1 |",
    ]


def test_the_rates_of_the_open_loop_are_kept_apart() -> None:
    rows = summary([run(500, mode="open"), run(2000, mode="open"), run(500, mode="open")])
    assert [(row["rate"], row["rounds"]) for row in rows] == [(500, 2), (2000, 1)]
    assert [line for line in table(rows).splitlines() if line.startswith("#")] == [
        "### open, 500/s",
        "### open, 2000/s",
    ]


def test_a_rate_that_was_not_held_says_so_instead_of_latencies() -> None:
    held = {"received_p50_ms": 1.5, "received_p95_ms": 2.0, "reached_per_second": 500}
    runs = [run(500, mode="open") | {"figures": held}, run(500, mode="open", contender="other")]
    first, second = table(summary(runs)).splitlines()[4:6]
    assert first.count("not held") == 5, "the five latencies that this record lacks"
    assert "1.5" in first
    assert "2.0" not in first, "p95 is in the JSON only"
    assert second.count("not held") == 6


def test_what_processes_did_is_a_table_of_medians() -> None:
    figures = dict.fromkeys(("slices", "switches", "ran_us", "waited_us", "reads", "writes"), 2.0)
    runs = [run(10) for _ in range(3)]
    for times, each in enumerate(runs, start=1):
        roles = {"server": {name: value * times for name, value in figures.items()}, "worker": {**figures, "slices": 0}}
        each["activity_each"] = {"roles": roles, "redis_commands": {"evalsha": times, "hget": 1.5}}
    runs[1]["activity_each"] |= {"script_calls": {"fetch": 1.5, "settle": 0.5}, "chats_together": 1.2}
    assert "| mini | server 4 | server 4 | server 4 | server 4/4 | 2 of 3.5 | fetch 1.5, settle 0.5 | 1.2 |" in table(
        summary(runs)
    )


def test_the_table_relates_the_headline_figure_to_ejabberds() -> None:
    text = table(summary([run(50), run(20, contender="ejabberd")]))
    assert "| mini | 50 | 2.50 | server 5 | 0 of 1 |" in text
    assert "| ejabberd | 20 |  | server 2 | 0 of 1 |" in text


def test_the_seed_dialect_is_related_to_wm_v1_and_both_to_an_older_checkout() -> None:
    rates = {"mini-everysec": 100, "mini-everysec-seed": 80, "mini-before": 50, "mini-before-seed": 20}
    text = table(summary([run(rate, contender=name) for name, rate in rates.items()]))
    assert "| × ejabberd | × wm.v1 | × before |" in text
    assert "| mini-everysec | 100 |  |  | 2.00 |" in text
    assert "| mini-everysec-seed | 80 |  | 0.80 | 4.00 |" in text
    assert "| mini-before-seed | 20 |  | 0.40 |  |" in text


def test_a_figure_that_one_contender_lacks_is_left_blank() -> None:
    other = {**run(1, contender="other"), "figures": {}}
    assert "| other |  |  | server 0.1 | 0 of 1 |" in table(summary([run(1), other]))


def test_the_file_names_machine_commit_and_time(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "x.json", document(about(), [run(1)]))
    read = json.loads((tmp_path / "deep" / "x.json").read_text())
    assert read["runs"] == [run(1)]
    assert read["summary"] == summary([run(1)])
    assert read["machine"]["cores"] > 0
    assert read["commit"]
    assert read["when"]
