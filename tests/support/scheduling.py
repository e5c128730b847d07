"""In which order the tests run, and which of them share a process when pytest-xdist spreads them over several."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = ("tests/tools/chaos", "tests/delivery/models", "tests/tools/devstack", "tests/tools/bench", "tests/journeys")
"""What takes longest begins first, so that the processes are done at about the same time."""
MODULE_FIXTURES = ("lasting_stack", "running", "running_chromium")
"""Whole stacks that the tests of a module share: they run in one process, or each process would start one."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, and group those of a module that share a stack."""
    places = {item: str(item.path.relative_to(ROOT)) for item in items}
    items.sort(key=lambda item: next((i for i, long in enumerate(LONG) if places[item].startswith(long)), len(LONG)))
    for item in items:
        if any(name in MODULE_FIXTURES for name in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(places[item]))
