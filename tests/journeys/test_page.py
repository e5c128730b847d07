"""The page in a real browser: two people sign up, talk, and see ticks and last seen, under the page's own policy."""

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.old_browser import Tab, come, open_tab, playwright
from tests.support.people import PASSWORD, sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


async def away(watcher: Tab) -> None:
    """Until the person looked at is said to have been seen last at some time of today."""
    async with asyncio.timeout(10):
        while not re.match(r"last seen \d+:\d\d", await watcher.page.inner_text("#chat-seen")):
            await watcher.look_again()
            await asyncio.sleep(0.1)


async def test_two_people_talk_and_see_ticks_and_last_seen(browser: "Browser", product: ServerGroup) -> None:
    asha = await (await open_tab(browser, product.url)).sign_up("Asha")
    ravi = await (await open_tab(browser, product.url)).sign_up("Ravi")
    await asha.open(ravi)
    await asha.sees("#chat-seen", "online")
    await asha.write("hello <b>Ravi</b> & all")
    await asha.ticks("✓✓ Delivered")
    await ravi.sees("#list .badge", "1 new")
    assert await ravi.page.title() == "(1) Ravi, WhatsApp Mini"
    await ravi.page.click("#list button")
    await ravi.shows("hello <b>Ravi</b> & all")
    await asha.ticks("✓✓ Read")
    await ravi.write("hello Asha")
    await asha.shows("hello Asha")
    await ravi.ticks("✓✓ Read")
    await ravi.page.click("#logout")
    await ravi.is_visible("#login")
    await away(asha)
    await asha.write("are you there?")
    await asha.ticks("✓✓ Read", "✓ Sent")
    await ravi.log_in()
    await ravi.page.click("#list button")
    await ravi.shows("are you there?")
    await asha.ticks("✓✓ Read", "✓✓ Read")
    await asha.look_again()
    await asha.sees("#chat-seen", "online")
    await asha.page.reload()
    await asha.logged_in()
    await asha.page.click("#list button")
    await asha.ticks("✓✓ Read", "✓✓ Read")
    await asha.shows("hello Asha")
    for each in (asha, ravi):
        await each.nothing_went_wrong()


async def test_a_block_is_absolute_and_silent_on_the_page_too(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await come(browser, product.url, "Ravi")
    await ravi.open(asha)
    await ravi.page.click("#block")
    await ravi.sees("#block", "Unblock")
    await asha.open(ravi)
    # As if Ravi had gone offline at that moment: the time stays what it was then.
    await playwright.expect(asha.page.locator("#chat-seen")).to_contain_text(re.compile(r"last seen \d+:\d\d"))
    await asha.write("hello?")
    await asha.ticks("✓ Sent")
    await ravi.page.click("#block")
    await ravi.sees("#block", "Block")
    await asha.write("now?")
    await ravi.shows("now?")
    await asha.ticks("✓ Sent", "✓✓ Read")
    for each in (asha, ravi):
        await each.nothing_went_wrong()


async def test_a_refusal_of_a_field_stands_beside_the_field(browser: "Browser", product: ServerGroup) -> None:
    asha = await sign_up(product.url, "Asha")
    ravi = await open_tab(browser, product.url)
    await ravi.page.click("#to-signup")
    await ravi.fill_sign_up("\u2800\u2800\u2800", f"+{ravi.mobile}", PASSWORD)
    await playwright.expect(ravi.page.locator("#signup-name-note")).to_contain_text("The name takes 3 to 64")
    await playwright.expect(ravi.page.locator("#signup-name")).to_be_focused()
    await ravi.fill_sign_up("Ravi", "12", PASSWORD)
    await playwright.expect(ravi.page.locator("#signup-mobile-note")).to_contain_text("10 to 15 digits")
    await ravi.sees("#signup-name-note", "")
    await ravi.fill_sign_up("Ravi", asha.mobile, PASSWORD)
    await playwright.expect(ravi.page.locator("#signup-mobile-note")).to_contain_text("exists already")
    await ravi.sees("#door-note", "")
    await ravi.page.click("#to-login")
    await ravi.page.fill("#login-mobile", asha.mobile)
    await ravi.page.fill("#login-password", "wrong password")
    await ravi.page.click("#login button.main")
    await ravi.sees("#door-note", "The mobile number or the password is wrong.")


async def test_whatever_goes_wrong_is_noticed_here(browser: "Browser", product: ServerGroup) -> None:
    """What the tests above say did not happen would have been seen."""
    one = await open_tab(browser, product.url)
    await one.nothing_went_wrong()
    await one.page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'x'}))")
    await one.page.evaluate("fetch('/auth/login')")
    await one.page.evaluate("setTimeout(() => { throw new Error('a bug') })")
    await one.page.wait_for_timeout(100)
    assert await one.page.evaluate("window.violations") == ["script-src-elem inline"]
    for complaint in ("Content Security Policy", "405", "a bug"):
        assert [said for said in one.complaints if complaint in said], complaint
    elsewhere = f"http://127.0.0.2:{product.port}/"
    with pytest.raises(playwright.Error):
        await one.page.goto(elsewhere)
    assert one.strangers == [elsewhere]
