"""The clients of this repository against docs/clients.md; and that the run has a case for each rule, and can fail."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from tools.conformance import bugs, table
from tools.conformance.case import CASES, RULES, Case
from tools.conformance.running import Outcome, chosen, known_clients, run

DOCS = Path(__file__).parents[3] / "docs"
AT_ONCE = 8
MISSING = "there is no Node"
QUICKLY_FOUND = {
    "answers-4508-by-connecting",
    "pauses-for-less-than-it-was-told",
    "knows-a-chat-by-its-id-alone",
    "ticks-go-back",
}
"""The others are hunted by ``python -m tools.conformance --bugs``."""


async def test_no_rule_is_without_a_case() -> None:
    """The rules are those of the page."""
    assert re.findall(r"^- \*\*(C\d+)\*\*", (DOCS / "clients.md").read_text(), re.MULTILINE) == list(RULES)
    assert [rule for rule in RULES if not chosen([rule])] == []


async def test_the_case_that_readme_shows_is_one_that_runs() -> None:
    """README.md of the run shows how one is written."""
    tool = DOCS.parent / "tools" / "conformance"
    shown = re.findall(r"```python\n(.*?)```", (tool / "README.md").read_text(), re.DOTALL)
    assert [case for case in shown if case not in (tool / "cases" / "connection.py").read_text()] == []
    assert shown


async def test_names_and_descriptions_of_cases_are_their_own() -> None:
    """A case is asked for by its name, and found in the table by its words."""
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({(case.rule, case.what) for case in CASES}) == len(CASES)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["python", "js"])
async def test_client_keeps_every_rule(name: str) -> None:
    """All cases."""
    client = known_clients().get(name)
    if client is None and os.environ.get("CI") != "true":
        pytest.skip(MISSING)
    assert client is not None, MISSING
    outcomes = await run([client], CASES, at_once=AT_ONCE)
    assert [f"{each.case.name}: {each.why}" for each in outcomes if each.why] == []


async def test_table_is_up_to_date() -> None:
    """It was written with the cases of today, and with both clients."""
    passed = [Outcome(case, client, "", 0.0) for case in CASES for client in ("python", "js")]
    assert (DOCS / "conformance.md").read_text() == table.as_markdown(passed)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "bug", [bug for bug in bugs.BUGS if bug.name in QUICKLY_FOUND], ids=lambda bug: f"{bug.client}-{bug.name}"
)
async def test_bug_is_found(bug: bugs.Bug) -> None:
    """A client that breaks a rule on purpose fails a case of this rule."""
    client = known_clients().get(bug.client)
    if client is None:
        pytest.skip(MISSING)
    assert await bugs.find(bug, client, AT_ONCE)


@pytest.mark.parametrize(
    ("fails", "found"),
    [
        ([[], []], None),
        ([["with", "with"], []], 0),
        ([["with", "without"], []], None),
        ([["with"], []], None),
        ([["with", "without"], ["with", "with", "with"]], 1),
    ],
)
async def test_a_case_that_fails_by_chance_finds_no_bug(
    fails: list[list[str]], found: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two cases, and for each how it was played when it failed: with the bug or without it."""
    cases = chosen(["C4"])[:2]
    left = dict(zip((case.name for case in cases), map(list, fails), strict=True))

    async def scripted(
        clients: object, asked: list[Case], *, environment: dict[str, str], **how: object
    ) -> list[Outcome]:
        played = "with" if environment else "without"
        outcomes = []
        for case in asked:
            fails = left[case.name][:1] == [played]
            del left[case.name][: int(fails)]
            outcomes.append(Outcome(case, "python", "it fails" if fails else "", 0.0))
        return outcomes

    monkeypatch.setattr(bugs, "run", scripted)
    monkeypatch.setattr(bugs, "chosen", lambda rules: list(cases))
    name = "" if found is None else cases[found].name
    assert await bugs.find(bugs.BUGS[0], known_clients()["python"], 1) == name


@pytest.mark.parametrize("bug", bugs.BUGS, ids=lambda bug: f"{bug.client}-{bug.name}")
def test_bug_fits_the_client_of_today(bug: bugs.Bug, tmp_path: Path) -> None:
    """Most are hunted by hand only, and a change of a client would be noticed late."""
    assert bugs.copy_with(bug, tmp_path).is_dir()


async def test_bug_that_does_not_fit_is_told(tmp_path: Path) -> None:
    """Otherwise a change of the client would leave a sound client to be hunted."""
    bug = bugs.Bug("gone", "python", ("C1",), "whatsapp_mini/client.py", "no such place", "")
    with pytest.raises(ValueError, match="change bugs"):
        await asyncio.to_thread(bugs.copy_with, bug, tmp_path)
