"""The page's views have a history: Back on a phone leads from a chat to the list, not out of the page."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import PHONE, another_tab, come, friend, playwright
from tests.support.people import sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser, Route
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


async def test_back_leads_from_a_chat_to_the_list(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha", **PHONE)
    ravi = await sign_up(product.url, "Ravi")
    await asha.open(ravi)
    await asha.is_hidden("#list")
    await asha.page.go_back()
    await asha.is_visible("#list")
    await asha.is_hidden(".chat")
    assert asha.page.url == f"{product.url}/"
    await asha.page.go_forward()
    await asha.is_visible(".chat")
    await asha.is_hidden("#list")
    await asha.page.reload()
    await asha.sees("#chat-name", "Ravi")
    await asha.page.click("#back")
    await asha.is_visible("#list")
    await playwright.expect(asha.page.locator("#list a")).to_be_focused()
    await asha.nothing_went_wrong()


async def test_back_leads_to_the_list_after_several_chats_too(browser: "Browser", product: ServerGroup) -> None:
    """As on a wide screen, where the list stays beside the chat."""
    asha = await come(browser, product.url, "Asha")
    ravi = await sign_up(product.url, "Ravi")
    meera = await sign_up(product.url, "Meera")
    await asha.open(ravi)
    await asha.open(meera)
    await asha.choose(ravi)
    await asha.page.go_back()
    await asha.is_hidden(".chat")
    await asha.is_visible("#nobody")
    await asha.nothing_went_wrong()


async def test_a_chat_has_an_address(browser: "Browser", product: ServerGroup) -> None:
    """Somebody who comes by it gets to the list with the page's own Back, and is not led out of it."""
    asha = await come(browser, product.url, "Asha", **PHONE)
    ravi = await sign_up(product.url, "Ravi")
    await asha.open(ravi)
    assert asha.page.url == f"{product.url}/#/chat/{ravi.mobile}"
    there = await another_tab(asha, f"#/chat/{ravi.mobile}")
    await there.sees("#chat-name", "Ravi")
    await there.page.click("#back")
    await there.is_visible("#list")
    assert there.page.url.removesuffix("#/") == f"{product.url}/"
    await there.nothing_went_wrong()


async def test_an_address_of_no_view_shows_the_list(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    for address in ("constructor", "__proto__", "toString/x"):
        await asha.page.goto("about:blank")
        await asha.page.goto(f"{product.url}/#/{address}")
        await asha.is_visible("#find")
    await asha.nothing_went_wrong()


async def test_the_latest_chat_is_the_first_of_the_list(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    meera = await sign_up(product.url, "Meera")
    await asha.open(ravi)
    await asha.open(meera)
    names = playwright.expect(asha.page.locator("#list .name"))
    await names.to_have_text(["Meera", "Ravi"])
    await ravi.talk.send(type="chat", to=asha.mobile, messageId="m-1", message="hello")
    await names.to_have_text(["Ravi", "Meera"])
    await asha.sees("#list .badge:visible", "1 unread")
    await asha.nothing_went_wrong()


async def test_names_that_are_refused_are_not_asked_for_at_each_message(
    browser: "Browser", product: ServerGroup
) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    asked = 0

    async def refuse(route: "Route") -> None:
        nonlocal asked
        asked += 1
        body = {
            "success": False,
            "code": "rate_limited",
            "message": "Too often.",
            "retryAfter": 2 if asked == 1 else 60,
        }
        await route.fulfill(status=429, json=body)

    await asha.page.route("**/v1/people/lookup", refuse)
    for number in range(12):
        await ravi.writes(asha, f"text {number}", f"m-{number}")
        await asha.says(f"text {number}")
    assert asked == 1
    await asyncio.sleep(2)
    await ravi.writes(asha, "later", "m-later")
    await ravi.writes(asha, "later", "m-later")
    async with asyncio.timeout(10):
        while asked < 2:
            await asyncio.sleep(0.05)
    asha.forgive("429")
    await asha.nothing_went_wrong()
