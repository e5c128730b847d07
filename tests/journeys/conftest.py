"""What the tests of the page share: the browser."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import FLAGS, chromium_or_skip, playwright

if TYPE_CHECKING:
    from playwright.async_api import Browser


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Named first by the modules that need it, so that nothing is started in vain."""
    return chromium_or_skip()


@pytest.fixture
async def browser(chromium_path: str) -> AsyncIterator["Browser"]:
    """Chromium, running."""
    async with playwright.async_playwright() as api:
        running = await api.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield running
        await running.close()
