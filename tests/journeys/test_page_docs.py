"""The viewer behind ``/docs`` in a real browser: it shows the interface and tries it, and calls nobody else."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import open_tab, playwright
from tests.support.prefix_proxy import prefix_proxy
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


async def test_the_interface_is_shown_and_tried_under_a_path(browser: "Browser", product: ServerGroup) -> None:
    async with prefix_proxy("/chat/", product.port) as proxy:
        tab = await open_tab(browser, f"{proxy.url}docs")
        page = tab.page
        for words in ("Log in on a device", "WhatsApp Mini", "The WebSocket, in AsyncAPI 3"):
            await playwright.expect(page.get_by_text(words).first).to_be_visible()
        await page.get_by_text("Whether this process serves").first.click()
        section = page.locator("[id='get-/health']")
        async with page.expect_response(lambda answer: answer.url.endswith("/health")) as asked:
            await section.get_by_role("button", name="Try").click()
        answer = await asked.value
        assert (answer.status, answer.url) == (200, f"{proxy.url}health")
        await tab.nothing_went_wrong()
        assert proxy.outside == []
