"""What the journeys share: a browser, and a product to be broken."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.browser import FLAGS, chromium_or_skip, playwright
from tests.support.fragile import Fragile, fragile_product
from tests.support.stack import Stack

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Named first by the modules that need it, so that nothing is started in vain."""
    return chromium_or_skip()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_chromium(chromium_path: str) -> AsyncIterator["Browser"]:
    """One for the whole run: to start it costs more than most of the tests."""
    async with playwright.async_playwright() as api:
        running = await api.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield running
        await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(running_chromium: "Browser") -> AsyncIterator["Browser"]:
    """Chromium, without what the test before had open."""
    yield running_chromium
    for context in running_chromium.contexts:
        await context.close()


@pytest.fixture(scope="session")
def _fragile(postgres_cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    with fragile_product(postgres_cluster, tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture
def fragile(_fragile: Fragile) -> Fragile:
    """A server whose Redis and PostgreSQL may be broken, shared by all tests that do; everything works again."""
    _fragile.mend()
    return _fragile


@pytest.fixture
def beside(fragile: Fragile, tmp_path: Path) -> Iterator[Stack]:
    """For further servers and workers on the same Redis and PostgreSQL."""
    with Stack(fragile.stack.env, tmp_path / "logs") as made:
        yield made
