"""The page in a real browser: two people sign up, talk, and see ticks and last seen, under the page's own policy.

Needs Chromium (``CHROMIUM_BIN``, else ``chromium`` on the PATH) and the package ``playwright`` (51 MB, so not among the
requirements; its own download of a browser is not needed). Skipped without them: see the README.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.people import PASSWORD, new_mobile
from tests.support.stack import ServerGroup, Stack

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page
playwright = pytest.importorskip("playwright.async_api", reason="the page's tests need the package playwright")
CHROMIUM = os.environ.get("CHROMIUM_BIN") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: install Debian's, or set CHROMIUM_BIN")
VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (e) => violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""


@pytest.fixture(scope="module")
def group(lasting_stack: Stack) -> ServerGroup:
    return lasting_stack.start(workers=2)


@pytest.fixture
async def browser() -> AsyncIterator["Browser"]:
    # Chromium's sandbox does not start for root.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with playwright.async_playwright() as api:
        running = await api.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        await running.close()


@dataclass
class Tab:
    """One person's tab, and everything that must not happen in it."""

    page: "Page"
    host: str
    mobile: str = field(default_factory=new_mobile)
    name: str = ""
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme != "data" and urlsplit(url).netloc != self.host:
            self.strangers.append(url)

    async def sign_up(self, name: str) -> None:
        self.name = name
        await self.page.click("#to-signup")
        for field_id, value in (("name", name), ("mobile", f"+{self.mobile}"), ("password", PASSWORD)):
            await self.page.fill(f"#signup-{field_id}", value)
        await self.page.click("#signup button.main")
        await self.in_the_house()

    async def log_in(self) -> None:
        await self.page.fill("#login-mobile", self.mobile)
        await self.page.fill("#login-password", PASSWORD)
        await self.page.click("#login button.main")
        await self.in_the_house()

    async def in_the_house(self) -> None:
        await self.sees("#my-name", self.name)
        await self.sees("#my-mobile", self.mobile)
        await playwright.expect(self.page.locator("#banner")).to_be_hidden()

    async def open(self, other: "Tab") -> None:
        await self.page.fill("#find-mobile", other.mobile)
        await self.page.click("#find button.main")
        await self.sees("#chat-name", f"{other.name} ({other.mobile})")

    async def write(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def sees(self, where: str, text: str) -> None:
        """This very text; a page's own five seconds long."""
        await playwright.expect(self.page.locator(where)).to_have_text(text)

    async def ticks(self, *words: str) -> None:
        """What became of one's own messages, in their order."""
        await playwright.expect(self.page.locator("#log .me .tick")).to_have_text(words)

    async def heard(self, *texts: str) -> None:
        """The others' messages, in their order, as written."""
        lines = self.page.locator("#log .m:not(.me) p")
        await playwright.expect(lines).to_have_text([f"They: {text}" for text in texts])

    async def look_again(self) -> None:
        """The person comes back to the window: last seen is asked for anew."""
        await self.page.evaluate("window.dispatchEvent(new Event('focus'))")

    async def nothing_went_wrong(self) -> None:
        assert (self.complaints, self.strangers) == ([], [])
        assert await self.page.evaluate("window.violations") == []


async def tab(browser: "Browser", group: ServerGroup) -> Tab:
    """A browser profile of its own, at the door."""
    context = await browser.new_context()
    await context.add_init_script(VIOLATIONS)
    made = Tab(await context.new_page(), f"127.0.0.1:{group.port}")
    made.watch()
    await made.page.goto(group.url)
    return made


async def away(watcher: Tab) -> None:
    """Until the person looked at is said to have been seen last at some time of today."""
    async with asyncio.timeout(10):
        while not re.match(r"last seen \d+:\d\d", await watcher.page.inner_text("#chat-seen")):
            await watcher.look_again()
            await asyncio.sleep(0.1)


async def test_two_people_talk_and_see_ticks_and_last_seen(browser: "Browser", group: ServerGroup) -> None:
    asha, ravi = await tab(browser, group), await tab(browser, group)
    await asha.sign_up("Asha")
    await ravi.sign_up("Ravi")
    await asha.open(ravi)
    await asha.sees("#chat-seen", "online")
    await asha.write("hello <b>Ravi</b> & all")
    await asha.ticks("✓✓ Delivered")
    await ravi.sees("#list .badge", "1 new")
    assert await ravi.page.title() == "(1) Ravi, WhatsApp Mini"
    await ravi.page.click("#list button")
    await ravi.heard("hello <b>Ravi</b> & all")
    await asha.ticks("✓✓ Read")
    await ravi.write("hello Asha")
    await asha.heard("hello Asha")
    await ravi.ticks("✓✓ Read")
    await ravi.page.click("#logout")
    await playwright.expect(ravi.page.locator("#login")).to_be_visible()
    await away(asha)
    await asha.write("are you there?")
    await asha.ticks("✓✓ Read", "✓ Sent")
    await ravi.log_in()
    await ravi.page.click("#list button")
    await ravi.heard("are you there?")
    await asha.ticks("✓✓ Read", "✓✓ Read")
    await asha.look_again()
    await asha.sees("#chat-seen", "online")
    await asha.page.reload()
    await asha.in_the_house()
    await asha.page.click("#list button")
    await asha.ticks("✓✓ Read", "✓✓ Read")
    await asha.heard("hello Asha")
    for each in (asha, ravi):
        await each.nothing_went_wrong()


async def test_a_block_is_absolute_and_silent_on_the_page_too(browser: "Browser", group: ServerGroup) -> None:
    asha, ravi = await tab(browser, group), await tab(browser, group)
    await asha.sign_up("Asha")
    await ravi.sign_up("Ravi")
    await ravi.open(asha)
    await ravi.page.click("#block")
    await ravi.sees("#block", "Unblock")
    await asha.open(ravi)
    await asha.sees("#chat-seen", "last seen not shown")
    await asha.write("hello?")
    await asha.ticks("✓ Sent")
    await ravi.page.click("#block")
    await ravi.sees("#block", "Block")
    await asha.write("now?")
    await ravi.heard("now?")
    await asha.ticks("✓ Sent", "✓✓ Read")
    for each in (asha, ravi):
        await each.nothing_went_wrong()


async def test_whatever_goes_wrong_is_noticed_here(browser: "Browser", group: ServerGroup) -> None:
    """What the tests above say did not happen would have been seen."""
    one = await tab(browser, group)
    await one.nothing_went_wrong()
    await one.page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'x'}))")
    await one.page.evaluate("fetch('/auth/login')")
    await one.page.evaluate("setTimeout(() => { throw new Error('a bug') })")
    await one.page.wait_for_timeout(100)
    assert await one.page.evaluate("window.violations") == ["script-src-elem inline"]
    for complaint in ("Content Security Policy", "405", "a bug"):
        assert [said for said in one.complaints if complaint in said], complaint
    elsewhere = f"http://127.0.0.2:{group.port}/"
    with pytest.raises(playwright.Error):
        await one.page.goto(elsewhere)
    assert one.strangers == [elsewhere]
