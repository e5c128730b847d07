"""The worker is another one whenever anything of the page is: that is how browsers notice."""

import hashlib
import json
import re

import pytest

from handlers.service_worker import NAME, filled_in
from handlers.static_files import PAGE_FILES, SCRIPT, StaticFile, static_file
from tests.support.api import Api

WORKER = 'const FILES = {};\nconst VERSION = "";\nconst more = 1;\n'
POLICY = "default-src 'none'"


def files(policy: str = POLICY, **changed: str) -> dict[str, StaticFile]:
    texts = {"index.html": "<p>", "app.js": "1", "icons/icon-512.png": "2", "old/app.js": "3", NAME: WORKER}
    return {name: static_file(text.encode(), SCRIPT, policy) for name, text in (texts | changed).items()}


def kept(worker: StaticFile) -> dict[str, str]:
    found = re.search(r"^const FILES = ({.*?});$", worker.body.decode(), re.DOTALL | re.MULTILINE)
    assert found is not None
    named: dict[str, str] = json.loads(found[1])
    return named


def version(worker: StaticFile) -> str:
    found = re.search(r'^const VERSION = "([0-9a-f]{16})";$', worker.body.decode(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_it_names_what_it_keeps_with_the_hash_of_each() -> None:
    made = filled_in(files())
    assert {name for name in kept(made) if not name.startswith("web/old/")} == {"", "web/app.js"}
    assert kept(made)["web/app.js"] == hashlib.sha256(b"1").hexdigest()
    assert made.headers["Service-Worker-Allowed"] == "../"
    assert made.body.endswith(b"const more = 1;\n")


def test_any_change_makes_another_version() -> None:
    changes = [files(), files(**{"app.js": "other"}), files(**{"new.js": "1"}), files(**{NAME: WORKER + "//"})]
    changes += [files("default-src 'self'"), files(**{"index.html": "<b>"})]
    versions = {version(filled_in(each)) for each in changes}
    assert len(versions) == len(changes)
    assert version(filled_in(files())) in versions, "and nothing else does"


def test_a_worker_that_cannot_be_filled_in_is_no_worker() -> None:
    with pytest.raises(ValueError, match="has not one line const VERSION"):
        filled_in(files(**{NAME: "const FILES = {};\n"}))


async def test_what_is_served_is_what_the_worker_expects(api: Api) -> None:
    """Else no browser would ever install it."""
    answer = await api.client.get(f"/web/{NAME}")
    assert answer.headers["service-worker-allowed"] == "../"
    named = kept(StaticFile(answer.content, SCRIPT, {}, None))
    assert "web/app.js" in named
    assert set(named) <= {f"web/{name}" for name in PAGE_FILES} | {""}
    for path, digest in named.items():
        if path:  # the page itself is tried in a browser
            served = await api.client.get(f"/{path}")
            assert hashlib.sha256(served.content).hexdigest() == digest, path
