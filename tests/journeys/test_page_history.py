"""A long history: it is opened, scrolled, searched and jumped in, and never on the screen as a whole."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Friend, Tab, come, friend, playwright
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
COUNT = 10_000
KEEP = """
async ([peer, count]) => {
    const { store } = await import("./web/opened.js");
    const begin = Date.now() - count * 60_000;
    for (let at = 0; at < count; at += 2_000) {
        const numbers = Array.from({ length: 2_000 }, (_, n) => at + n);
        const messages = numbers.map((n) => ({
            id: `h-${n}`, peer, mine: n % 3 === 0, text: `message ${n} ${"and more words ".repeat(n % 7)}`,
            timestamp: begin + n * 60_000, state: n % 3 === 0 ? "read" : "new", streamId: `${n + 1}-0`,
        }));
        await store.value.apply(messages.map((message) => ({ kind: message.mine ? "own" : "chat", message })));
        await store.value.apply([{ kind: "ownRead", peer, ids: messages.map(({ id }) => id) }]);
    }
}
"""
SCROLL = """
async (wanted) => {
    const log = document.querySelector("#log");
    const times = [];
    let most = 0;
    for (let last = performance.now(); !log.textContent.includes(wanted); ) {
        log.scrollTop -= 1_500;
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - last);
        last = performance.now();
        most = Math.max(most, log.querySelectorAll(".m").length);
    }
    times.sort((a, b) => a - b);
    return { most, frames: times.length, median: times[times.length >> 1], worst: times.at(-1) };
}
"""
IN_VIEW = """
() => [...document.querySelectorAll("#log .m")].find((m) => m.getBoundingClientRect().top > 150).dataset.n
"""
OPEN = """
async () => {
    const begin = performance.now();
    document.querySelector("#list a").click();
    while (!document.querySelector("#log .m")) await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    return performance.now() - begin;
}
"""


async def long_chat(browser: "Browser", product: ServerGroup) -> tuple[Tab, Friend]:
    """Asha has 10,000 messages with Ravi."""
    asha = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.page.evaluate(KEEP, [ravi.mobile, COUNT])
    await asha.page.evaluate("history.back()")
    await asha.is_visible("#nobody")
    return asha, ravi


async def place(tab: Tab, n: str) -> float:
    box = await tab.page.locator(f'#log .m[data-n="{n}"]').bounding_box()
    assert box is not None
    return box["y"]


async def test_ten_thousand_messages_are_opened_and_scrolled(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi = await long_chat(browser, product)
    opened = await asha.page.evaluate(OPEN)
    bubbles = asha.page.locator("#log .m")
    await playwright.expect(bubbles.last).to_contain_text(f"message {COUNT - 1}")
    assert await bubbles.count() <= 120
    scrolled = await asha.page.evaluate(SCROLL, f"message {COUNT - 2_000} ")
    print(f"opened in {opened:.0f} ms; {scrolled}")
    assert scrolled["most"] <= 300, "the rest is not in the document"

    seen = await asha.page.evaluate(IN_VIEW)
    before = await place(asha, seen)
    await ravi.writes(asha, "hello")
    await asha.sees("#newer", "1 new")
    assert await place(asha, seen) == pytest.approx(before, abs=2), "it stays where it was"
    await asha.page.click("#newer")
    await playwright.expect(bubbles.last).to_contain_text("hello")
    await ravi.talk.wait(lambda frame: frame.get("ackType") == "read")
    await asha.is_hidden("#newer")
    await asha.nothing_went_wrong()


async def test_something_said_long_ago_is_found(browser: "Browser", product: ServerGroup) -> None:
    asha, _ = await long_chat(browser, product)
    await asha.page.fill("#find", "Message 4321")
    hit = asha.page.locator("#list button.row")
    await playwright.expect(hit).to_have_count(1)
    await asha.page.press("#find", "Enter")
    found = asha.page.locator("#log .m.hit")
    await playwright.expect(found).to_contain_text("message 4321")
    await playwright.expect(found).to_be_in_viewport()
    await playwright.expect(found.locator("mark")).to_have_text("message 4321")

    await asha.from_menu("Search in this chat")
    await playwright.expect(asha.page.locator("#find-in-chat")).to_be_focused()
    await asha.page.keyboard.type("message 77")
    await asha.sees(".in-chat output", "1 of 111")
    await playwright.expect(found).to_contain_text("message 7799")
    await asha.page.keyboard.press("Enter")
    await asha.sees(".in-chat output", "2 of 111")
    await playwright.expect(found).to_contain_text("message 7798")
    await playwright.expect(found).to_be_in_viewport()
    await asha.page.keyboard.press("Escape")
    await asha.is_hidden(".in-chat")
    await asha.nothing_went_wrong()


async def test_a_cleared_chat_is_gone_and_does_not_come_back(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await ravi.writes(asha, "hello")
    await asha.choose(ravi)
    await asha.shows("hello")
    await asha.from_menu("Clear this chat", "Clear")
    await asha.shows()
    await asha.reload()
    await asha.shows()
    await ravi.writes(asha, "again", "m-2")
    await asha.shows("again")
