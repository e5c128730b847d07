"""The order of the tests, which of them share a process when pytest-xdist spreads them, what ``--quick`` leaves out."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = (
    "tests/tools/chaos",
    "tests/conformance",
    "tests/delivery/models",
    "tests/tools/devstack",
    "tests/tools/bench",
    "tests/journeys",
)
"""What takes longest begins first, so that the processes are done at about the same time."""
NOT_QUICK = (
    "tests/tools",
    "tests/journeys",
    "tests/conformance",
    "tests/delivery/models",
    "tests/delivery/redis/test_replication.py",
    "tests/delivery/test_tally.py",
    "tests/accounts/test_database.py",
    "tests/accounts/test_mobile_numbers.py",
    "tests/handlers/test_anything.py",
    "tests/handlers/test_outages.py",
    "tests/models/test_migrate.py",
    "tests/server/test_application.py",
    "tests/server/test_drain.py",
    "tests/server/test_watchdog.py",
    "tests/workers/test_half_open.py",
    "tests/workers/test_slow_redis.py",
)
"""They start whole servers, or search for long."""
NOT_QUICK_FIXTURES = {"own_postgres", "stack"}
"""To start what these hand out takes seconds."""
MODULE_FIXTURES = {"lasting_stack", "running", "running_chromium"}
"""Whole stacks that the tests of a module share: they run in one process, or each process would start one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick``."""
    parser.addoption("--quick", action="store_true", help="without what starts whole servers or searches for long")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``--quick`` do not even read what is left out."""
    quick = config.getoption("quick") and collection_path.is_relative_to(ROOT)
    return True if quick and str(collection_path.relative_to(ROOT)) in NOT_QUICK else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, sort, and group the tests of a module that share a stack."""
    if config.getoption("quick"):
        left_out = [item for item in items if NOT_QUICK_FIXTURES & _fixtures(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    places = {item: str(item.path.relative_to(ROOT)) for item in items}
    items.sort(key=lambda item: next((i for i, long in enumerate(LONG) if places[item].startswith(long)), len(LONG)))
    for item in items:
        if MODULE_FIXTURES & _fixtures(item):
            item.add_marker(pytest.mark.xdist_group(places[item]))


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))
