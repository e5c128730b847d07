"""The door of the page: signing up, logging in, codes, forgotten passwords, too many devices, several accounts."""

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.axe import found_in_any_colours
from tests.support.browser import Tab, come, come_as, open_context, open_tab, playwright
from tests.support.people import PASSWORD, Person, new_mobile, on_device, request, sign_up
from tests.support.stack import ServerGroup, Stack

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
REFUSED = "Failed to load resource"


@pytest.fixture(scope="module")
def with_codes(lasting_stack: Stack) -> ServerGroup:
    """A server that wants codes, and prints them."""
    return lasting_stack.start(workers=1, SIGNUP_CODE="log")


def codes(group: ServerGroup) -> list[str]:
    return re.findall(r'"code": "([0-9]{6})"', group.log_text())


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def wrong(tab: Tab, label: str, words: str) -> None:
    """This is said beside the field, which has the focus."""
    field = tab.field(label)
    await playwright.expect(field).to_be_focused()
    await playwright.expect(field).to_have_attribute("aria-invalid", "true")
    await playwright.expect(field).to_have_accessible_description(re.compile(words))


async def test_a_refusal_of_a_field_stands_beside_the_field(browser: "Browser", product: ServerGroup) -> None:
    asha = await sign_up(product.url, "Asha")
    ravi = await open_tab(browser, product.url)
    await ravi.press("Log in")
    await wrong(ravi, "Mobile number", "Enter a mobile number")
    await ravi.press("No account yet? Sign up")
    await ravi.fill_sign_up("⠀⠀⠀", f"+{ravi.mobile}", PASSWORD)
    await wrong(ravi, "Name", "The name takes 3 to 64")
    await ravi.fill_sign_up("Ravi", "12", PASSWORD)
    await wrong(ravi, "Mobile number", "10 to 15 digits")
    await playwright.expect(ravi.field("Name")).not_to_have_attribute("aria-invalid", "true")
    await ravi.fill_sign_up("Ravi", asha.mobile, PASSWORD)
    await wrong(ravi, "Mobile number", "exists already")
    await ravi.fill_sign_up("Ravi", f"+{ravi.mobile}", "short")
    await wrong(ravi, "Password", "The password is a string of at least 6|The password")
    await ravi.press("I have an account: log in")
    await ravi.fill_log_in(asha.mobile, "wrong password")
    await ravi.says("The mobile number or the password is wrong.")
    ravi.forgive(REFUSED)
    await ravi.nothing_went_wrong()


async def test_password_managers_find_what_they_need(browser: "Browser", product: ServerGroup) -> None:
    """By the attributes of HTML, section 4.10.18.7: the number is the name, and each password says what it is for."""
    tab = await open_tab(browser, product.url)
    number, password = tab.field("Mobile number"), tab.field("Password")
    await playwright.expect(number).to_have_attribute("autocomplete", "username")
    await playwright.expect(password).to_have_attribute("autocomplete", "current-password")
    await tab.press("Show: Password")
    await playwright.expect(password).to_have_attribute("type", "text")
    await tab.press("No account yet? Sign up")
    await playwright.expect(tab.field("Password")).to_have_attribute("autocomplete", "new-password")
    await playwright.expect(tab.field("Password")).to_have_attribute("type", "password")


async def test_a_number_is_proven_by_a_code(browser: "Browser", with_codes: ServerGroup) -> None:
    asha = await open_tab(browser, with_codes.url)
    await asha.press("No account yet? Sign up")
    await asha.fill_sign_up("Asha", f"+{asha.mobile}", PASSWORD)
    await asha.says("Is this number yours?")
    first = codes(with_codes)[-1]
    await playwright.expect(asha.button("Send another code")).to_be_disabled()
    await asha.field("Code of six digits").fill(other_than(first))
    await asha.press("Sign up")
    await wrong(asha, "Code of six digits", "The code is wrong")
    assert await found_in_any_colours(asha.page) == []
    await asha.press("Change the number")
    await playwright.expect(asha.field("Name")).to_have_value("Asha")
    await asha.field("Password").fill(PASSWORD)
    await asha.press("Sign up")
    await asha.says("Is this number yours?")
    second = codes(with_codes)[-1]
    assert second != first
    await asha.field("Code of six digits").fill(second)
    await asha.press("Sign up")
    asha.name = "Asha"
    await asha.logged_in()
    asha.forgive(REFUSED)
    await asha.nothing_went_wrong()


async def test_another_code_is_sent_after_a_while(browser: "Browser", with_codes: ServerGroup) -> None:
    ravi = await open_tab(browser, with_codes.url)
    await ravi.page.clock.install()
    await ravi.press("No account yet? Sign up")
    await ravi.fill_sign_up("Ravi", f"+{ravi.mobile}", PASSWORD)
    again = ravi.button("Send another code")
    await playwright.expect(again).to_be_disabled()
    await ravi.says("in 30 seconds")
    sent = len(codes(with_codes))
    await ravi.page.clock.run_for(31_000)
    await again.click()
    await ravi.says("Another code was sent. The one before is void.")
    assert len(codes(with_codes)) == sent + 1


async def test_a_forgotten_password_is_replaced_with_a_code(browser: "Browser", with_codes: ServerGroup) -> None:
    asha = await open_tab(browser, with_codes.url)
    await asha.press("No account yet? Sign up")
    await asha.fill_sign_up("Asha", f"+{asha.mobile}", PASSWORD)
    await asha.says("Is this number yours?")
    await asha.field("Code of six digits").fill(codes(with_codes)[-1])
    await asha.press("Sign up")
    asha.name = "Asha"
    await asha.logged_in()
    elsewhere = await open_tab(browser, with_codes.url)
    elsewhere.mobile, elsewhere.name = asha.mobile, "Asha"
    await elsewhere.press("Forgotten password?")
    await elsewhere.field("Mobile number").fill(f"+{asha.mobile}")
    await elsewhere.press("Send the code")
    await elsewhere.says("Choose a new password")
    assert await found_in_any_colours(elsewhere.page) == []
    await elsewhere.field("Code of six digits").fill(codes(with_codes)[-1])
    await elsewhere.field("New password").fill("another horse")
    await elsewhere.press("Set the password and log in")
    await elsewhere.logged_in()
    await asha.at_the_door("You were logged out: on another device, or because the password was changed.")
    await elsewhere.nothing_went_wrong()


async def test_another_number_is_proven_by_a_code_too(browser: "Browser", with_codes: ServerGroup) -> None:
    asha = await open_tab(browser, with_codes.url)
    await asha.press("No account yet? Sign up")
    await asha.fill_sign_up("Asha", f"+{asha.mobile}", PASSWORD)
    await asha.says("Is this number yours?")
    await asha.field("Code of six digits").fill(codes(with_codes)[-1])
    await asha.press("Sign up")
    asha.name, asha.mobile = "Asha", new_mobile()
    await asha.logged_in()
    await asha.settings("number", "Mobile number")
    await asha.field("New mobile number").fill(f"+{asha.mobile}")
    await asha.field("Password").fill(PASSWORD)
    await asha.press("Change the number")
    await playwright.expect(asha.field("Code of six digits")).to_be_visible()
    assert await found_in_any_colours(asha.page) == []
    await asha.field("Code of six digits").fill(codes(with_codes)[-1])
    await asha.press("Change the number")
    await asha.says("Your number is")
    await asha.go("")
    await playwright.expect(asha.page.locator("#my-mobile")).to_have_text(re.compile(asha.mobile[-3:]))
    await asha.is_connected()


async def test_where_no_codes_are_sent_the_page_says_so(browser: "Browser", product: ServerGroup) -> None:
    tab = await open_tab(browser, product.url)
    await tab.press("Forgotten password?")
    await tab.field("Mobile number").fill(f"+{tab.mobile}")
    await tab.press("Send the code")
    await tab.says("Passwords cannot be reset here")
    await playwright.expect(tab.page.get_by_role("heading", name="Passwords cannot be reset here")).to_be_focused()
    await tab.press("Back to logging in")
    await playwright.expect(tab.button("Log in")).to_be_visible()


async def test_of_too_many_devices_one_is_replaced(browser: "Browser", product: ServerGroup) -> None:
    asha = await sign_up(product.url, "Asha", "device-0")
    others = {0: asha} | {n: await on_device(product.url, asha, f"device-{n}") for n in range(1, 5)}
    tab = await open_tab(browser, product.url)
    tab.mobile, tab.name = asha.mobile, "Asha"
    await tab.fill_log_in(asha.mobile, PASSWORD)
    await tab.says("No room for another device")
    choices = tab.page.get_by_role("radio")
    await playwright.expect(choices).to_have_count(5)
    assert await found_in_any_colours(tab.page) == []
    await tab.page.locator('input[value="device-2"]').check()
    await tab.press("Replace it and log in")
    await tab.logged_in()
    gone = [n for n, one in others.items() if (await request(product.url, one, "GET", "/v1/me")).status_code == 401]
    assert gone == [2]
    tab.forgive(REFUSED)
    await tab.nothing_went_wrong()


async def test_a_browser_knows_several_accounts(browser: "Browser", product: ServerGroup) -> None:
    context = await open_context(browser)
    asha = await (await open_tab(browser, product.url, context=context)).sign_up("Asha")
    await asha.go("settings")
    await asha.press("Another account in this window")
    await asha.press("Another account")
    ravi = await sign_up(product.url, "Ravi")
    asha.mobile, asha.name = ravi.mobile, "Ravi"
    await asha.log_in()
    other = await open_tab(browser, product.url, context=context)
    await other.sees("#my-name", "Ravi")  # the one used last
    await other.go("settings")
    await other.press("Another account in this window")
    await other.button("Asha", exact=False).first.click()
    await other.sees("#my-name", "Asha")
    await asha.reload()  # the first window keeps to its own
    await other.go("settings")
    await other.press("Another account in this window")
    await other.press("Remove Ravi from this browser")
    await other.confirm("Remove")
    await playwright.expect(other.button("Ravi", exact=False)).to_have_count(0)
    await other.nothing_went_wrong()


async def test_somebody_who_was_logged_out_reads_why_and_comes_back_as_the_same_device(
    browser: "Browser", product: ServerGroup
) -> None:
    person = await sign_up(product.url, "Asha")
    asha = await come_as(browser, product.url, person)
    before = await devices(product, person)
    (session,) = [
        one["id"]
        for one in (await request(product.url, person, "GET", "/v1/sessions")).json()["data"]
        if not one["current"]
    ]
    (await request(product.url, person, "DELETE", f"/v1/sessions/{session}")).raise_for_status()
    await asha.at_the_door("You were logged out")
    await asha.button("Asha", exact=False).first.click()
    await playwright.expect(asha.field("Mobile number")).to_have_value(f"+{asha.mobile}")
    await asha.field("Password").fill(PASSWORD)
    await asha.press("Log in")
    await asha.logged_in()
    assert await devices(product, person) == before


async def devices(group: ServerGroup, person: Person) -> set[str]:
    listed = (await request(group.url, person, "GET", "/v1/devices")).json()["data"]
    return {one["deviceId"] for one in listed}


async def test_an_address_is_opened_after_the_log_in(browser: "Browser", product: ServerGroup) -> None:
    """As one comes to it by a link."""
    asha = await come(browser, product.url, "Asha")
    await asha.settings("privacy", "Privacy")
    await asha.page.evaluate("import(new URL('web/state.js', document.baseURI)).then((it) => it.switchAccount())")
    await asha.button("Asha", exact=False).first.click()
    await playwright.expect(asha.page.get_by_role("heading", name="Privacy", level=1)).to_be_visible()


AGENTS = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
    "Safari/537.36": "Chrome on Linux",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 "
    "Edg/140.0.0.0": "Edge on Windows",
    "Mozilla/5.0 (Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0": "Firefox on Android",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Mobile/15E148 Safari/604.1": "Safari on iPhone",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Safari/605.1.15": "Safari on Mac",
    "Something/1.0": "Browser",
}


async def test_a_device_has_the_name_of_its_browser_and_system(browser: "Browser", product: ServerGroup) -> None:
    tab = await open_tab(browser, product.url)
    ask = """async (all) => {
        const { deviceName } = await import(new URL("web/device-name.js", document.baseURI));
        return all.map((userAgent) => deviceName({ userAgent, maxTouchPoints: 0 }));
    }"""
    assert await tab.page.evaluate(ask, list(AGENTS)) == list(AGENTS.values())
    mac = next(agent for agent in AGENTS if "Macintosh" in agent)
    touched = ask.replace("maxTouchPoints: 0", "maxTouchPoints: 5")
    assert await tab.page.evaluate(touched, [mac]) == ["Safari on iPad"]
