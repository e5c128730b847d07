"""People who use the page in a real browser: a tab each, and everything that must not happen in it.

Needs Chromium (see ``tools.devstack.checks``) and the package ``playwright``, but no browser of its own.
"""

import importlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest

from tests.support.people import PASSWORD, Frame, Person, Talk, new_mobile, sign_up
from tests.support.stack import ServerGroup
from tools.devstack.checks import browser_is_required, chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, WebSocketRoute

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
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme != "data" and urlsplit(url).netloc != self.host:
            self.strangers.append(url)

    async def sign_up(self, name: str) -> "Tab":
        self.name = name
        await self.page.click("#to-signup")
        await self.fill_sign_up(name, f"+{self.mobile}", PASSWORD)
        await self.logged_in()
        return self

    async def fill_sign_up(self, name: str, mobile: str, password: str) -> None:
        for field_id, value in (("name", name), ("mobile", mobile), ("password", password)):
            await self.page.fill(f"#signup-{field_id}", value)
        await self.page.click("#signup button.main")

    async def log_in(self) -> None:
        await self.page.fill("#login-mobile", self.mobile)
        await self.page.fill("#login-password", PASSWORD)
        await self.page.click("#login button.main")
        await self.logged_in()

    async def logged_in(self) -> None:
        await self.sees("#my-name", self.name)
        await self.sees("#my-mobile", self.mobile)
        await self.is_hidden("#banner")

    async def open(self, other: Known) -> None:
        await self.find(other.mobile)
        await self.sees("#chat-name", f"{other.name} ({other.mobile})")

    async def find(self, written: str) -> None:
        await self.page.fill("#find-mobile", written)
        await self.page.click("#find button.main")

    async def choose(self, other: Known) -> None:
        """From the list."""
        await self.page.click(f'#list button[data-mobile="{other.mobile}"]')

    async def write(self, text: str) -> None:
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def sees(self, where: str, text: str) -> None:
        """This very text, now or soon."""
        await playwright.expect(self.page.locator(where)).to_have_text(text)

    async def is_hidden(self, where: str) -> None:
        await playwright.expect(self.page.locator(where)).to_be_hidden()

    async def is_visible(self, where: str) -> None:
        await playwright.expect(self.page.locator(where)).to_be_visible()

    async def has_typed(self, text: str) -> None:
        """What is in the box for the next message."""
        await playwright.expect(self.page.locator("#text")).to_have_value(text)

    async def ticks(self, *words: str) -> None:
        """What became of one's own messages, in their order."""
        await playwright.expect(self.page.locator("#log .me .tick")).to_have_text(words)

    async def shows(self, *texts: str) -> None:
        """The others' messages, in their order, as written."""
        lines = self.page.locator("#log .m:not(.me) p")
        await playwright.expect(lines).to_have_text([f"They: {text}" for text in texts])

    async def click_if_there(self, where: str) -> None:
        """Without waiting for what may be gone by now."""
        await self.page.evaluate("(it) => it.hidden || it.click()", await self.page.query_selector(where))

    async def look_again(self) -> None:
        """The person comes back to the window: last seen is asked for anew."""
        await self.page.evaluate("window.dispatchEvent(new Event('focus'))")

    async def nothing_went_wrong(self) -> None:
        assert (self.complaints, self.strangers) == ([], [])
        assert await self.page.evaluate("window.violations") == []


async def open_tab(
    browser: "Browser", url: str, judge: Judge | None = None, person: Person | None = None, **how: Any
) -> Tab:
    """A browser profile of its own, where one logs in.

    :param judge: stands between the page and the server, for what a real server does only in bad times
    :param person: who is logged in on the page already, as after a reload
    """
    context = await browser.new_context(**how)
    await context.add_init_script(VIOLATIONS)
    made = Tab(await context.new_page(), urlsplit(url).netloc)
    made.watch()
    if judge is not None:
        await made.page.route_web_socket("**", lambda socket: _stand_between(socket, judge))
    if person is not None:
        made.mobile, made.name = person.mobile, person.name
        await made.page.add_init_script(_logged_in(person, urlsplit(url).path or "/"))
    await made.page.goto(url)
    return made


async def come(browser: "Browser", url: str, name: str, judge: Judge | None = None, **how: Any) -> Tab:
    """Somebody new on a page that knows them already: to sign up on it takes as long as most tests."""
    made = await open_tab(browser, url, judge, await sign_up(url, name), **how)
    await made.logged_in()
    return made


def _logged_in(person: Person, path: str) -> str:
    """Puts into a new tab, once, what the page keeps of who has logged in."""
    session = json.dumps({"token": person.token, "name": person.name, "mobile": person.mobile})
    return f"""
    if (location.host && !sessionStorage.getItem("come")) {{
        sessionStorage.setItem("come", "1");
        sessionStorage.setItem({json.dumps(f"wm:{path}session")}, {json.dumps(session)});
    }}
    """


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

    async def reads(self) -> None:
        """Everything that came."""
        for frame in self.talk.chats():
            await self.talk.send(type="ack", ackType="read", to=frame["from"], messageId=frame["messageId"])


async def friend(group: ServerGroup, name: str) -> Friend:
    """Somebody new, connected."""
    person = await sign_up(group.url, name)
    return Friend(person.mobile, name, await person.open(group.ws_url))


def _stand_between(socket: "WebSocketRoute", judge: Judge) -> None:
    server = socket.connect_to_server()

    def on_message(text: str | bytes) -> None:
        if not judge(socket, json.loads(text)):
            server.send(text)

    socket.on_message(on_message)
