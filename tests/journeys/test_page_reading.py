"""A message is told as read when it was seen: in view, in the open chat, of a page that is in front."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Tab, come, playwright
from tests.support.people import Frame, Person, Talk, sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
AWAY = "document.hasFocus = () => false"
BACK = "delete document.hasFocus"


async def send(talk: Talk, reader: Tab, *message_ids: str) -> None:
    """Send these, and wait until the page has them."""
    for message_id in message_ids:
        await talk.send(type="chat", to=reader.mobile, messageId=message_id, message=f"{message_id}\n" * 4)
    await talk.wait(lambda frame: is_receipt(frame, "delivered", message_ids[-1]))


def is_receipt(frame: Frame, ack_type: str, message_id: str) -> bool:
    return frame["type"] == "ack" and frame["ackType"] == ack_type and message_id in frame["messageIds"]


def read(talk: Talk) -> set[str]:
    return {m for frame in talk.frames if frame.get("ackType") == "read" for m in frame["messageIds"]}


async def in_view(reader: Tab) -> set[str]:
    """The messages whose end is above the lower edge of the chat."""
    texts = await reader.page.evaluate(
        "[...document.querySelectorAll('#log .m:not(.mine)')].filter((m) => m.getBoundingClientRect().bottom"
        " <= document.querySelector('#log').getBoundingClientRect().bottom + 4).map((m) => m.innerText)"
    )
    return {text.replace("They:", "").split()[0] for text in texts}


async def start(browser: "Browser", product: ServerGroup) -> tuple[Person, Talk, Tab]:
    ravi = await sign_up(product.url, "Ravi")
    return ravi, await ravi.open(product.ws_url), await come(browser, product.url, "Asha")


async def test_read_is_told_as_far_as_the_person_has_scrolled(browser: "Browser", product: ServerGroup) -> None:
    _, talk, asha = await start(browser, product)
    ids = [f"m{number}" for number in range(20)]
    await send(talk, asha, *ids)
    await asha.sees("#list .badge", "20 unread")
    assert read(talk) == set()
    await asha.page.click("#list a")
    await asha.is_visible("#newer")
    seen = await in_view(asha)
    assert {"m0"} <= seen < set(ids), "the first new one is where the person begins"
    await talk.wait(lambda frame: is_receipt(frame, "read", max(seen, key=ids.index)))
    await asyncio.sleep(0.3)
    assert read(talk) == seen
    await asha.sees("#newer", f"{20 - len(seen)} new")
    async with asyncio.timeout(10):
        while read(talk) != set(ids):
            await asha.click_if_there("#newer")
            await asyncio.sleep(0.05)
    await asha.is_hidden("#newer")
    await asha.is_hidden("#list .badge")

    await asha.page.evaluate("document.querySelector('#log').scrollTop = 0")
    await send(talk, asha, "later")
    await asha.sees("#newer", "1 new")
    await asyncio.sleep(0.3)
    assert "later" not in read(talk)
    await asha.page.click("#newer")
    await talk.wait(lambda frame: is_receipt(frame, "read", "later"))
    await asha.is_hidden("#newer")
    await asha.nothing_went_wrong()
    await talk.end()


async def test_nothing_is_read_on_a_page_that_is_not_in_front(browser: "Browser", product: ServerGroup) -> None:
    _, talk, asha = await start(browser, product)
    await send(talk, asha, "first")
    await asha.page.click("#list a")
    await talk.wait(lambda frame: is_receipt(frame, "read", "first"))
    await asha.page.evaluate(AWAY)
    ids = [f"m{number}" for number in range(20)]
    await send(talk, asha, *ids)
    await playwright.expect(asha.page.locator("#log .m")).to_have_count(21)
    await asyncio.sleep(0.3)
    assert read(talk) == {"first"}
    await asha.page.evaluate(BACK)
    await asha.look_again()
    await talk.wait(lambda frame: is_receipt(frame, "read", "m0"))
    await asyncio.sleep(0.3)
    assert read(talk) == await in_view(asha) < {"first", *ids}, "what came meanwhile did not scroll by unseen"
    await asha.nothing_went_wrong()
    await talk.end()


async def test_at_the_end_of_a_chat_what_comes_is_seen_and_read(browser: "Browser", product: ServerGroup) -> None:
    _, talk, asha = await start(browser, product)
    await send(talk, asha, "m0")
    await asha.page.click("#list a")
    for number in range(1, 10):
        await send(talk, asha, f"m{number}")
        await talk.wait(lambda frame, m=f"m{number}": is_receipt(frame, "read", m))  # type: ignore[misc]
    await asha.is_hidden("#newer")
    await asha.nothing_went_wrong()
    await talk.end()


async def test_more_than_the_page_shows_at_once_begins_where_it_is_new(
    browser: "Browser", product: ServerGroup
) -> None:
    """Nothing of it is told as read that was only loaded."""
    _, talk, asha = await start(browser, product)
    ids = [f"m{number}" for number in range(100)]
    for message_id in ids:
        await talk.send(type="chat", to=asha.mobile, messageId=message_id, message=message_id)
    await talk.wait(lambda frame: is_receipt(frame, "delivered", ids[-1]), 20)
    await asha.sees("#list .badge", "100 unread")
    await asha.page.click("#list a")
    await talk.wait(lambda frame: is_receipt(frame, "read", "m0"))
    await asyncio.sleep(0.5)
    seen = await in_view(asha)
    assert {"m0"} <= read(talk) == seen < set(ids)
    await asha.sees("#newer", f"{100 - len(seen)} new")
    async with asyncio.timeout(20):
        while read(talk) != set(ids):
            await asha.click_if_there("#newer")
            await asyncio.sleep(0.05)
    await talk.end()
