"""Bugs put into copies of the clients on purpose: each must be found by a case of the rule that it breaks."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.conformance.running import Client, chosen, run

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = {"python": ROOT / "clients/python/src", "js": ROOT / "clients/js/src"}


@dataclass(frozen=True)
class Bug:
    """A change of one place in the source of one client.

    :param rules: those of which at least one case must fail
    :param file: below :data:`SOURCES`
    :param old: what stands there exactly once
    """

    name: str
    client: str
    what: str
    rules: tuple[str, ...]
    file: str
    old: str
    new: str


BUGS: Final[tuple[Bug, ...]] = ()


def copy_with(bug: Bug, folder: Path) -> Path:
    """The source of the client with the bug.

    :raises ValueError: the place has changed: mend the bug
    """
    source = folder / "src"
    shutil.copytree(SOURCES[bug.client], source, ignore=shutil.ignore_patterns("__pycache__"))
    path = source / bug.file
    text = path.read_text(encoding="utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its place is {text.count(bug.old)} times in {bug.file}; change bugs.py")
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")
    return source


async def hunt(names: Sequence[str], clients: Sequence[Client], at_once: int, say: Callable[[str], None]) -> int:
    """Play the cases of the broken rules against each bug; the exit code is 1 when one was not found."""
    known = {client.name: client for client in clients}
    missed = []
    for bug in [each for each in BUGS if not names or each.name in names]:
        if bug.client not in known:
            continue
        found = await find(bug, known[bug.client], at_once)
        say(f"{bug.client:<7} {bug.name:<34} {'found by ' + ' '.join(found) if found else 'NOT FOUND'}")
        missed += [] if found else [bug.name]
    return 1 if missed else 0


async def find(bug: Bug, client: Client, at_once: int) -> list[str]:
    """The cases that fail with the bug.

    :raises ValueError: the bug does not fit the source
    """
    with tempfile.TemporaryDirectory(prefix="wm-conformance-bug-") as folder:
        source = copy_with(bug, Path(folder))
        outcomes = await run(
            [client], chosen(bug.rules), at_once=at_once, environment={"CONFORMANCE_CLIENT": str(source)}
        )
    return [each.case.name for each in outcomes if each.why]
