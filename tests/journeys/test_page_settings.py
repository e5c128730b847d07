"""The settings on the page: what they change is seen by the person, by others and by the server."""

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Tab, come, come_as, friend, open_tab, playwright
from tests.support.people import PASSWORD, new_mobile, on_device, request, sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
REFUSED = "Failed to load resource"


def row(tab: Tab, words: str) -> "Locator":
    """A row of a list that says this."""
    return tab.page.locator(".rows > li").filter(has_text=words)


def switch(tab: Tab, words: str) -> "Locator":
    return tab.page.get_by_role("switch", name=words, exact=True)


async def test_the_profile_is_what_others_see(browser: "Browser", product: ServerGroup) -> None:
    ravi = await sign_up(product.url, "Ravi")
    asha = await come(browser, product.url, "Asha")
    await asha.settings("profile", "Profile")
    await asha.field("Name").fill("Asha Rao")
    await asha.field("About you").fill("At the sea")
    await asha.press("Save")
    await asha.says("Saved.")
    await asha.sees(".me strong", "Asha Rao")
    found = await request(product.url, ravi, "POST", "/v1/people/lookup", json={"mobileNos": [asha.mobile]})
    assert [(one["name"], one["about"]) for one in found.json()["data"]] == [("Asha Rao", "At the sea")]
    await asha.field("Name").fill("A\u0430sha")
    await asha.press("Save")
    await playwright.expect(asha.field("Name")).to_have_accessible_description(re.compile("The name takes 3 to 64"))
    await asha.go("")
    asha.name = "Asha Rao"
    await asha.reload()
    asha.forgive(REFUSED)
    await asha.nothing_went_wrong()


async def test_what_privacy_hides_others_do_not_see(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await come(browser, product.url, "Ravi")
    await ravi.open(asha)
    await ravi.sees("#chat-seen", "online")
    await asha.settings("privacy", "Privacy")
    hidden = asha.page.get_by_role("group", name="Who sees that I am online, and that I type?")
    await playwright.expect(hidden.get_by_label("Everyone")).to_be_checked()
    await hidden.get_by_label("Nobody").check()
    await asha.says("Saved.")
    await playwright.expect(ravi.page.locator("#chat-seen")).not_to_have_text("online")
    await switch(asha, "Tell others that I read their messages").uncheck()
    await asha.says("Saved.")
    await ravi.write("hello")
    await asha.go("")
    await asha.choose(ravi)
    await asha.shows("hello")
    await asha.write("hello you")
    await ravi.shows("hello you")
    await ravi.ticks("Delivered")
    await asha.ticks("Delivered")  # it works both ways
    await asha.settings("privacy", "Privacy")
    await playwright.expect(switch(asha, "Tell others that I read their messages")).not_to_be_checked()
    await playwright.expect(hidden.get_by_label("Nobody")).to_be_checked()
    for each in (asha, ravi):
        await each.nothing_went_wrong()


async def test_a_privacy_that_is_not_kept_goes_back(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    await asha.settings("privacy", "Privacy")
    receipts = switch(asha, "Send ticks to people I never wrote to")
    await playwright.expect(receipts).to_be_checked()
    await asha.page.route("**/v1/privacy", lambda route: route.abort())
    await receipts.click()
    await asha.says("The server cannot be reached.")
    await playwright.expect(receipts).to_be_checked()


async def test_a_device_is_unlinked(browser: "Browser", product: ServerGroup) -> None:
    person = await sign_up(product.url, "Asha", "old-phone")
    await (await person.open(product.ws_url)).end()  # from now on it has its own copy of what waits
    asha = await come_as(browser, product.url, person)
    ravi = await friend(product, "Ravi")
    await ravi.writes(asha, "hello")
    await asha.is_visible(f'#list a[data-mobile="{ravi.mobile}"]')
    await asha.settings("devices", "Devices")
    await playwright.expect(row(asha, "A page")).to_contain_text("this one")
    await playwright.expect(row(asha, "A page")).to_contain_text("online now")
    await playwright.expect(row(asha, "Device without a name")).to_contain_text("1 waiting for it")
    await asha.press("Unlink Device without a name")
    await asha.confirm("Unlink")
    await playwright.expect(asha.page.locator(".rows > li")).to_have_count(1)
    assert (await request(product.url, person, "GET", "/v1/me")).status_code == 401
    await asha.nothing_went_wrong()


async def test_sessions_end_one_by_one_and_all_at_once(browser: "Browser", product: ServerGroup) -> None:
    person = await sign_up(product.url, "Asha", "first")
    asha = await come_as(browser, product.url, person)
    other = await on_device(product.url, person, "second")
    await asha.settings("sessions", "Sessions")
    rows = asha.page.locator(".rows > li")
    await playwright.expect(rows).to_have_count(3)
    await rows.filter(has_not_text="this one").first.get_by_role("button").click()
    await playwright.expect(rows).to_have_count(2)
    await asha.press("Log out everywhere else")
    await asha.confirm("Log out")
    await playwright.expect(rows).to_have_count(1)
    for each in (person, other):
        assert (await request(product.url, each, "GET", "/v1/me")).status_code == 401
    await asha.press("Log out everywhere, here too")
    await asha.confirm("Log out")
    await asha.at_the_door("You are logged out.")
    await asha.nothing_went_wrong()


async def test_what_happened_is_told_in_words(browser: "Browser", product: ServerGroup) -> None:
    person = await sign_up(product.url, "Asha", "first")
    for _ in range(60):
        await on_device(product.url, person, "second")
    asha = await come_as(browser, product.url, person)
    bad = {"mobileNo": asha.mobile, "password": "wrong password"}
    assert (await request(product.url, person, "POST", "/auth/login", json=bad)).status_code == 401
    async with asyncio.timeout(10):
        while "connect" not in {
            one["kind"] for one in (await request(product.url, person, "GET", "/v1/events")).json()["data"]
        }:
            await asyncio.sleep(0.1)  # these are written in bulk
    await asha.settings("events", "What happened")
    lines = asha.page.locator(".events > li")
    await playwright.expect(lines.first).to_contain_text("A log-in with a wrong password")
    await playwright.expect(lines.nth(1)).to_contain_text("A log-in")
    await playwright.expect(lines.nth(1)).to_contain_text("A page")
    before = await lines.count()
    await asha.press("Show older ones")
    await playwright.expect(lines).not_to_have_count(before)
    assert await lines.count() > before
    await playwright.expect(lines.filter(has_text="Connected")).to_have_count(0)
    await switch(asha, "Show connections, too").check()
    await playwright.expect(lines.filter(has_text="Connected").first).to_be_visible()
    await asha.nothing_went_wrong()


async def test_somebody_blocked_is_unblocked(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.from_menu("Block Ravi", "Block")
    await asha.settings("blocked", "Blocked people")
    await asha.press("Unblock Ravi")
    await asha.says("You have blocked nobody.")
    await asha.go(f"chat/{ravi.mobile}")
    await ravi.writes(asha, "now?")
    await asha.shows("now?")
    await asha.nothing_went_wrong()


async def test_the_password_is_changed(browser: "Browser", product: ServerGroup) -> None:
    person = await sign_up(product.url, "Asha", "first")
    asha = await come_as(browser, product.url, person)
    await asha.settings("password", "Password")
    await asha.field("Current password").fill("wrong password")
    await asha.field("New password").fill("another horse")
    await asha.press("Change the password")
    await playwright.expect(asha.field("Current password")).to_be_focused()
    await playwright.expect(asha.field("Current password")).to_have_accessible_description(re.compile("is wrong"))
    await asha.field("Current password").fill(PASSWORD)
    await asha.press("Change the password")
    await asha.says("The password is changed. All other sessions have ended.")
    assert (await request(product.url, person, "GET", "/v1/me")).status_code == 401
    await asha.go("")
    await asha.reload()
    asha.forgive(REFUSED)
    await asha.nothing_went_wrong()


async def test_the_number_is_changed_and_the_messages_stay(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await asha.open(ravi)
    await asha.write("before")
    await ravi.shows("before")
    asha.mobile = new_mobile()
    await asha.settings("number", "Mobile number")
    await asha.field("New mobile number").fill(f"+{asha.mobile}")
    await asha.field("Password").fill(PASSWORD)
    await asha.press("Change the number")
    await asha.says("Your number is")
    await asha.go(f"chat/{ravi.mobile}")
    await asha.ticks("Delivered")
    await ravi.writes(asha, "to the new one")
    await asha.shows("to the new one")
    await asha.reload()
    await asha.shows("to the new one")
    await asha.ticks("Delivered")
    await asha.nothing_went_wrong()


async def downloaded(tab: Tab, words: str) -> dict[str, object]:
    async with tab.page.expect_download() as promised:
        await tab.press(words)
    kept: dict[str, object] = json.loads((await (await promised.value).path()).read_text())
    return kept


async def test_messages_are_exported_and_deleted(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi, meera = (
        await come(browser, product.url, "Asha"),
        *[await friend(product, n) for n in ("Ravi", "Meera")],
    )
    for each in (ravi, meera):
        await each.writes(asha, f"hello from {each.name}")
        await asha.is_visible(f'#list a[data-mobile="{each.mobile}"]')
    await asha.settings("storage", "Messages in this browser")
    history = await downloaded(asha, "Export the messages in this browser")
    assert {one["text"] for one in history["messages"]} == {"hello from Ravi", "hello from Meera"}  # type: ignore[attr-defined]
    assert "token" not in json.dumps(history)
    assert "profile" in await downloaded(asha, "Export what the server holds")
    await asha.press("Delete the messages with Ravi")
    await asha.confirm("Delete")
    await playwright.expect(asha.page.locator(".rows > li")).to_have_count(1)
    await asha.press("Delete all messages in this browser")
    await asha.confirm("Delete")
    await asha.says("All messages in this browser are deleted.")
    await asha.go("")
    await asha.says("No chats yet")
    await ravi.writes(asha, "hello again", "m-2")
    await asha.choose(ravi)
    await asha.shows("hello again")
    await asha.nothing_went_wrong()


async def test_who_logs_out_is_told_what_waits(browser: "Browser", product: ServerGroup) -> None:
    ravi = await friend(product, "Ravi")
    asha = await come(browser, product.url, "Asha", lambda _socket, frame: "chat" in json.dumps(frame))
    await asha.open(ravi)
    await asha.write("later")
    await asha.ticks("Waiting")
    await asha.settings("logout", "Log out")
    await asha.says("1 message waits to be sent. It stays in this browser")
    await asha.press("Log out")
    await asha.at_the_door("You are logged out.")
    await asha.button("Asha", exact=False).first.click()
    await asha.field("Password").fill(PASSWORD)
    await asha.press("Log in")
    await asha.logged_in()
    await asha.choose(ravi)
    await asha.ticks("Waiting")


async def test_who_logs_out_may_leave_nothing_behind(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await ravi.writes(asha, "hello")
    await asha.is_visible(f'#list a[data-mobile="{ravi.mobile}"]')
    await asha.settings("logout", "Log out")
    await switch(asha, "Delete the messages in this browser, too").check()
    await asha.press("Log out")
    await asha.at_the_door("You are logged out.")
    await no_database(asha)
    await asha.log_in()
    await asha.says("No chats yet")
    await asha.nothing_went_wrong()


async def no_database(tab: Tab) -> None:
    await tab.until("async () => (await indexedDB.databases()).length === 0")


async def test_without_the_server_one_can_go_all_the_same(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    await asha.settings("logout", "Log out")
    await asha.page.route("**/auth/logout", lambda route: route.abort())
    await asha.press("Log out")
    await asha.says("The server cannot be reached.")
    await asha.press("Log out in this browser only")
    await asha.at_the_door("You are logged out.")
    await asha.page.reload()
    await asha.button("Asha", exact=False).first.click()
    await playwright.expect(asha.field("Password")).to_be_visible()


async def test_the_account_is_deleted(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    await asha.settings("delete", "Delete account")
    await asha.field("Password").fill("wrong password")
    await asha.press("Delete my account")
    await asha.confirm("Delete for ever")
    await playwright.expect(asha.field("Password")).to_have_accessible_description(re.compile("is wrong"))
    await asha.field("Password").fill(PASSWORD)
    await asha.press("Delete my account")
    await asha.confirm("Delete for ever")
    await asha.at_the_door("Your account is deleted.")
    await no_database(asha)
    stranger = await open_tab(browser, product.url)
    await stranger.fill_log_in(asha.mobile, PASSWORD)
    await stranger.says("The mobile number or the password is wrong.")
    asha.forgive(REFUSED)
    await asha.nothing_went_wrong()


async def test_notifications_say_who_wrote_and_not_what(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi = await come(browser, product.url, "Asha"), await friend(product, "Ravi")
    await asha.page.context.grant_permissions(["notifications"])
    await asha.reload()
    await asha.page.evaluate(
        """() => {
            window.shown = [];
            window.Notification = class { constructor(title, how) { shown.push([title, how.body]); }
              static permission = "granted"; static requestPermission = async () => "granted"; };
        }"""
    )
    await ravi.writes(asha, "before it was wanted")
    await asha.is_visible(f'#list a[data-mobile="{ravi.mobile}"]')
    await asha.settings("notifications", "Notifications")
    await switch(asha, "Tell me of new messages").check()
    await asha.go("")
    await ravi.writes(asha, "while one looks", "m-2")
    await asha.says("while one looks")
    await background(asha)
    await ravi.writes(asha, "a secret", "m-3")
    await asha.until("() => shown.length === 1")
    assert await asha.page.evaluate("shown") == [["Ravi", "3 new messages"]]
    await asha.settings("notifications", "Notifications")
    await switch(asha, "Show what was written").check()
    await ravi.writes(asha, "no secret", "m-4")
    await asha.until("() => shown.length === 2")
    assert await asha.page.evaluate("shown[1]") == ["Ravi", "no secret"]
    await asha.nothing_went_wrong()


async def test_strangers_cannot_flood_notifications(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    strangers = [await friend(product, f"Stranger {number}") for number in range(13)]
    await asha.page.context.grant_permissions(["notifications"])
    await asha.reload()
    await asha.page.evaluate(
        """() => {
            window.shown = [];
            window.Notification = class { constructor(title, how) { shown.push([how.tag, title, how.body]); }
              static permission = "granted"; static requestPermission = async () => "granted"; };
        }"""
    )
    await asha.settings("notifications", "Notifications")
    await switch(asha, "Tell me of new messages").check()
    await background(asha)
    for number in range(5):
        for stranger in strangers:
            await stranger.writes(asha, "buy this", f"m-{number}")
    await asha.until("() => shown.some(([, , body]) => body === 'New messages in 3 more chats')")
    last = "5 new messages"
    await asha.until(f"() => new Set(shown.filter(([, , body]) => body === '{last}').map(([tag]) => tag)).size === 10")
    assert await asha.page.evaluate("new Set(shown.map(([tag]) => tag)).size") == 11
    assert await asha.page.evaluate("shown.length") < 5 * 13
    await asha.nothing_went_wrong()


async def background(tab: Tab) -> None:
    """As when the person looks at something else: Chromium without a screen never says so by itself."""
    await tab.page.evaluate(
        """() => {
            Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )


async def test_about_names_the_version_of_the_server(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha")
    await asha.settings("about", "About")
    await playwright.expect(asha.page.get_by_text(re.compile(r"Version \d+\.\d+\.\d+"))).to_be_visible()
    link = asha.page.get_by_role("link", name="The HTTP interface")
    await playwright.expect(link).to_have_attribute("href", f"{product.url}/docs")
