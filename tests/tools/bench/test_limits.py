"""The table of the floor: figures are those of the run, and the page has them between its markers."""

from pathlib import Path
from typing import Any

import pytest

from tools.bench import limits
from tools.bench.accounting import Ledger
from tools.bench.limits import BEGIN, END, Part, as_markdown, message_table, used, write_page
from tools.bench.result import Result
from tools.devstack.options import ROOT

PARTS = [
    Part("calls", 3.0, 5, "server, kernel"),
    Part("frames", 2.0, 1, "server, code", 1),
    Part("loop", 1.0, 4, "server, code"),
    Part("commands", 35.0, 1, "redis", 2.5),
]


def run(server: float, kernel: float, redis: float) -> Result:
    roles: dict[str, Any] = {"server": {"ran_us": server, "system_us": kernel}, "redis": {"ran_us": redis}}
    result = Result("open", "mini", {}, {}, Ledger(0), 1.0, {}, per=1)
    result.activity = {"roles": roles}
    return result


def test_each_part_and_under_those_of_a_role_its_sums_and_what_was_used() -> None:
    lines = message_table(PARTS, [used("500/s", run(650, 200, 407)), used("closed", run(34, 40, 33))])
    assert lines[0][-2:] == ["used, 500/s", "used, closed"]
    assert lines[2:] == [
        ["calls", "3", "5", "15", "1.9", "", ""],
        [
            "**server, kernel**",
            "",
            "",
            "**15**",
            "**1.88**",
            "**200**",
            "**34**",
        ],  # steps of 10 ms: never more than all
        ["frames", "2", "1", "2", "2", "", ""],
        ["loop", "1", "4", "4", "0.5", "", ""],
        ["**server, code**", "", "", "**6**", "**2.5**", "**450**", "**0**"],
        ["commands", "35", "1", "35", "14", "", ""],
        ["**redis**", "", "", "**35**", "**14**", "**407**", "**33**"],
    ]


def test_the_page_gets_the_table_between_its_markers_again_and_again(tmp_path: Path) -> None:
    page = tmp_path / "limits.md"
    page.write_text(f"# Limits\n\n{BEGIN}\nold\n{END}\n\nthe end\n", encoding="utf-8")
    for text in ("first", as_markdown([["a", "b"], ["---", "---"], ["1", "2"]])):
        write_page(page, text)
        assert page.read_text(encoding="utf-8") == f"# Limits\n\n{BEGIN}\n\n{text}\n\n{END}\n\nthe end\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_page_without_a_place_for_it_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    page = tmp_path / "limits.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no place"):
        write_page(page, "table")
    assert page.read_text(encoding="utf-8") == text


def test_the_page_of_this_product_names_what_is_measured() -> None:
    page = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    table = page.partition(BEGIN)[2].partition(END)[0]
    assert "Measured 20" in table
    for role in ("server, kernel", "server, code", "redis"):
        assert f"**{role}**" in table
    assert "to connect" in table
    assert str(limits.TOGETHER) in table
