"""Who may import whom where import-linter does not look, that every module has its test, and what tests may import."""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("settings", "background", "protocol", "models", "accounts", "delivery", "server", "handlers", "workers")
PRODUCT = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DEVSTACK, BENCH = (sorted((ROOT / "tools" / package).rglob("*.py")) for package in ("devstack", "bench"))
TOOLS, TESTS = (sorted((ROOT / folder).rglob("*.py")) for folder in ("tools", "tests"))
CLIENT = sorted((ROOT / "clients" / "python" / "src").rglob("*.py"))
EVERYTHING = [*PRODUCT, *DEVSTACK, *BENCH, ROOT / "app.py", ROOT / "run.py"]

ELSEWHERE = {
    # means something only with sockets at both ends: tests/journeys, with real servers
    "handlers/socket.py": "tests/journeys/test_bad_frames.py",
    # what every job does first
    "workers/jobs.py": "tests/workers/test_sweep_presence.py",
    # with what fills it
    "delivery/watched_people.py": "tests/delivery/test_watches.py",
    # with a connection to show it on
    "delivery/typing_relay.py": "tests/delivery/session/test_watching.py",
    # what blocks and privacy have in common
    "accounts/rules.py": "tests/accounts/test_blocks.py",
    # seen from outside only: over HTTP
    "accounts/event_log.py": "tests/handlers/test_sessions.py",
    "accounts/password_changes.py": "tests/handlers/test_sessions.py",
    "accounts/linked_devices.py": "tests/accounts/test_session_opening.py",
    "accounts/held.py": "tests/handlers/test_export.py",
    "delivery/held.py": "tests/handlers/test_export.py",
    "accounts/number_change.py": "tests/handlers/test_account.py",
    "accounts/profiles.py": "tests/handlers/test_people.py",
    "handlers/lookups.py": "tests/handlers/test_people.py",
    "delivery/expiry.py": "tests/delivery/test_departures.py",
    # declarations: no test starts without them
    "delivery/results.py": "tests/delivery/test_mailbox.py",
    "delivery/session/effects.py": "tests/delivery/session/test_session.py",
    "handlers/services.py": "tests/support/api.py",
    "models/block.py": "tests/accounts/test_blocks.py",
    "models/departure.py": "tests/accounts/test_departures.py",
    "models/meta.py": "tests/conftest.py",
    "models/region.py": "tests/conftest.py",
    "models/session.py": "tests/accounts/test_sessions.py",
    "models/session_event.py": "tests/accounts/test_events.py",
    "models/user.py": "tests/accounts/test_directory.py",
}
"""Modules without a test file of their own name -> where they are tested."""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def offenders(paths: Iterable[Path], offends: Callable[[str], object]) -> list[str]:
    """The files whose source does what it must not do."""
    return [name(path) for path in paths if offends(path.read_text(encoding="utf-8"))]


@cache
def imports(source: str) -> tuple[str, ...]:
    """Every module a source imports, also inside functions and by name."""
    return tuple(_imports(ast.parse(source)))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
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
    assert imports("from . import x") == (".",)


def test_an_offender_is_named() -> None:
    assert offenders([ROOT / "run.py"], lambda source: roots(source) & {"tools"}) == ["run.py"]


def test_nobody_imports_app() -> None:
    assert offenders(EVERYTHING, lambda source: roots(source) & {"app", "run"}) == []


def test_the_product_never_imports_what_only_starts_or_tests_it() -> None:
    forbidden = {"tools", "tests", "run", "pytest", "hypothesis"}
    assert offenders([*PRODUCT, ROOT / "app.py"], lambda source: roots(source) & forbidden) == []


def test_what_starts_the_product_does_not_know_what_measures_it() -> None:
    def offends(source: str) -> bool:
        return any(each.startswith(("tools.bench", "tools.chaos")) for each in imports(source))

    assert offenders(DEVSTACK, offends) == []


def test_the_python_client_and_the_product_know_nothing_of_each_other() -> None:
    """import-linter would need the client on its path, and finds only what is in this folder."""
    allowed = {*sys.stdlib_module_names, "whatsapp_mini", "httpx", "websockets"}
    assert CLIENT
    terminal = [path for path in CLIENT if path.parent.name == "terminal"]
    client = [path for path in CLIENT if path not in terminal]
    assert offenders(client, lambda source: roots(source) - allowed or "whatsapp_mini.terminal" in source) == []
    assert offenders(terminal, lambda source: roots(source) - allowed - {"textual"}) == []
    assert offenders([*PRODUCT, *DEVSTACK], lambda source: roots(source) & {"whatsapp_mini"}) == []


def test_the_core_of_the_python_client_does_no_io_and_reads_no_clock() -> None:
    core = [path for path in CLIENT if path.parent.name == "core"]
    forbidden = {"asyncio", "time", "datetime", "socket", "httpx", "websockets", "sqlite3", "logging"}
    assert core
    assert offenders(core, lambda source: roots(source) & forbidden) == []


def test_the_benchmark_sees_the_product_from_outside() -> None:
    forbidden = {"handlers", "workers", "delivery", "server", "tests", "pytest"}
    assert offenders(BENCH, lambda source: roots(source) & forbidden) == []


def test_tools_never_import_tests() -> None:
    assert offenders(TOOLS, lambda source: roots(source) & {"tests"}) == []


def test_imports_are_absolute_and_plain() -> None:
    assert offenders(PRODUCT, lambda source: any(each.startswith((".", "?")) for each in imports(source))) == []


def test_run_needs_nothing_but_the_standard_library() -> None:
    assert roots((ROOT / "run.py").read_text()) <= set(sys.stdlib_module_names) | {"tools"}


def test_only_the_keys_file_spells_redis_keys_with_a_hash_tag() -> None:
    def spells(source: str) -> bool:
        strings = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
        return any(isinstance(each, str) and each.endswith(":{") for each in strings)

    assert offenders(PRODUCT, spells) == ["delivery/keys.py"]


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


def test_no_test_file_is_imported() -> None:
    """What tests share is in ``tests/support`` or beside them, in a file that is no test."""
    assert offenders([*TESTS, *TOOLS], imported_tests) == []


def modules() -> list[str]:
    """Every module of the product with something in it to test."""
    return [name(path) for path in PRODUCT if path.name != "__init__.py" and "migrations" not in path.parts]


def mirror(module: str) -> Path:
    path = Path(module)
    return ROOT / "tests" / path.parent / f"test_{path.name}"


def test_every_module_has_its_test_file_or_is_said_to_be_tested_elsewhere() -> None:
    untested = [each for each in modules() if not mirror(each).is_file()]
    assert [each for each in untested if each not in ELSEWHERE] == []
    assert [each for each in ELSEWHERE if not (ROOT / ELSEWHERE[each]).is_file()] == []


def test_nothing_is_said_to_be_elsewhere_that_has_its_own_test_or_is_gone() -> None:
    assert [each for each in ELSEWHERE if each not in modules()] == []
    assert [each for each in ELSEWHERE if mirror(each).is_file()] == [], "tested by now: take it out of ELSEWHERE"
