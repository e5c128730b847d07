"""People who use the page in a real browser: a tab each, and everything that must not happen in it.

Needs Chromium (see ``tools.devstack.checks``) and the package ``playwright``, but no browser of its own.
"""

import asyncio
import importlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest

from tests.support.people import PASSWORD, Frame, Person, Talk, new_mobile, request, sign_up
from tests.support.stack import ServerGroup
from tools.devstack.checks import browser_is_required, chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page, WebSocketRoute

playwright: Any = importlib.import_module("playwright.async_api") if importlib.util.find_spec("playwright") else None
if playwright is not None:
    playwright.expect.set_options(timeout=15_000)

# Chromium's sandbox does not start for root or in most containers; the pages are our own. The rest keeps it from
# talking to its maker.
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE = {"viewport": {"width": 390, "height": 700}, "has_touch": True, "is_mobile": True}
VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (e) => violations.push(`${e.violatedDirective} ${e.blockedURI}`));
"""
NO_WORKER = "Service Worker registration blocked by Playwright"
"""What its stand-in says. A worker of each tab's own would fetch the whole page once more for each test."""
Judge = Callable[["WebSocketRoute", Frame], bool]
"""Whether a frame of the page's is taken care of; else it goes on to the server."""


class Known(Protocol):
    """Somebody who can be written to."""

    mobile: str
    name: str


def chromium_or_skip() -> str:
    """The path of Chromium. Without one, or without its driver, the test is skipped, and fails where CI=true."""
    found = chromium()
    if playwright is None:
        why = "the tests of the page need the package playwright: python3 run.py test installs it where Chromium is"
    elif found is None:
        why = "the tests of the page need Chromium: install Debian's chromium, or set CHROMIUM_BIN"
    else:
        return found
    if browser_is_required():
        pytest.fail(why)
    pytest.skip(why)


@dataclass
class Tab:
    """One person's tab."""

    page: "Page"
    host: str
    mobile: str = field(default_factory=new_mobile)
    name: str = ""
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda said: said.type in ("error", "warning") and self._complained(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    def _complained(self, text: str) -> None:
        if text != NO_WORKER:
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != self.host:
            self.strangers.append(url)

    # ---- the door

    def field(self, label: str) -> "Locator":
        return self.page.get_by_label(label, exact=True)

    def button(self, words: str, exact: bool = True) -> "Locator":
        return self.page.get_by_role("button", name=words, exact=exact)

    async def press(self, words: str) -> None:
        """A button, by what it says."""
        await self.button(words).click()

    async def sign_up(self, name: str) -> "Tab":
        await self.press("No account yet? Sign up")
        await self.fill_sign_up(name, f"+{self.mobile}", PASSWORD)
        self.name = name
        await self.logged_in()
        return self

    async def fill_sign_up(self, name: str, mobile: str, password: str) -> None:
        for label, value in (("Name", name), ("Mobile number", mobile), ("Password", password)):
            await self.field(label).fill(value)
        await self.press("Sign up")

    async def log_in(self, password: str = PASSWORD) -> None:
        await self.fill_log_in(self.mobile, password)
        await self.logged_in()

    async def fill_log_in(self, mobile: str, password: str) -> None:
        await self.field("Mobile number").fill(mobile)
        await self.field("Password").fill(password)
        await self.press("Log in")

    async def at_the_door(self, why: str = "") -> None:
        """With this sentence, if there is one."""
        await self.is_visible("main.door")
        if why:
            await playwright.expect(self.page.locator(".door .left")).to_contain_text(why)

    async def logged_in(self) -> None:
        await self.sees("#my-name", self.name)
        await self.is_connected()

    async def is_connected(self) -> None:
        await self.until("window.wm.state.name === 'online'")

    # ---- chats

    async def open(self, other: Known) -> None:
        """Starts the chat, or goes on with it."""
        await self.find(other.mobile)
        await self.sees("#chat-name", other.name)

    async def find(self, written: str) -> None:
        await self.page.fill("#find", written)
        await self.page.press("#find", "Enter")

    async def choose(self, other: Known) -> None:
        """From the list."""
        await self.page.click(f'#list a[data-mobile="{other.mobile}"]')
        await self.sees("#chat-name", other.name)

    async def block(self) -> None:
        await self.from_menu("Block", "Block")
        await self.is_visible("#barred")

    async def unblock(self) -> None:
        await self.page.click("#barred button")
        await self.confirm("Unblock")
        await self.is_visible("#write")

    async def write(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def ticks(self, *words: str) -> None:
        """What became of one's own messages, in their order."""
        await playwright.expect(self.page.locator(".m.mine .state")).to_have_text(list(words))

    async def shows(self, *texts: str) -> None:
        """The others' messages, in their order, as written."""
        await playwright.expect(self.page.locator(".m:not(.mine) > p")).to_have_text(list(texts))

    async def has_typed(self, text: str) -> None:
        """What is in the box for the next message."""
        await playwright.expect(self.page.locator("#text")).to_have_value(text)

    async def from_menu(self, words: str, confirmed: str = "") -> None:
        """Chosen from the menu of the open chat. ``confirmed`` is the button of the question that follows."""
        await self.press("More about this chat")
        await self.page.get_by_role("menuitem", name=words).click()
        if confirmed:
            await self.confirm(confirmed)

    async def confirm(self, words: str) -> None:
        """Answers the question that is open with the button of these words."""
        await self.page.get_by_role("dialog").get_by_role("button", name=words, exact=True).click()
        await playwright.expect(self.page.get_by_role("dialog")).to_have_count(0)

    # ---- anywhere

    async def go(self, view: str) -> None:
        """By the address: ``settings/privacy``."""
        await self.page.evaluate("(view) => (location.hash = `#/${view}`)", view)

    async def settings(self, view: str, heading: str) -> None:
        """One page of the settings, by its place in the address; until it is there."""
        await self.go(f"settings/{view}")
        await playwright.expect(self.page.get_by_role("heading", level=1, name=heading, exact=True)).to_be_visible()

    async def says(self, words: str) -> None:
        """Somewhere on the page, now or soon."""
        await playwright.expect(self.page.get_by_text(words).first).to_be_visible()

    async def sees(self, where: str, text: str) -> None:
        """This very text, now or soon."""
        await playwright.expect(self.page.locator(where)).to_have_text(text)

    async def is_hidden(self, where: str) -> None:
        await playwright.expect(self.page.locator(where)).to_be_hidden()

    async def is_visible(self, where: str) -> None:
        await playwright.expect(self.page.locator(where)).to_be_visible()

    async def until(self, condition: str, seconds: float = 15) -> None:
        """Playwright's own way to wait for a condition needs eval(), which the page's policy forbids."""
        async with asyncio.timeout(seconds):
            while not await self.page.evaluate(condition):
                await asyncio.sleep(0.02)

    async def click_if_there(self, where: str) -> None:
        """Without waiting for what may be gone by now."""
        await self.page.evaluate("(where) => document.querySelector(where)?.click()", where)

    async def look_again(self) -> None:
        """The person comes back to the window."""
        await self.page.evaluate("window.dispatchEvent(new Event('focus'))")

    async def reload(self) -> None:
        await self.page.reload()
        await self.logged_in()

    async def nothing_went_wrong(self) -> None:
        assert (self.complaints, self.strangers) == ([], [])
        assert await self.page.evaluate("window.violations") == []

    def forgive(self, *parts: str) -> None:
        """Chromium complains of each refusal: of those that a test causes on purpose nothing is said."""
        self.complaints = [text for text in self.complaints if not any(part in text for part in parts)]


async def open_context(browser: "Browser", **how: Any) -> "BrowserContext":
    """A browser profile of its own. ``how``: as ``browser.new_context`` takes it."""
    context = await browser.new_context(**{"service_workers": "block", **how})
    await context.add_init_script(VIOLATIONS)
    return context


async def open_tab(
    browser: "Browser", url: str, judge: Judge | None = None, context: "BrowserContext | None" = None, **how: Any
) -> Tab:
    """A tab in a browser profile of its own, at the door.

    :param judge: stands between the page and the server, for what a real server does only in bad times
    :param context: another tab of this profile instead
    """
    context = context or await open_context(browser, **how)
    made = Tab(await context.new_page(), urlsplit(url).netloc)
    made.watch()
    if judge is not None:
        await made.page.route_web_socket("**", lambda socket: _stand_between(socket, judge))
    await made.page.goto(url)
    return made


async def come(
    browser: "Browser", url: str, name: str, judge: Judge | None = None, mobile: str = "", **how: Any
) -> Tab:
    """Somebody new on a page that knows them already: to sign up on it takes as long as most tests."""
    person = await sign_up(url, name, mobile=mobile)
    return await come_as(browser, url, person, judge, **how)


async def come_as(browser: "Browser", url: str, person: Person, judge: Judge | None = None, **how: Any) -> Tab:
    """Somebody with an account, logged in on the page as a device of its own."""
    made = await open_tab(browser, url, judge, **how)
    made.mobile, made.name = person.mobile, person.name
    form = {"mobileNo": person.mobile, "password": PASSWORD, "deviceId": f"page-{id(made)}", "deviceName": "A page"}
    session = (await request(url, person, "POST", "auth/login", json=form)).raise_for_status().json()
    await made.at_the_door()
    await made.page.evaluate(
        "async (session) => (await import(new URL('web/state.js', document.baseURI))).enter(session)",
        {"url": url} | session,
    )
    await made.logged_in()
    return made


async def another_tab(tab: Tab, where: str = "") -> Tab:
    """In the same browser profile, so of the same account."""
    made = Tab(await tab.page.context.new_page(), tab.host, tab.mobile, tab.name)
    made.watch()
    await made.page.goto(tab.page.url.split("#")[0] + where)
    await made.logged_in()
    return made


@dataclass
class Friend:
    """A person without a page, for somebody on one to talk with: acks what comes, and reads when told to."""

    mobile: str
    name: str
    talk: Talk

    async def shows(self, *texts: str) -> None:
        """What came, in its order."""
        came = await self.talk.wait_all(lambda frame: frame["type"] == "chat", len(texts))
        assert [frame["message"] for frame in came] == list(texts)

    async def writes(self, to: Known, text: str, message_id: str = "m-1") -> None:
        await self.talk.send(type="chat", to=to.mobile, messageId=message_id, message=text)

    async def reads(self) -> None:
        """Everything that came."""
        for frame in self.talk.chats():
            await self.talk.send(type="ack", ackType="read", to=frame["from"], messageId=frame["messageId"])


async def friend(group: ServerGroup, name: str, mobile: str = "") -> Friend:
    """Somebody new, connected."""
    person = await sign_up(group.url, name, mobile=mobile)
    return Friend(person.mobile, name, await person.open(group.ws_url))


def _stand_between(socket: "WebSocketRoute", judge: Judge) -> None:
    server = socket.connect_to_server()

    def on_message(text: str | bytes) -> None:
        if not judge(socket, json.loads(text)):
            server.send(text)

    socket.on_message(on_message)
