"""Several tabs of one account: one holds the socket, the others follow, and no person notices which is which."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Tab, another_tab, come, come_as, friend, open_tab, playwright
from tests.support.people import PASSWORD, sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
ENTER = """
async (session) => {
    const { enter, switchAccount } = await import("./web/state.js");
    await switchAccount();
    await enter(session);
}
"""


async def sockets(tab: Tab) -> list[str]:
    """Those that this tab opens from now on."""
    opened: list[str] = []
    tab.page.on("websocket", lambda socket: opened.append(socket.url))
    return opened


async def test_a_tab_that_follows_sends_reads_and_shows_what_comes(browser: "Browser", product: ServerGroup) -> None:
    leader = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await leader.open(ravi)
    follower = await another_tab(leader, f"#/chat/{ravi.mobile}")
    opened = await sockets(follower)
    await follower.sees("#chat-seen", "online")
    await follower.write("from the second tab")
    await follower.ticks("Delivered")
    await leader.ticks("Delivered")
    await ravi.shows("from the second tab")
    await ravi.talk.send(type="typing", to=leader.mobile, active=True)
    await follower.sees("#log .typing", "Ravi is typing…")
    await leader.page.evaluate("document.hasFocus = () => false")
    await ravi.writes(leader, "hello")
    await follower.shows("hello")
    await ravi.talk.wait(lambda frame: frame.get("ackType") == "read")
    await leader.shows("hello")
    await leader.is_hidden("#list .badge")
    await follower.page.locator("#text").press_sequentially("he")
    await ravi.talk.wait(lambda frame: frame["type"] == "typing" and frame["active"])
    assert opened == []
    for each in (leader, follower):
        await each.nothing_went_wrong()


async def test_when_the_leader_closes_another_tab_takes_over(browser: "Browser", product: ServerGroup) -> None:
    leader = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await leader.open(ravi)
    follower = await another_tab(leader, f"#/chat/{ravi.mobile}")
    opened = await sockets(follower)
    await leader.page.close()
    await follower.write("still here")
    await follower.ticks("Delivered")
    await ravi.shows("still here")
    await ravi.writes(follower, "hello")
    await follower.shows("hello")
    await follower.sees("#chat-seen", "online")
    await follower.is_hidden("#banner")
    assert len(opened) == 1
    await follower.nothing_went_wrong()


async def test_what_waits_in_a_follower_goes_out_when_it_leads(browser: "Browser", product: ServerGroup) -> None:
    """The leader is gone before it heard of the message."""
    leader = await come(browser, product.url, "Asha")
    ravi = await friend(product, "Ravi")
    await leader.open(ravi)
    follower = await another_tab(leader, f"#/chat/{ravi.mobile}")
    await leader.page.evaluate("(async () => (await import('./web/opened.js')).byLeader('stop'))()")
    await follower.write("hello")
    await follower.ticks("Waiting")
    await follower.sees(".q", "1 waiting")
    await leader.page.close()
    await follower.ticks("Delivered")
    await ravi.shows("hello")


@pytest.mark.parametrize("goes", ["leader", "follower"])
async def test_a_log_out_is_one_of_all_tabs(browser: "Browser", product: ServerGroup, goes: str) -> None:
    """Each says the same, though the server closes the socket of the leader before it answers. Nothing stays."""
    leader = await come(browser, product.url, "Asha")
    follower = await another_tab(leader)
    one, other = (leader, follower) if goes == "leader" else (follower, leader)
    await one.settings("logout", "Log out")
    await one.page.get_by_role("switch").check()
    await one.press("Log out")
    await one.at_the_door("You are logged out.")
    await other.at_the_door("You are logged out.")
    await one.until("async () => (await indexedDB.databases()).length === 0")
    for each in (one, other):
        await each.nothing_went_wrong()


async def test_two_windows_that_share_a_device_do_not_fight(browser: "Browser", product: ServerGroup) -> None:
    """Two browsers with a copy of one profile: the newer connection replaces the older, which waits for the person."""
    person = await sign_up(product.url, "Asha")
    first = await come_as(browser, product.url, person)
    session = await first.page.evaluate(
        "(async () => (await (await import('./web/opened.js')).store.value.load()).session)()"
    )
    second = await come(browser, product.url, "Somebody")
    await second.page.evaluate(ENTER, session)
    banner = playwright.expect(first.page.locator("#banner"))
    await banner.to_contain_text("in use in another window")
    await first.page.get_by_role("button", name="Use it here").click()
    await first.is_connected()
    await playwright.expect(second.page.locator("#banner")).to_contain_text("in use in another window")
    await first.is_hidden("#banner")
    assert PASSWORD not in await first.page.content()


async def test_a_profile_is_a_slot_of_its_own(browser: "Browser", product: ServerGroup) -> None:
    """Two people side by side in one browser, as in the demo."""
    asha = await (await open_tab(browser, f"{product.url}/?profile=asha")).sign_up("Asha")
    ravi = Tab(await asha.page.context.new_page(), asha.host)
    ravi.watch()
    await ravi.page.goto(f"{product.url}/?profile=ravi")
    await ravi.at_the_door()
    await ravi.sign_up("Ravi")
    await asha.page.bring_to_front()
    await asha.open(ravi)
    await asha.write("hello")
    await ravi.choose(asha)
    await ravi.shows("hello")
    await ravi.reload()
    await ravi.shows("hello")
