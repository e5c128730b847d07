"""Every route, tried by its description against the running product: Schemathesis makes requests that fit and requests
that do not, follows the links, and compares each answer with what the document says of it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from handlers.openapi import build
from handlers.operations import OPERATIONS
from protocol.fields import described
from tests.interface.schemathesis_hooks import fields_with_more_rules
from tests.support.people import NO_TLS
from tests.support.stack import BIN, ROOT, ServerGroup, Stack

HERE = Path(__file__).parent
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
"""The same requests each time; others are for those who look for more."""
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "5")
PEOPLE: list[dict[str, str]] = [
    {"name": f"Other {letter}", "mobileNo": f"91980000000{number}", "password": "correct horse"}
    for number, letter in enumerate("ABC", 1)
]


def bring_people(url: str) -> None:
    """Those whom others ask about, write to and block."""
    with httpx.Client(base_url=url, verify=NO_TLS, timeout=15) as client:
        for form in PEOPLE:
            client.post("/auth/signin", json=form).raise_for_status()


def tried(group: ServerGroup, folder: Path, *options: str) -> str:
    """What Schemathesis says, when nothing was wrong."""
    # From a file: of a document that it gets by HTTP it does not try the route that served it.
    (folder / "openapi.json").write_bytes(httpx.get(f"{group.url}/openapi.json", verify=NO_TLS).content)
    command = [
        BIN / "st", "--config-file", HERE / "schemathesis.toml",
        "run", folder / "openapi.json", "--url", group.url,
        "--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none", "--no-color",
        *options,
    ]  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with group.harmless_log():
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    return done.stdout


@pytest.mark.timeout(300)
def test_every_answer_is_as_described(stack: Stack, tmp_path: Path) -> None:
    group = stack.start(workers=2)
    bring_people(group.url)
    said = tried(group, tmp_path)
    operations = sum(len(item) for item in build(OPERATIONS)["paths"].values())
    assert f"Tested: {operations}" in said, "none may be left out"
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in said
    followed = re.search(r"API Links: +(\d+) covered", said)
    assert followed is not None
    assert int(followed[1]) > 0


@pytest.mark.timeout(300)
def test_answers_of_a_server_that_wants_codes_are_as_described(stack: Stack, tmp_path: Path) -> None:
    bring_people(stack.start(workers=1).url)
    operations = (f"--include-operation-id={name}" for name in ("signUp", "sendCode", "resetPassword"))
    group = stack.start(workers=1, SIGNUP_CODE="log")
    assert "Tested: 3" in tried(group, tmp_path, "--phases=examples,coverage,fuzzing", *operations)


def test_fields_with_more_rules_are_known() -> None:
    assert fields_with_more_rules("POST", "/auth/login") == {"password", "deviceName"}
    assert fields_with_more_rules("GET", "/web/{name}") == set()
    marked: Any = described("A text.", more_rules=True).extra_json_schema
    assert marked == {"x-more-rules": True}
