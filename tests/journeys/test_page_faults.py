"""What breaks beneath the page: a server process, Redis, the network. Nothing that was written is lost or doubled."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import come, friend, playwright
from tests.support.servers import environment
from tests.support.stack import Stack
from tools.devstack.valkey import Valkey

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


async def test_two_people_talk_on_when_their_server_processes_are_killed(browser: "Browser", stack: Stack) -> None:
    group = stack.start(workers=2)
    asha = await come(browser, group.url, "Asha")
    ravi = await come(browser, group.url, "Ravi")
    await asha.open(ravi)
    await ravi.open(asha)
    before = group.pids
    texts = [f"hello {number}" for number in range(12)]
    for number, text in enumerate(texts):
        await asha.write(text)
        if number in (3, 8):
            group.kill_worker(before[number // 8])
    await asha.ticks(*["Read"] * len(texts))
    await ravi.shows(*texts)
    await ravi.write("all of them")
    await asha.shows("all of them")
    await asha.is_hidden("#banner")
    for each in (asha, ravi):
        each.forgive("WebSocket connection", "Failed to load resource")
        await each.nothing_went_wrong()


async def test_while_redis_is_away_messages_wait_and_then_go_out(
    browser: "Browser", own_valkey: Valkey, database_url: str, tmp_path: "Path"
) -> None:
    with Stack(environment(own_valkey.url, database_url), tmp_path / "logs") as stack:
        group = stack.start(workers=1)
        asha = await come(browser, group.url, "Asha")
        ravi = await friend(group, "Ravi")
        await asha.open(ravi)
        await asha.write("before")
        await asha.ticks("Delivered")
        own_valkey.pause()
        await asha.write("meanwhile")
        await asha.write("and more")
        await asha.sees(".q", "2 waiting")
        await asha.ticks("Delivered", "Waiting", "Waiting")
        own_valkey.resume()
        await asha.ticks(*["Delivered"] * 3)
        await ravi.shows("before", "meanwhile", "and more")
        await asha.is_hidden(".q")


async def test_without_a_network_one_reads_and_writes(browser: "Browser", stack: Stack) -> None:
    group = stack.start(workers=1)
    asha = await come(browser, group.url, "Asha")
    ravi = await friend(group, "Ravi")
    await asha.open(ravi)
    group.kill()
    await playwright.expect(asha.page.locator("#banner")).to_contain_text("Offline. Reconnecting in")
    await asha.sees("#chat-seen", "")
    await asha.write("hello from the underground")
    await asha.ticks("Waiting")
    await asha.sees(".q", "1 waiting")
    asha.forgive("WebSocket connection", "Failed to load resource", "net::ERR")
    await asha.nothing_went_wrong()
