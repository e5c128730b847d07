"""Who may import whom where import-linter does not look, that every module has its test, and what tests may import."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("settings", "background", "protocol", "models", "accounts", "delivery", "server", "handlers", "workers")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DEVSTACK, BENCH = (sorted((ROOT / "tools" / package).rglob("*.py")) for package in ("devstack", "bench"))
EVERYTHING = [*PRODUCT, *DEVSTACK, *BENCH, ROOT / "app.py", ROOT / "run.py"]

ELSEWHERE = {
    # means something only with sockets at both ends: tests/journeys, with real servers
    "handlers/socket.py": "tests/journeys/test_bad_frames.py",
    # what every job does first
    "workers/jobs.py": "tests/workers/test_sweep_presence.py",
    # declarations: no test starts without them
    "delivery/results.py": "tests/delivery/test_mailbox.py",
    "delivery/session/effects.py": "tests/delivery/session/test_session.py",
    "handlers/services.py": "tests/support/api.py",
    "models/block.py": "tests/accounts/test_blocks.py",
    "models/meta.py": "tests/conftest.py",
    "models/region.py": "tests/conftest.py",
    "models/session.py": "tests/accounts/test_sessions.py",
    "models/session_event.py": "tests/accounts/test_events.py",
    "models/user.py": "tests/accounts/test_directory.py",
}
"""Modules without a test file of their own name -> where they are tested."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(source: str) -> Iterator[str]:
    """Every module a source imports, also inside functions and by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("." * node.level) + (node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            yield ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else "?"


def roots(source: str) -> set[str]:
    return {each.split(".")[0] for each in imports(source)}


def test_imports_are_found_wherever_they_hide() -> None:
    source = "import a.b, c\ndef f():\n    from d.e import g\n    importlib.import_module('h.i')\n    __import__('j')\n"
    assert roots(source) == {"a", "c", "d", "h", "j"}
    assert list(imports("from . import x")) == ["."]


@pytest.mark.parametrize("path", EVERYTHING, ids=name)
def test_nobody_imports_app(path: Path) -> None:
    assert not roots(path.read_text()) & {"app", "run"} or path.name == "app.py"


@pytest.mark.parametrize("path", [*PRODUCT, ROOT / "app.py"], ids=name)
def test_the_product_never_imports_what_only_starts_or_tests_it(path: Path) -> None:
    assert not roots(path.read_text()) & {"tools", "tests", "run", "pytest", "hypothesis"}


@pytest.mark.parametrize("path", DEVSTACK, ids=name)
def test_what_starts_the_product_does_not_know_what_measures_it(path: Path) -> None:
    assert not [each for each in imports(path.read_text()) if each.startswith(("tools.bench", "tools.chaos"))]


@pytest.mark.parametrize("path", BENCH, ids=name)
def test_the_benchmark_sees_the_product_from_outside(path: Path) -> None:
    assert not roots(path.read_text()) & {"handlers", "workers", "delivery", "server", "tests", "pytest"}


@pytest.mark.parametrize("path", sorted((ROOT / "tools").rglob("*.py")), ids=name)
def test_tools_never_import_tests(path: Path) -> None:
    assert not roots(path.read_text()) & {"tests"}


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_imports_are_absolute_and_plain(path: Path) -> None:
    assert not [each for each in imports(path.read_text()) if each.startswith((".", "?"))]


def test_run_needs_nothing_but_the_standard_library() -> None:
    assert roots((ROOT / "run.py").read_text()) <= set(sys.stdlib_module_names) | {"tools"}


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.parts[-2] != "lua"], ids=name)
def test_only_the_keys_file_spells_redis_keys_with_a_hash_tag(path: Path) -> None:
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    spelled = [each for each in strings if isinstance(each, str) and each.endswith(":{")]
    assert not spelled or name(path) == "delivery/keys.py"


def imported_tests(source: str) -> list[str]:
    """The test files among what a source imports."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        parts = (getattr(node, "module", None) or "").split(".") + [part for each in names for part in each.split(".")]
        if names and "tests" in parts[:1] + [each.split(".")[0] for each in names]:
            found += [part for part in parts if part.startswith("test_")]
    return found


def test_an_imported_test_file_is_noticed() -> None:
    assert imported_tests("from tests.delivery.test_mailbox import Row") == ["test_mailbox"]
    assert imported_tests("from tests.delivery import test_mailbox, post") == ["test_mailbox"]
    assert imported_tests("import tests.delivery.test_mailbox as other") == ["test_mailbox"]
    assert imported_tests("from tests.support.people import sign_up\nimport pytest") == []


@pytest.mark.parametrize("path", sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]), ids=name)
def test_no_test_file_is_imported(path: Path) -> None:
    """What tests share is in ``tests/support`` or beside them, in a file that is no test."""
    assert imported_tests(path.read_text(encoding="utf-8")) == []


def modules() -> list[str]:
    """Every module of the product with something in it to test."""
    return [name(path) for path in PRODUCT if path.name != "__init__.py" and "migrations" not in path.parts]


def mirror(module: str) -> Path:
    path = Path(module)
    return ROOT / "tests" / path.parent / f"test_{path.name}"


@pytest.mark.parametrize("module", modules())
def test_every_module_has_its_test_file_or_is_said_to_be_tested_elsewhere(module: str) -> None:
    assert mirror(module).is_file() or (ROOT / ELSEWHERE[module]).is_file()


@pytest.mark.parametrize("module", sorted(ELSEWHERE))
def test_nothing_is_said_to_be_elsewhere_that_has_its_own_test_or_is_gone(module: str) -> None:
    assert module in modules()
    assert not mirror(module).is_file(), "tested by now: take it out of ELSEWHERE"
