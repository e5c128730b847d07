"""The JavaScript client in Node: its rules without sockets, and the whole of it against a running product."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.js.support import node_or_skip
from tests.support.stack import ServerGroup
from tools.devstack.options import ROOT

FOLDER = Path(__file__).parent
WHOLE = ("calls.test.js", "faults.test.js", "product.test.js")
RULES = sorted(path.name for path in FOLDER.glob("*.test.js") if path.name not in WHOLE)


def run(path: Path, record: Callable[[str, object], None], **environment: str) -> None:
    """Run a file of Node's tests. All cases must pass; their number is recorded."""
    done = subprocess.run(
        [*node_or_skip().program, "--unhandled-rejections=strict", "--test", "--test-reporter=tap", str(path)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    counts = dict(re.findall(r"^# (tests|pass) (\d+)$", done.stdout, re.MULTILINE))
    assert done.returncode == 0, said
    assert int(counts["pass"]) == int(counts["tests"]) > 1, said
    record("cases", counts["tests"])


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str, record_property: Callable[[str, object], None]) -> None:
    run(FOLDER / name, record_property)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_client(product: ServerGroup, name: str, record_property: Callable[[str, object], None]) -> None:
    run(FOLDER / name, record_property, PRODUCT_URL=product.url)
