"""Parts of the page that are loaded later: they are shown when they are there, and one that did not come is asked for
again."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import come, friend, open_tab, playwright
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser, Route
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
COMES_BETWEEN = """async () => {
    const { lazy } = await import("./web/parts.js");
    const { html, render } = await import("./web/vendor/preact.js");
    const Part = lazy(async () => () => html`<p id="part">here</p>`);
    render(html`<${Part} />`, document.body.appendChild(document.createElement("div")));
    await Part.load();  // effects have not run yet
}"""


async def test_a_part_that_comes_while_it_is_drawn_is_shown(browser: "Browser", product: ServerGroup) -> None:
    one = await open_tab(browser, product.url)
    await one.at_the_door()
    await one.page.evaluate(COMES_BETWEEN)
    await one.sees("#part", "here")


@pytest.mark.parametrize(
    ("view", "file", "there"), [("settings", "settings.js", "Settings"), ("chat", "chat.js", "Ravi")]
)
async def test_a_part_that_did_not_come_is_asked_for_again(
    browser: "Browser", product: ServerGroup, view: str, file: str, there: str
) -> None:
    ravi = await friend(product, "Ravi")
    asha = await open_tab(browser, product.url)

    async def refuse(route: "Route") -> None:
        await route.abort()

    await asha.page.route(f"**/web/{file}", refuse)
    await asha.sign_up("Asha")
    await ravi.writes(asha, "hello")
    await asha.is_visible("#list a")
    await asha.go("settings" if view == "settings" else f"chat/{ravi.mobile}")
    await asha.says("This part of the page could not be loaded. Look at the connection, then try again.")
    await asha.press("Try again")
    await playwright.expect(asha.button("Try again")).to_be_visible()
    await asha.page.unroute(f"**/web/{file}", refuse)
    await asha.press("Try again")
    await playwright.expect(asha.page.get_by_role("heading", name=there, exact=True)).to_be_visible()
    asha.forgive("Failed to load resource")
    await asha.nothing_went_wrong()


async def test_the_box_to_write_in_stays_above_the_keyboard_of_a_phone(
    browser: "Browser", product: ServerGroup
) -> None:
    """As on iOS, where the keyboard covers a page and only the visual viewport gets smaller."""
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.page.evaluate(
        """() => {
            Object.defineProperty(visualViewport, "height", { value: innerHeight - 300, configurable: true });
            visualViewport.dispatchEvent(new Event("resize"));
        }"""
    )
    assert (
        await asha.page.evaluate("innerHeight - document.querySelector('#write').getBoundingClientRect().bottom") >= 300
    )
    await asha.page.evaluate("delete visualViewport.height; visualViewport.dispatchEvent(new Event('resize'))")
    assert (
        await asha.page.evaluate("innerHeight - document.querySelector('#write').getBoundingClientRect().bottom") < 60
    )
