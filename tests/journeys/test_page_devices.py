"""The page shows what its person does on another device."""

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import come, playwright
from tests.support.people import Person, on_device, sign_up
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


async def test_what_another_device_sends_and_reads_is_on_the_page(browser: "Browser", product: ServerGroup) -> None:
    ravi = await sign_up(product.url, "Ravi")
    talk = await ravi.open(product.ws_url)
    asha = await come(browser, product.url, "Asha")
    phone_of_asha = await on_device(product.url, Person(asha.mobile, "", "Asha"), "phone")
    phone = await phone_of_asha.open(product.ws_url)
    await phone.chat(ravi, "p1", "from the phone")
    await playwright.expect(asha.page.locator("#list .last")).to_contain_text("from the phone")
    await talk.chat(phone_of_asha, "r1", "an answer")
    await asha.sees("#list .badge", "1 unread")
    await phone.send(type="ack", ackType="read", to=ravi.mobile, messageId="r1")
    await asha.is_hidden("#list .badge")
    await asha.page.click("#list a")
    await playwright.expect(asha.page.locator("#log .m.mine")).to_have_count(1)
    await playwright.expect(asha.page.locator("#log .m:not(.mine)")).to_have_count(1)
    await asha.nothing_went_wrong()
    await talk.end()
    await phone.end()
