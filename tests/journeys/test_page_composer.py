"""Writing on the page: a draft belongs to its chat, and what cannot be sent is said before it is tried."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import come, friend
from tests.support.people import PASSWORD, request, sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


async def test_a_draft_stays_with_the_person_it_is_for(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    meera = await friend(product, "Meera")
    ravi = await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.open(meera)
    await asha.page.fill("#text", "half a draft for Meera")
    await asha.choose(ravi)
    await asha.has_typed("")
    await asha.sees(f'#list a[data-mobile="{meera.mobile}"] .last', "Draft: half a draft for Meera")
    await asha.page.press("#text", "Enter")
    await asha.ticks()
    await asha.page.fill("#text", "half a draft for Ravi")
    await asha.page.reload()
    await asha.has_typed("half a draft for Ravi")
    await asha.choose(meera)
    await asha.has_typed("half a draft for Meera")
    await asha.page.press("#text", "Enter")
    await asha.has_typed("")
    await asha.ticks("Delivered")
    await meera.shows("half a draft for Meera")
    await asha.choose(ravi)
    await asha.has_typed("half a draft for Ravi")


async def test_a_chat_with_oneself_is_refused_at_once(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    number = asha.mobile
    for form in (
        number,
        f"+{number}",
        f"00{number}",
        f"+{number[:2]} ({number[2:5]}) {number[5:]}",
        f" {number[:4]}-{number[4:7]}.{number[7:]} ",
    ):
        await asha.find(form)
        await asha.sees("#find-note", "This is your own number.")
    await asha.page.goto(f"{product.url}/#/chat/{number}")
    await asha.page.reload()
    await asha.is_visible("#nobody")
    assert await asha.page.locator("#list a").count() == 0
    await asha.nothing_went_wrong()


async def test_nobody_writes_to_somebody_they_blocked(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.page.fill("#text", "one more thing")
    await asha.block()
    await asha.sees("#barred span", "You blocked Ravi. Unblock to write.")
    await asha.sees("#list .last", "You blocked this number")
    await asha.is_hidden("#write")
    await asha.page.reload()
    await asha.is_visible("#barred")
    await asha.unblock()
    await asha.has_typed("one more thing")
    await asha.page.press("#text", "Enter")
    await asha.ticks("Delivered")
    await asha.nothing_went_wrong()


async def test_who_is_blocked_is_known_without_the_server(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.block()
    await asha.page.route("**/block-action/list", lambda route: route.abort())
    await asha.page.reload()
    await asha.is_visible("#barred")
    await asha.sees("#list .last", "You blocked this number")
    asha.forgive("Failed to load resource")
    await asha.nothing_went_wrong()


async def test_what_was_not_saved_is_for_nobody_else(browser: "Browser", product: ServerGroup) -> None:
    """The page goes a moment after the last key, and when it is back somebody else logs in."""
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.page.fill("#text", "a secret")
    await asha.page.evaluate("dispatchEvent(new Event('pagehide'))")
    ben = await sign_up(product.url, "Ben")
    form = {"mobileNo": ben.mobile, "password": PASSWORD, "deviceId": "page-of-ben"}
    session = (await request(product.url, ben, "POST", "auth/login", json=form)).raise_for_status().json()
    await asha.page.evaluate(
        """async (session) => {
            const state = await import(new URL("web/state.js", document.baseURI));
            await state.switchAccount();
            await state.enter(session);
        }""",
        {"url": product.url} | session,
    )
    asha.name = "Ben"
    await asha.logged_in()
    await asha.is_visible("#text")
    await asha.has_typed("")
    assert "a secret" not in await asha.page.evaluate("JSON.stringify({ ...sessionStorage })")
    await asha.nothing_went_wrong()


@pytest.mark.parametrize(("text", "part"), [("x" * 16_385, 101), ("x" * 100_000, 611), ("\u0001" * 16_000, 161)])
async def test_what_is_too_long_is_said_before_it_is_sent(
    browser: "Browser", product: ServerGroup, text: str, part: int
) -> None:
    """The last is short enough, but not as JSON: the server would close the connection for the whole message."""
    asha = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await asha.open(ravi)
    note = f"Too long for one message: {part} % of what fits. Shorten it, or send it in parts."
    await asha.page.fill("#text", text)
    await asha.sees("#write-note", note)
    await asha.page.press("#text", "Enter")
    await asha.has_typed(text)
    await asha.ticks()
    await asha.page.fill("#text", "short")
    await asha.sees("#write-note", "")
    await asha.page.press("#text", "Enter")
    await asha.ticks("Delivered")
    await asha.nothing_went_wrong()


FULL = """() => {
    window.put = IDBObjectStore.prototype.put;
    IDBObjectStore.prototype.put = () => { throw new DOMException("No room.", "QuotaExceededError"); };
}"""
ROOM = "() => { IDBObjectStore.prototype.put = window.put; }"


async def test_where_the_disk_is_full_nothing_that_was_written_is_lost(
    browser: "Browser", product: ServerGroup
) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.page.evaluate(FULL)
    await asha.write("something long")
    await asha.says("This browser could not keep the message, so it was not sent. Make room on the disk")
    await asha.has_typed("something long")
    await ravi.writes(asha, "hello")
    await asha.says("This browser cannot keep what comes, so nothing more is accepted.")
    await asha.page.evaluate(ROOM)
    await asha.press("Connect")
    await asha.shows("hello")
    await asha.page.press("#text", "Enter")
    await asha.ticks("Delivered")
    await ravi.shows("something long")
    await asha.nothing_went_wrong()
