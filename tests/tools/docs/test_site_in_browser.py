"""The built site in a browser: nothing from outside, no complaint, a search that finds, pages that fit a phone."""

import functools
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import FLAGS, PHONE, chromium_or_skip, playwright

if TYPE_CHECKING:
    from playwright.async_api import Page

SOME_PAGES = ("", "start/", "message-flow/", "clients/", "protocol/", "http/", "comparison/", "architecture/")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Nothing on the test's output."""


@pytest.fixture(scope="module")
def address(built_site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(built_site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
async def page(request: pytest.FixtureRequest, address: str) -> AsyncIterator["Page"]:
    """On a device as the test says. What it asked of others and complained of fails the test."""
    program, wrong = chromium_or_skip(), list[str]()
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=FLAGS)
        made = await (await browser.new_context(**request.param)).new_page()
        made.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(address) else None)
        made.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        made.on("pageerror", lambda error: wrong.append(str(error)))
        yield made
        await browser.close()
    assert wrong == []


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}, PHONE], indirect=True, ids=["dark", "phone"])
async def test_pages_show_without_a_complaint_and_fit(page: "Page", address: str) -> None:
    for name in SOME_PAGES:
        await page.goto(address + name)
        await playwright.expect(page.locator("h1")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
async def test_the_words_of_a_diagram_can_be_read_on_a_phone(page: "Page", address: str) -> None:
    await page.goto(address + "message-flow/")
    picture = await page.locator(".diagram svg").bounding_box()
    assert picture
    assert picture["width"] > 600, "it is scrolled instead of shrunk"


@pytest.mark.parametrize("page", [{"color_scheme": "light"}], indirect=True, ids=["light"])
async def test_one_searches_and_switches_to_dark(page: "Page", address: str) -> None:
    await page.goto(address + "message-flow/")
    await playwright.expect(page.get_by_role("img", name="The ten steps")).to_be_visible()
    body = page.locator("body")
    await playwright.expect(body).to_have_attribute("data-md-color-scheme", "default")
    await page.get_by_title("Switch to dark mode").click()
    await playwright.expect(body).to_have_attribute("data-md-color-scheme", "slate")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("combobox", name="Search").fill("replaceDeviceId")
    await playwright.expect(page.get_by_role("option", name="POST /auth/login")).to_be_visible()
    await page.keyboard.press("Enter")
    await playwright.expect(page.get_by_role("heading", name="POST /auth/login")).to_be_in_viewport()
