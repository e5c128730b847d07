"""The store of the JavaScript client in IndexedDB, in real Chromium: the rules of all stores, and its own."""

import re
from collections.abc import AsyncIterator, Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.browser import FLAGS, chromium_or_skip, playwright
from tools.devstack.options import ROOT

CASES = re.findall(
    r"^  async (\w+)\(store\)", (Path(__file__).parent / "store-in-browser.js").read_text(), re.MULTILINE
)
LARGE = "stays_quick_with_100000_messages"
BEGIN = """
async ([module, call, given]) => {
    const { IndexedDBStore } = await import("/clients/js/src/index.js");
    const rules = await import(`/tests/clients/js/${module}`);
    const store = await IndexedDBStore.open(`wm ${Math.random()}`);
    try {
        return await rules[call](store, given);
    } finally {
        await store.close();
        await IndexedDBStore.wipe(store.name);
    }
}
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves the repository's files."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}  # noqa: RUF012 - as there

    def __init__(self, *given: Any) -> None:
        super().__init__(*given, directory=str(ROOT))

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
async def page() -> AsyncIterator[Any]:
    """A page of an origin that serves the repository's files."""
    path = chromium_or_skip()
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        async with playwright.async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=path, args=FLAGS)
            context = await browser.new_context()
            made = await context.new_page()
            await made.goto(f"http://127.0.0.1:{server.server_address[1]}/clients/js/package.json")
            yield made
            await browser.close()
        server.shutdown()


async def test_rules_of_all_stores(page: Any, record_property: Callable[[str, object], None]) -> None:
    results: dict[str, str] = await page.evaluate(BEGIN, ["store-in-browser.js", "allRules", None])
    record_property("cases", len(results))
    assert len(results) >= 20
    assert {name: why for name, why in results.items() if why} == {}


@pytest.mark.parametrize("name", [name for name in CASES if name != LARGE])
async def test_own_rules(page: Any, name: str) -> None:
    await page.evaluate(BEGIN, ["store-in-browser.js", "oneCase", name])


async def test_with_100000_messages(page: Any, record_property: Callable[[str, object], None]) -> None:
    """What is done all the time takes no longer than with few; a bound that only a full load would miss."""
    times: dict[str, int] = await page.evaluate(BEGIN, ["store-in-browser.js", "oneCase", LARGE])
    record_property("ms", times)
    searches = {"search found early", "search for nothing"}
    assert {name: ms for name, ms in times.items() if ms > (15_000 if name in searches else 1_000)} == {}
