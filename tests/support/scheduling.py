"""The order of the tests, which of them share a process when pytest-xdist spreads them, what ``--quick`` leaves out."""

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
LONG = (
    "tests/tools/chaos",
    "tests/conformance",
    "tests/interface",
    "tests/delivery/models",
    "tests/tools/devstack",
    "tests/tools/bench",
    "tests/journeys",
)
"""What takes longest begins first, so that the processes are done at about the same time."""
NOT_QUICK = (
    "tests/docs",
    "tests/clients/terminal/test_chat.py",
    "tests/clients/terminal/test_send_listen.py",
    "tests/clients/terminal/test_two_terminals.py",
    "tests/examples",
    "tests/tools",
    "tests/journeys",
    "tests/clients/python/test_faults.py",
    "tests/clients/js/test_indexeddb.py",
    "tests/clients/js/test_readme.py",
    "tests/conformance",
    "tests/interface",
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
TOGETHER = {
    "tests/journeys/test_page": "pages",
    "tests/interface/test_vectors.py": "vectors",
    "tests/clients/python/test_faults.py": "faults of the python client",
    "tests/journeys/test_account_faults.py": "fragile",
    "tests/journeys/test_full_redis.py": "fragile",
    "tests/journeys/test_outages.py": "fragile",
    "tests/journeys/test_permissions.py": "fragile",
    "tests/journeys/test_theft.py": "fragile",
    "tests/journeys/test_unfit_storage.py": "fragile",
    "tests/journeys/test_faults.py": "faults",
    "tests/journeys/test_floods.py": "floods",
    "tests/journeys/test_numbers.py": "numbers",
    "tests/journeys/test_rate_limits.py": "rate limits",
    "tests/journeys/test_upgrades.py": "upgrades",
    "tests/examples/test_examples.py": "examples",
    "tests/tools/conformance/test_conformance.py": "conformance",
    "tests/tools/demo/test_served.py": "served demo",
    "tests/journeys/test_demo.py": "demo",
    "tests/tools/devstack/test_launcher.py": "launcher",
    "tests/tools/docs/test_site": "site",
    "tests/tools/bench/test_floods.py": "floods of the benchmark",
    "tests/tools/bench/test_modes.py": "modes of the benchmark",
}
"""By the beginning of their ids: tests that share what is expensive to start, and so run in one process."""
SHARED = {"_fragile", "built_site", "demo", "lasting_stack", "running", "running_chromium"}
"""The fixtures that hand such things out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick``."""
    parser.addoption("--quick", action="store_true", help="without what starts whole servers or searches for long")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``--quick`` do not even read what is left out."""
    quick = config.getoption("quick") and collection_path.is_relative_to(ROOT)
    return True if quick and str(collection_path.relative_to(ROOT)) in NOT_QUICK else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, and sort.

    :raises pytest.UsageError: tests share something and are not in :data:`TOGETHER`: each process would start it
    """
    if config.getoption("quick"):
        left_out = [item for item in items if NOT_QUICK_FIXTURES & _fixtures(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: next((i for i, long in enumerate(LONG) if item.nodeid.startswith(long)), len(LONG)))
    for item in items:
        if SHARED & _fixtures(item) and scope_of(item.nodeid) == item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} uses one of {sorted(SHARED)}: name its module in {__file__}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "Together | None":
    """Ours in place of ``--dist loadgroup``: of its marks nothing arrives with pytest 9.2 and pytest-xdist 3.8."""
    return Together(config, log) if config.getoption("dist") == "loadgroup" else None


class Together(LoadScopeScheduling):
    """Each test to the process that has time, and what is in :data:`TOGETHER` to one, in the order collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """What runs in one process with the test: the name of its group, or itself."""
    return next((name for beginning, name in TOGETHER.items() if nodeid.startswith(beginning)), nodeid)


def _fixtures(item: pytest.Item) -> set[str]:
    return set(getattr(item, "fixturenames", ()))
