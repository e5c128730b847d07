"""The page can be installed, opens without a network, and never runs files of two versions together."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Tab, another_tab, come, friend, playwright
from tests.support.changing_page import CHANGED, changing_page
from tests.support.prefix_proxy import prefix_proxy
from tests.support.stack import ServerGroup

if TYPE_CHECKING:
    from playwright.async_api import Browser
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]
WORKING: dict[str, Any] = {"service_workers": "allow"}
ACTIVE = "navigator.serviceWorker.ready.then(({ active }) => active.state === 'activated')"
KEPT = """async () => {
    const names = (await caches.keys()).filter((name) => !name.endsWith(" windows"));
    const keys = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return [names.length, keys.flat().map(({ url }) => url)];
}"""
SHOWN = """async () => {
    const worker = await navigator.serviceWorker.ready;
    return (await worker.getNotifications()).map(({ title, body }) => [title, body]);
}"""


async def installed(tab: Tab) -> None:
    """The worker is there, and answers for this very window."""
    await tab.until(ACTIVE)
    await tab.reload()
    assert await tab.page.evaluate("navigator.serviceWorker.controller !== null")


async def version(tab: Tab) -> int:
    """Of the file that changes, as this window gets it."""
    text = await tab.page.evaluate(f"fetch('{CHANGED}').then((answer) => answer.text())")
    return 2 if "version 2" in text else 1


@pytest.mark.parametrize("prefix", ["/", "/tools/chat/"])
async def test_the_page_opens_without_a_network_with_its_history(
    browser: "Browser", product: ServerGroup, prefix: str
) -> None:
    async with prefix_proxy(prefix, product.port) as proxy:
        asha, ravi = await come(browser, proxy.url, "Asha", **WORKING), await friend(product, "Ravi")
        await ravi.writes(asha, "hello")
        await asha.choose(ravi)
        await asha.shows("hello")
        await asha.until(ACTIVE)
        assert await asha.page.evaluate("navigator.serviceWorker.ready.then(({ scope }) => scope)") == proxy.url
        await asha.nothing_went_wrong()
        await asha.page.context.set_offline(True)
        await asha.page.reload()
        await asha.sees("#my-name", "Asha")
        await asha.shows("hello")
        await asha.write("later")
        await asha.ticks("Waiting")
        await asha.settings("privacy", "Privacy")
        await asha.says("The server cannot be reached.")
        await asha.page.context.set_offline(False)
        await asha.go(f"chat/{ravi.mobile}")
        await asha.ticks("Delivered")
        await ravi.shows("later")
        assert proxy.outside == []


async def test_what_the_server_says_is_in_no_cache(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha", **WORKING)
    await installed(asha)
    await asha.settings("devices", "Devices")
    await asha.says("this one")
    await asha.settings("about", "About")
    await asha.says("Version")
    shells, urls = await asha.page.evaluate(KEPT)
    paths = {url.removeprefix(f"{product.url}/") for url in urls}
    assert (shells, {path for path in paths if not path.startswith("web/")}) == (1, {""})
    assert {"web/app.js", "web/client/index.js", "web/vendor/preact.js", "web/style.css"} <= paths
    await asha.nothing_went_wrong()


async def test_a_window_keeps_to_its_version_until_it_is_loaded_again(browser: "Browser", product: ServerGroup) -> None:
    async with changing_page(product.port) as server:
        asha = await come(browser, server.url, "Asha", **WORKING)
        await installed(asha)
        assert await version(asha) == 1
        server.update()
        await asha.page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")
        await asha.says("A newer version of this page is ready.")
        assert await version(asha) == 1
        newer = await another_tab(asha)
        assert (await version(newer), await version(asha)) == (2, 1)
        await asha.press("Load it")
        await asha.logged_in()
        assert await version(asha) == 2
        await asha.is_hidden("#newer-version")
        for each in (asha, newer):
            await each.nothing_went_wrong()


async def test_a_worker_of_a_server_that_is_half_updated_is_not_installed(
    browser: "Browser", product: ServerGroup
) -> None:
    async with changing_page(product.port) as server:
        asha = await come(browser, server.url, "Asha", **WORKING)
        await installed(asha)
        server.worker_version = 2
        refused = """navigator.serviceWorker.ready.then(async (registration) => {
            await registration.update();
            const { installing } = registration;
            await new Promise((resolve) => installing.addEventListener("statechange", resolve, { once: true }));
            return installing.state;
        })"""
        assert await asha.page.evaluate(refused) == "redundant"
        await asha.reload()
        assert await version(asha) == 1
        await asha.until(f"({KEPT})().then(([shells]) => shells === 1)")  # to load it again was another try
        server.update()
        await asha.page.evaluate("navigator.serviceWorker.ready.then((registration) => registration.update())")
        await asha.until("caches.keys().then((names) => names.some((name) => name.endsWith(' two')))")
        await asha.says("A newer version of this page is ready.")


async def test_in_a_frame_the_page_is_the_servers(browser: "Browser", product: ServerGroup) -> None:
    """The one that was kept forbids frames. The demo, at the same address some day, has the page in two."""
    async with changing_page(product.port) as server:
        asha = await come(browser, server.url, "Asha", **WORKING)
        await installed(asha)
        server.framed = True
        await asha.page.goto(f"{server.url}frame")
        await playwright.expect(asha.page.frame_locator("iframe").locator("#my-name")).to_have_text("Asha")


async def test_other_pages_of_the_host_get_the_servers_files(browser: "Browser", product: ServerGroup) -> None:
    """Among them some that the page does not need, so that its worker has not kept them."""
    asha = await come(browser, product.url, "Asha", **WORKING)
    await installed(asha)
    other = await asha.page.context.new_page()
    await other.goto(f"{product.url}/docs")
    assert await other.evaluate("navigator.serviceWorker.controller !== null")
    assert await other.evaluate("import('/web/client/index.js').then(({ Client }) => typeof Client)") == "function"
    await asha.reload()
    await asha.sees("#my-name", "Asha")
    await asha.nothing_went_wrong()


async def test_a_browser_would_install_it(browser: "Browser", product: ServerGroup) -> None:
    asha = await come(browser, product.url, "Asha", **WORKING)
    await installed(asha)
    chromium = await asha.page.context.new_cdp_session(asha.page)
    manifest = await chromium.send("Page.getAppManifest")
    assert (manifest["url"], manifest["errors"]) == (f"{product.url}/web/manifest.webmanifest", [])
    assert manifest["manifest"]["startUrl"] == f"{product.url}/"
    assert manifest["manifest"]["scope"] == f"{product.url}/"
    assert len(manifest["manifest"]["icons"]) == 4
    found = (await chromium.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    # A private window, as every one of a test is, installs nothing.
    assert [one["errorId"] for one in found] == ["in-incognito"]


async def test_a_press_on_a_notification_opens_the_chat(browser: "Browser", product: ServerGroup) -> None:
    """Shown by the worker, as on phones."""
    asha, ravi = await come(browser, product.url, "Asha", **WORKING), await friend(product, "Ravi")
    await asha.page.context.grant_permissions(["notifications"])
    await installed(asha)
    await asha.settings("notifications", "Notifications")
    await asha.page.get_by_role("switch", name="Tell me of new messages").check()
    await asha.page.evaluate(
        """() => {
            Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    await ravi.writes(asha, "a secret")
    await asha.until(f"({SHOWN})().then((all) => all.length === 1)")
    assert await asha.page.evaluate(SHOWN) == [["Ravi", "A new message"]]
    (worker,) = asha.page.context.service_workers
    await worker.evaluate(
        """async () => {
            const [notification] = await registration.getNotifications();
            dispatchEvent(new NotificationEvent("notificationclick", { notification }));
        }"""
    )
    await playwright.expect(asha.page.locator("#chat-name")).to_have_text("Ravi")
    await asha.shows("a secret")
