"""The page behind a proxy that serves it under a path of a site whose other paths are somebody else's."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import come
from tests.support.prefix_proxy import prefix_proxy
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("prefix", ["/chat/", "/tools/chat/"])
async def test_people_talk_under_a_path(browser: "Browser", product: ServerGroup, prefix: str) -> None:
    async with prefix_proxy(prefix, product.port) as proxy:
        asha = await come(browser, proxy.url, "Asha")
        ravi = await come(browser, proxy.url, "Ravi")
        await asha.open(ravi)
        await asha.sees("#chat-seen", "online")
        await asha.write("hello")
        await ravi.choose(asha)
        await ravi.shows("hello")
        await asha.ticks("Read")
        await ravi.block()
        await asha.page.reload()
        await asha.sees("#chat-name", "Ravi")
        for each in (asha, ravi):
            await each.nothing_went_wrong()
        assert proxy.outside == []


async def test_two_servers_of_one_host_do_not_share_a_log_in(browser: "Browser", product: ServerGroup) -> None:
    async with prefix_proxy("/chat/", product.port) as proxy:
        asha = await come(browser, proxy.url, "Asha")
        proxy.prefix = "/other/"
        await asha.page.goto(proxy.url)
        await asha.at_the_door()
        proxy.prefix = "/chat/"
        await asha.page.goto(proxy.url)
        await asha.logged_in()
