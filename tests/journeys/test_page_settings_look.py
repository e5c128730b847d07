"""The door and the settings for everybody: axe on each view, light and dark, phones, right to left, keys alone."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.axe import found_in_any_colours
from tests.support.browser import PHONE, Tab, come, friend, open_tab, playwright
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
LOOKS: dict[str, dict[str, Any]] = {"desktop": {}, "phone": PHONE}
VIEWS = {
    "profile": "Profile",
    "privacy": "Privacy",
    "notifications": "Notifications",
    "devices": "Devices",
    "sessions": "Sessions",
    "events": "What happened",
    "blocked": "Blocked people",
    "password": "Password",
    "number": "Mobile number",
    "storage": "Messages in this browser",
    "about": "About",
    "logout": "Log out",
    "delete": "Delete account",
}
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter((it) => it.scrollWidth > it.clientWidth + 1 && getComputedStyle(it).overflowX === "auto")
    .concat(document.documentElement.scrollWidth > innerWidth ? [document.documentElement] : [])
    .map((it) => `${it.tagName}.${it.className}`)"""


async def is_fine(tab: Tab, view: str) -> None:
    await playwright.expect(tab.page.get_by_text("One moment …")).to_have_count(0)
    assert await found_in_any_colours(tab.page) == [], view
    assert await tab.page.evaluate(TOO_WIDE) == [], f"{view} is wider than the window"


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing_at_the_door(browser: "Browser", product: ServerGroup, look: str) -> None:
    tab = await open_tab(browser, product.url, **LOOKS[look])
    await is_fine(tab, "log-in")
    await tab.press("Log in")
    await is_fine(tab, "log-in with a refusal")
    await tab.press("No account yet? Sign up")
    await is_fine(tab, "sign-up")
    await tab.press("I have an account: log in")
    await tab.press("Forgotten password?")
    await is_fine(tab, "reset")
    await tab.field("Mobile number").fill(f"+{tab.mobile}")
    await tab.press("Send the code")
    await tab.says("Passwords cannot be reset here")
    await is_fine(tab, "no codes")
    tab.forgive("Failed to load resource")
    await tab.nothing_went_wrong()


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing_in_the_settings(browser: "Browser", product: ServerGroup, look: str) -> None:
    asha, ravi = await come(browser, product.url, "Asha", **LOOKS[look]), await friend(product, "Ravi")
    await ravi.writes(asha, "hello")
    await asha.open(ravi)
    await asha.from_menu("Block Ravi", "Block")
    await asha.go("settings")
    await is_fine(asha, "list")
    for view, heading in VIEWS.items():
        await asha.settings(view, heading)
        await is_fine(asha, view)
    await asha.settings("sessions", "Sessions")
    await asha.press("Log out everywhere, here too")
    await is_fine(asha, "question")
    await asha.confirm("Cancel")
    await asha.settings("storage", "Messages in this browser")
    await asha.press("Delete all messages in this browser")
    await is_fine(asha, "question about messages")
    await asha.confirm("Cancel")
    await asha.settings("delete", "Delete account")
    await asha.field("Password").fill("a password")
    await asha.press("Delete my account")
    await is_fine(asha, "question about the account")
    await asha.confirm("Cancel")
    await asha.go("settings")
    await asha.press("Another account in this window")
    await asha.at_the_door()
    await is_fine(asha, "accounts")
    await asha.press("Remove Asha from this browser")
    await is_fine(asha, "question about an account")
    await asha.nothing_went_wrong()


async def test_from_right_to_left_everything_is_mirrored(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "آشا", **LOOKS["phone"])
    await asha.page.evaluate("document.documentElement.dir = 'rtl'")
    for view, heading in VIEWS.items():
        await asha.settings(view, heading)
        await is_fine(asha, view)
        back = await asha.page.get_by_role("link", name="Back to the settings").bounding_box()
        assert back is not None
        assert back["x"] > 300, "at the right, where lines begin"


async def test_the_settings_are_used_with_the_keyboard_alone(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    await asha.page.focus("#to-settings")
    await asha.page.keyboard.press("Enter")
    await playwright.expect(asha.page.get_by_role("heading", name="Settings")).to_be_visible()
    link = asha.page.get_by_role("link", name="Privacy", exact=True)
    for _ in range(20):
        if await link.evaluate("(it) => it === document.activeElement"):
            break
        await asha.page.keyboard.press("Tab")
    await asha.page.keyboard.press("Enter")
    await playwright.expect(asha.page.get_by_role("heading", name="Privacy", level=1)).to_be_focused()
    await asha.says("Who sees when I was last online?")
    await asha.page.keyboard.press("Tab")
    await playwright.expect(asha.page.get_by_label("Everyone").first).to_be_focused()
    await asha.page.keyboard.press("ArrowDown")
    await playwright.expect(asha.page.get_by_label("People I wrote to").first).to_be_checked()
    await asha.says("Saved.")
    await asha.page.keyboard.press("Tab")
    await asha.page.keyboard.press("Tab")
    await asha.page.keyboard.press("Space")
    await playwright.expect(asha.page.get_by_role("switch").first).not_to_be_checked()
    await asha.settings("sessions", "Sessions")
    button = asha.button("Log out everywhere, here too")
    await button.focus()
    await asha.page.keyboard.press("Enter")
    await playwright.expect(asha.button("Cancel")).to_be_focused()
    await asha.page.keyboard.press("Escape")
    await playwright.expect(button).to_be_focused()
    await asha.page.go_back()
    await playwright.expect(asha.page.get_by_role("heading", name="Privacy", level=1)).to_be_visible()


async def test_on_a_phone_one_goes_back_from_a_page_to_the_list_to_the_chats(
    browser: "Browser", product: ServerGroup
) -> None:
    asha = await come(browser, product.url, "Asha", **PHONE)
    await asha.page.tap("#to-settings")
    await asha.is_hidden(".settings > .one")
    await asha.page.get_by_role("link", name="Privacy", exact=True).tap()
    await asha.is_hidden(".settings > nav")
    await asha.page.go_back()
    await asha.is_visible(".settings > nav")
    await asha.page.go_back()
    await asha.is_visible("#my-name")
    await asha.go("settings/privacy")
    await asha.page.get_by_role("link", name="Back to the settings").tap()
    await asha.page.get_by_role("button", name="Back to the chats").tap()
    await asha.is_visible("#my-name")
    await asha.nothing_went_wrong()
