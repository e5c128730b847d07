"""The list and the chat for everybody: axe in light and dark, on a phone, from right to left; by keys; what they load.

With ``PAGE_PICTURES=docs/images`` the pictures of the documentation are made anew.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.axe import found_by_axe, found_in_any_colours
from tests.support.browser import PHONE, Tab, come, friend, open_context, playwright
from tests.support.people import Person, on_device, sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
LOOKS: dict[str, dict[str, Any]] = {
    "page": {"color_scheme": "light", "viewport": {"width": 1200, "height": 760}},
    "page-dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 760}},
    "page-phone": {"color_scheme": "light", **PHONE, "device_scale_factor": 2},
}
TOO_WIDE = (
    "() => document.documentElement.scrollWidth > innerWidth || (document.querySelector('#log')?.scrollLeft ?? 0) !== 0"
)
# Pictures show them, so that they are nobody's: Ofcom keeps 07700 900000 to 900999 for films and books.
NUMBERS = (str(number) for number in range(447700900012, 447700901000, 37))
LINK = "https://example.org/how?it=works"
TALK = [
    ("r1", "Morning! Is the demo still on for seven?"),
    ("r2", "I would bring Meera."),
    ("a1", "Yes: two browsers, two servers, one Redis."),
    ("a2", "I’ll pull the plug on one while you type."),
    ("r3", f"And nothing gets lost? ({LINK})"),
    ("a3", "Nothing. You will see."),
]


async def inhabited(browser: "Browser", product: ServerGroup, look: str) -> Tab:
    """Asha with three chats: one that goes on, one with something new, one with somebody she has blocked."""
    asha = await come(browser, product.url, "Asha Rao", mobile=next(NUMBERS), reduced_motion="reduce", **LOOKS[look])
    names = ("Ravi Menon", "Meera Iyer", "كبير سينغ")
    ravi, meera, kabir = [await friend(product, name, next(NUMBERS)) for name in names]
    phone = await (await on_device(product.url, Person(asha.mobile, "", asha.name), "phone")).open(product.ws_url)
    await asha.open(kabir)
    await asha.block()
    await asha.page.go_back()
    for message_id, text in TALK:
        if message_id[0] == "r":
            await ravi.writes(asha, text, message_id)
            await ravi.talk.wait(lambda frame, m=message_id: m in frame.get("messageIds", []))  # type: ignore[misc]
        else:
            await phone.chat(Person(ravi.mobile, "", ""), message_id, text)
            await ravi.talk.wait(lambda frame, m=message_id: frame.get("messageId") == m)  # type: ignore[misc]
    await ravi.reads()
    for number, text in enumerate(("Did you get the tickets?", "שתי כרטיסים, בבקשה"), 1):
        await meera.writes(asha, text, f"m{number}")
    await playwright.expect(asha.page.locator("#list a")).to_have_count(3)
    await asha.sees(f'#list a[data-mobile="{meera.mobile}"] .badge', "2 unread")
    await asha.choose(ravi)
    await asha.ticks(*["Read"] * 3)
    await ravi.talk.send(type="typing", to=asha.mobile, active=True)
    await asha.is_visible("#log .typing")
    return asha


async def is_fine(tab: Tab, what: str, look: str) -> None:
    assert await (found_in_any_colours if look == "page" else found_by_axe)(tab.page) == [], what
    assert not await tab.page.evaluate(TOO_WIDE), what


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_nothing_in_the_chats(browser: "Browser", product: ServerGroup, look: str) -> None:
    asha = await inhabited(browser, product, look)
    if "PAGE_PICTURES" in os.environ:
        await asha.page.screenshot(path=Path(os.environ["PAGE_PICTURES"]) / f"{look}.png")
    await is_fine(asha, "chat", look)
    await asha.page.click(".chat .bar [aria-haspopup=menu]")
    await is_fine(asha, "menu", look)
    await asha.page.get_by_role("menuitem", name="Block").click()
    await asha.is_visible("dialog")
    await is_fine(asha, "question", look)
    await asha.confirm("Cancel")
    await asha.from_menu("Search in this chat")
    await asha.page.fill("#find-in-chat", "demo")
    await asha.sees(".in-chat output", "1 of 1")
    await is_fine(asha, "search", look)
    await asha.page.keyboard.press("Escape")
    await asha.page.evaluate("document.documentElement.dir = 'rtl'")
    await is_fine(asha, "chat from right to left", look)
    mine, theirs = [
        await asha.page.locator(f"#log .m{which}").first.bounding_box() for which in (".mine", ":not(.mine)")
    ]
    assert mine is not None
    assert theirs is not None
    assert mine["x"] < theirs["x"], "mirrored"
    await asha.page.go_back()
    await asha.is_visible("#list")
    await is_fine(asha, "list from right to left", look)
    await asha.page.fill("#find", "tickets")
    await asha.is_visible("#list button.row")
    await is_fine(asha, "found", look)
    await asha.nothing_went_wrong()


async def test_everything_is_reached_with_the_keyboard(browser: "Browser", product: ServerGroup) -> None:
    asha = await inhabited(browser, product, "page")
    keys = asha.page.keyboard
    await playwright.expect(asha.page.locator("#text")).to_be_focused()
    await keys.press("Escape")
    await asha.is_visible("#nobody")
    rows = asha.page.locator("#list a")
    focused = asha.page.locator("#list a:focus .name")
    await playwright.expect(focused).to_have_text("Ravi Menon")
    await keys.press("Home")
    await playwright.expect(focused).to_have_text("Meera Iyer")
    await keys.press("ArrowDown")
    await keys.press("ArrowDown")
    await playwright.expect(rows.nth(2)).to_be_focused()
    await keys.press("ArrowUp")
    await keys.press("Enter")
    await asha.sees("#chat-name", "Ravi Menon")
    await keys.type("hello")
    await keys.press("Shift+Enter")
    await keys.type("again")
    await asha.has_typed("hello\nagain")
    await keys.press("Enter")
    await asha.sees(".chat > [role=status]", "Delivered")
    menu = asha.button("More about this chat")
    await menu.focus()
    await keys.press("Enter")
    await keys.press("ArrowDown")
    await playwright.expect(asha.page.get_by_role("menuitem", name="Block Ravi Menon")).to_be_focused()
    await keys.press("Enter")
    await playwright.expect(asha.button("Cancel")).to_be_focused()
    await keys.press("Escape")
    await playwright.expect(menu).to_be_focused()


async def test_links_lead_out_safely_and_nothing_else_is_one(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await friend(product, "<img src=x onerror=alert(1)>")
    text = f"see {LINK}, (http://a.example/b_(c)) javascript:alert(1) <a href=x>y</a> https:// data:text/html,x"
    await ravi.writes(asha, text)
    await asha.page.click("#list a")
    await asha.shows(text)
    links = asha.page.locator("#log .m a")
    found = await links.evaluate_all("(all) => all.map((a) => [a.getAttribute('href'), a.rel, a.target])")
    assert found == [
        [LINK, "noopener noreferrer", "_blank"],
        ["http://a.example/b_(c)", "noopener noreferrer", "_blank"],
    ]
    await asha.nothing_went_wrong()


async def test_no_link_looks_like_another_one(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    text = "https://bank.example@evil.example/ http://evil.example/\u202emoc.knab \u202ehttp://evil.example/b"
    await ravi.writes(asha, text)
    await asha.page.click("#list a")
    await asha.shows(text)
    links = asha.page.locator("#log .m a")
    found = await links.evaluate_all(
        "(all) => all.map((a) => [a.href, a.textContent, getComputedStyle(a).unicodeBidi])"
    )
    assert found == [
        ["http://evil.example/", "http://evil.example/", "isolate"],
        ["http://evil.example/b"] * 2 + ["isolate"],
    ]
    await asha.nothing_went_wrong()


async def test_a_text_with_what_is_searched_for_in_it_thousands_of_times(
    browser: "Browser", product: ServerGroup
) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await ravi.writes(asha, "\u0130" + "a(" * 8000)
    await asha.page.click("#list a")
    await asha.from_menu("Search in this chat")
    await asha.page.fill("#find-in-chat", "A(")
    await asha.press("Show all")
    marks = asha.page.locator("#log mark")
    await playwright.expect(marks).to_have_count(8000)
    await playwright.expect(marks.first).to_have_text("a(")
    await asha.nothing_went_wrong()


CHAT_CODE = "performance.getEntriesByType('resource').some(({ name }) => name.endsWith('/web/scrolling.js'))"


async def test_every_first_load_is_light(browser: "Browser", product: ServerGroup) -> None:
    """With an empty cache: at the door, and logged in at the list, at a chat, and in the settings.

    The heads of the answers are counted, and what comes by itself afterwards. What the service worker fetches is not:
    it takes all files, once, when the page is there.
    """
    door = await loaded(await open_context(browser), product.url, "main.door form")
    asha, ravi = await come(browser, product.url, "Asha"), await sign_up(product.url, "Ravi")
    context = asha.page.context
    # As in a browser with a worker. The stand-in for it refuses, and then the settings are fetched, too.
    await context.add_init_script("navigator.serviceWorker.register = () => new Promise(() => undefined)")
    found = {
        "door": door,
        "list": await loaded(context, product.url, "#find", CHAT_CODE),
        "chat": await loaded(context, f"{product.url}/#/chat/{ravi.mobile}", "#log .sys", CHAT_CODE),
        "settings": await loaded(context, f"{product.url}/#/settings/profile", ".settings form"),
        "about": await loaded(context, f"{product.url}/#/settings/about", ".settings .points"),
    }
    print(found)
    assert {name: size for name, (size, _) in found.items() if size > 80_000} == {}
    assert {name: requests for name, (_, requests) in found.items() if requests > 55} == {}


async def loaded(context: Any, url: str, until: str, condition: str = "true") -> tuple[int, int]:
    """Bytes and requests of a page that finds nothing in a cache, until this is shown and there is nothing more."""
    page = await context.new_page()
    cdp = await context.new_cdp_session(page)
    await cdp.send("Network.enable")
    await cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[int] = []
    cdp.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    await page.goto(url)
    await page.wait_for_selector(until)
    await Tab(page, "").until(condition)
    await page.wait_for_load_state("networkidle")
    await page.close()
    return sum(sizes), len(sizes)
