"""The page's views have a history: Back on a phone leads from a chat to the list, not out of the page."""

from typing import TYPE_CHECKING

import pytest

from tests.support.old_browser import PHONE, come, friend, playwright
from tests.support.people import sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


async def test_back_leads_from_a_chat_to_the_list(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha", **PHONE)
    ravi = await sign_up(product.url, "Ravi")
    await asha.open(ravi)
    await asha.is_hidden("#list")
    await asha.page.go_back()
    await asha.is_visible("#list")
    await asha.is_hidden("#chat")
    assert asha.page.url == f"{product.url}/"
    await asha.page.go_forward()
    await asha.is_visible("#chat")
    await asha.is_hidden("#list")
    await asha.page.reload()
    await asha.sees("#chat-name", f"Ravi ({ravi.mobile})")
    await asha.page.click("#back")
    await asha.is_visible("#list")
    await playwright.expect(asha.page.locator("#list button")).to_be_focused()
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
    await asha.is_hidden("#chat")
    await asha.is_visible("#nobody")
    await asha.nothing_went_wrong()


async def test_a_chat_in_the_history_is_not_shown_to_the_next_person(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await sign_up(product.url, "Ravi")
    await asha.open(ravi)
    await asha.page.go_back()
    await asha.is_hidden("#chat")
    await asha.page.click("#logout")
    await asha.is_visible("#login")
    asha.mobile, asha.name = ravi.mobile, ravi.name
    await asha.log_in()
    await asha.page.go_forward()
    await asha.is_visible("#nobody")
    await asha.is_hidden("#chat")


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
    await asha.sees("#list .badge:visible", "1 new")
    await asha.nothing_went_wrong()
