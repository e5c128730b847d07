"""What the tests of the page share: the browser."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.support.browser import FLAGS, chromium_or_skip, playwright

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
