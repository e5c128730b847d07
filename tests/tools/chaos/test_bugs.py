"""The quickest bugs on purpose are found in the running product, and a bug that is not found is reported."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tools.chaos.__main__ import parse
from tools.chaos.bugs import BUGS, hunt, put_in
from tools.chaos.bugs.base import Bug, Scene
from tools.chaos.bugs.lua import instead, tap
from tools.chaos.faults import FAULTS
from tools.chaos.servers import ROOT

QUICK = [bug for bug in BUGS.values() if bug.quick]
BUG = Bug("x", "Something.", "I4", "no receipt ever arrived", lambda: None)
RIGHT = "I4: m1 from a to b was acknowledged, and no receipt ever arrived\n    {}"


@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("bug", QUICK, ids=[bug.name for bug in QUICK])
def test_a_bug_in_the_running_product_is_found(bug: Bug, tmp_path: Path) -> None:
    lines: list[str] = []
    for attempt in range(2):  # in a few seconds of a busy machine too little may happen for a bug to show
        run = hunt.Hunt(tmp_path / str(attempt), lines.append)
        run.run([bug])
        if run.findings[0].good:
            break
    assert run.findings[0].good, lines
    assert f"{bug.check} ({bug.says})" in lines[-1]


def test_a_bug_is_caught_by_its_check_for_its_reason_and_by_nothing_else() -> None:
    assert BUG.caught_by(["I1: gone", RIGHT]) == RIGHT.partition("\n")[0]
    assert not BUG.caught_by([])
    assert not BUG.caught_by(["I4: m1 got a `read` receipt without an acknowledgement"])
    assert not BUG.caught_by(["I1: no receipt ever arrived"])
    other = Bug("y", "Something.", "I1", "never arrived", lambda: None)
    assert not other.caught_by(["I14: never arrived", "I1b: never arrived"])
    complaint = Bug("z", "Something.", "a poisoned chat was tried", "times", lambda: None)
    assert complaint.caught_by(["a poisoned chat was tried 70 times"])


def test_what_is_not_caught_is_not_good() -> None:
    missed = hunt.Finding(BUG, sound=False, broken=["I1: gone"], all=Counter({"I1": 1}))
    assert not missed.good
    assert "NOT CAUGHT by I4 (no receipt ever arrived); red: I1 1" in hunt.row(missed)
    assert hunt.Finding(BUG, sound=False, line=RIGHT, broken=[RIGHT]).good
    assert not hunt.Finding(BUG, sound=False, line=RIGHT, error="TimeoutError()").good


def test_without_the_bug_nothing_may_be_red() -> None:
    assert hunt.Finding(BUG, sound=True).good
    assert not hunt.Finding(BUG, sound=True, line=RIGHT, broken=[RIGHT]).good
    assert "RED WITHOUT" in hunt.row(hunt.Finding(BUG, sound=True, broken=[RIGHT]))


def test_every_bug_says_what_it_breaks_and_its_scene_has_known_faults() -> None:
    assert len(BUGS) >= 25
    for name, bug in BUGS.items():
        assert re.fullmatch(r"[a-z-]+", name)
        assert bug.what.endswith(".")
        assert bug.says
        assert set(bug.scene.faults) <= set(FAULTS)
    assert 3 <= len(QUICK) <= 5, "all of these together must stay below a minute"


def test_the_table_for_readers_has_every_bug_with_its_scenario_and_check() -> None:
    text = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    for name, bug in BUGS.items():
        check = bug.check if bug.check.startswith("I") else "complaint"
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"| {bug.what} | {'+'.join(bug.scene.faults) or 'nothing'} | {check}: " in row
    assert f"{len(BUGS)} bugs in the running product" in text


def test_a_scene_is_run_with_the_bug_and_without_it() -> None:
    bug = Bug(
        "x", "Something.", "I1", "never arrived", lambda: None, Scene(("poison",), knobs={"WINDOW": "8"}, window=8)
    )
    with_bug, sound = hunt.profile(bug, sound=False), hunt.profile(bug, sound=True)
    assert (with_bug.bug, sound.bug) == ("x", "")
    assert with_bug.knobs == sound.knobs == (("WINDOW", "8"),)
    assert with_bug.patches == FAULTS["poison"].profile.patches
    assert hunt.limits(bug.scene).window == 8
    assert hunt.times(bug.scene, sound=True).drain > hunt.times(bug.scene, sound=False).drain


ALL_AT_ONCE = """
from tools.chaos.bugs import BUGS, put_in
from delivery import scripts
before = {script.sha for script in vars(scripts).values() if isinstance(script, scripts.Script)}
for name in BUGS:
    put_in(name)
    print(name, flush=True)
after = {script.sha for script in vars(scripts).values() if isinstance(script, scripts.Script)}
assert before - after, "no script was broken"
"""


def test_every_patch_finds_what_it_breaks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALL_AT_ONCE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(BUGS)


def test_an_unknown_bug_is_an_error() -> None:
    assert instead("store_chats", "a", "b").replace == ("a", "b")
    assert tap("store_chats", "store_receipt", lua="").scripts == ("store_chats", "store_receipt")
    with pytest.raises(KeyError):
        put_in("no-such-bug")
    put_in("")


def test_the_command_line_knows_bugs() -> None:
    assert parse([]).bugs is None
    assert parse(["--bugs"]).bugs == []
    assert parse(["--bugs", "requeued", "--without"]).bugs == ["requeued"]
    with pytest.raises(SystemExit):
        parse(["--bugs", "no-such-bug"])
