"""The page in a real browser: two people talk, and see ticks and last seen, under the page's own policy."""

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import come, open_tab, playwright
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
LAST_SEEN = re.compile(r"last seen \d+:\d\d")


async def test_two_people_talk_and_see_ticks_and_last_seen(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await come(browser, product.url, "Ravi")
    await asha.open(ravi)
    await asha.sees("#chat-seen", "online")
    await asha.write("hello <b>Ravi</b> & all")
    await asha.ticks("Delivered")
    await ravi.sees("#list .badge", "1 unread")
    await playwright.expect(ravi.page).to_have_title("(1) WhatsApp Mini")
    await ravi.choose(asha)
    await ravi.shows("hello <b>Ravi</b> & all")
    await asha.ticks("Read")
    await playwright.expect(ravi.page).to_have_title("Asha, WhatsApp Mini")
    await ravi.page.locator("#text").press_sequentially("hello")
    await asha.sees("#log .typing", "Ravi is typing…")
    await asha.sees("#list .s", "typing…")
    await ravi.write("hello Asha")
    await asha.shows("hello Asha")
    await asha.is_hidden("#log .typing")
    await ravi.ticks("Read")
    await ravi.page.close()
    await playwright.expect(asha.page.locator("#chat-seen")).to_have_text(LAST_SEEN)
    await asha.write("are you there?")
    await asha.ticks("Read", "Sent")
    await asha.nothing_went_wrong()


async def test_what_was_said_is_there_after_closing_everything(browser: "Browser", product: ServerGroup) -> None:
    """The server has forgotten it: the browser keeps it before it says that it came."""
    asha = await come(browser, product.url, "Asha")
    ravi = await come(browser, product.url, "Ravi")
    await asha.open(ravi)
    await asha.write("hello")
    await ravi.choose(asha)
    await ravi.write("hello Asha")
    await asha.ticks("Read")
    page = await asha.page.context.new_page()
    await asha.page.close()
    await page.goto(product.url)
    asha.page = page
    await asha.logged_in()
    await asha.choose(ravi)
    await asha.ticks("Read")
    await asha.shows("hello Asha")


async def test_a_block_is_absolute_and_silent_on_the_page_too(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await come(browser, product.url, "Ravi")
    await ravi.open(asha)
    await asha.open(ravi)
    await asha.sees("#chat-seen", "online")
    await ravi.block()
    # As if Ravi had gone offline at that moment: the time stays what it was then.
    await playwright.expect(asha.page.locator("#chat-seen")).to_have_text(LAST_SEEN)
    await asha.write("hello?")
    await asha.ticks("Sent")
    await ravi.unblock()
    await asha.write("now?")
    await ravi.shows("now?")
    await asha.ticks("Sent", "Read")
    for each in (asha, ravi):
        await each.nothing_went_wrong()


async def test_whatever_goes_wrong_is_noticed_here(browser: "Browser", product: ServerGroup) -> None:
    """What the tests above say did not happen would have been seen."""
    one = await open_tab(browser, product.url)
    await one.nothing_went_wrong()
    await one.page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'x'}))")
    await one.page.evaluate("fetch('/auth/login')")
    await one.page.evaluate("setTimeout(() => { throw new Error('a bug') })")
    async with asyncio.timeout(10):
        while len(one.complaints) < 3:
            await asyncio.sleep(0.05)
    assert await one.page.evaluate("window.violations") == ["script-src-elem inline"]
    for complaint in ("Content Security Policy", "405", "a bug"):
        assert [said for said in one.complaints if complaint in said], complaint
    elsewhere = f"http://127.0.0.2:{product.port}/"
    with pytest.raises(playwright.Error):
        await one.page.goto(elsewhere)
    assert one.strangers == [elsewhere]
