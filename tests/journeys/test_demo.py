"""The demo in a real browser: two phones talk, things are broken, everything arrives, and the counter counts.

``DEMO_IMAGE=docs/images/demo.png python3 run.py test tests/journeys/test_demo.py`` writes the picture of the README.
"""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.support.browser import VIOLATIONS, playwright
from tests.support.demo import running_demo
from tests.support.launched import Launched

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]

MS = 60_000
NEVER = ("lost", "doubled", "disordered")
IMAGE = os.environ.get("DEMO_IMAGE", "")
# What the demo breaks on purpose, as the browser words it.
EXPECTED = (
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_EMPTY_RESPONSE",
    "WebSocket connection to",
    "status of 503",
)


@pytest.fixture(scope="module")
def demo(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """Running, with its two people."""
    assert chromium_path
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


FEEDER = "demo-server"


@dataclass
class Shown:
    """The demo's page, open, with both phones online."""

    page: "Page"
    complaints: list[str]
    strangers: list[str]
    feeds: list[str]
    """serverIds, of each server that began to feed the page."""

    async def number(self, what: str) -> int:
        return int(await self.page.inner_text(f"#count-{what}"))

    async def until(self, condition: str, argument: Any = None) -> None:
        """Until this JavaScript is true."""
        await self.page.wait_for_function(condition, arg=argument, timeout=MS)

    async def everything_arrived(self) -> None:
        await self.until("() => demo.counts.inPhone + demo.counts.inMailbox === 0")
        assert {what: await self.number(what) for what in NEVER} == dict.fromkeys(NEVER, 0)
        await self.histories_agree()

    async def histories_agree(self) -> None:
        """Told by the phones themselves, not by the counter."""
        a, b = [await self.page.evaluate("(n) => demo.phones[n].read()", name) for name in "ab"]
        for sender, recipient in ((a, b), (b, a)):
            written = [row["id"] for row in sorted(sender["rows"], key=lambda row: row["n"]) if row["mine"]]
            got = [row["id"] for row in sorted(recipient["rows"], key=lambda row: row["n"]) if not row["mine"]]
            assert got == written

    async def press(self, phone: str, what: str) -> None:
        await self.page.click(f"#phone-{phone} [data-do={what}]")

    async def online(self, phone: str) -> None:
        await self.until("(name) => demo.phones[name].isOnline", phone)


async def open_demo(chromium: "Browser", url: str, **how: Any) -> Shown:
    context = await chromium.new_context(viewport={"width": 1440, "height": 900}, **how)
    await context.add_init_script(VIOLATIONS)
    shown = Shown(await context.new_page(), [], [], [])
    page = shown.page
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    page.on("console", lambda said: said.type in ("error", "warning") and shown.complaints.append(said.text))
    page.on("response", lambda answer: answer.url == f"{url}/demo/feed" and shown.feeds.append(answer.headers[FEEDER]))
    page.on("request", lambda asked: asked.url.startswith((url, "data:")) or shown.strangers.append(asked.url))
    await page.goto(f"{url}/demo")
    await page.wait_for_selector("html[data-ready]", timeout=MS)
    return shown


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shown(running_chromium: "Browser", demo: Launched) -> AsyncIterator[Shown]:
    """One for all tests of this file: to open it takes as long as most of them."""
    opened = await open_demo(running_chromium, demo.run()["url"])
    yield opened
    await opened.page.context.close()


async def test_the_phones_are_on_two_servers(shown: Shown) -> None:
    servers = [await shown.page.evaluate("(name) => demo.phones[name].serverId", name) for name in "ab"]
    assert len(set(servers)) == 2
    chips = shown.page.locator("#servers .here span")
    await playwright.expect(chips).to_have_count(2)
    for phone in "ab":
        await playwright.expect(shown.page.locator(f"#phone-{phone} .where")).to_contain_text("online on Server")
    for phone, other in (("a", "Ravi"), ("b", "Asha")):
        name = shown.page.frame_locator(f"#phone-{phone} iframe").locator("#chat-name")
        await playwright.expect(name).to_have_text(other)


# What a server's card shows for a second or three may be over before a busy machine looks.
NOTE_SERVERS = """() => {
    window.seen = new Set();
    new MutationObserver(() => {
        for (const word of ["killed", "fresh"]) if (document.querySelector(`#servers .${word}`)) seen.add(word);
    }).observe(document.querySelector("#servers"), { subtree: true, childList: true, attributes: true });
}"""


async def test_show_me_breaks_everything_and_everything_arrives(shown: Shown) -> None:
    page = shown.page
    await page.evaluate(NOTE_SERVERS)
    await page.click("#show")
    for word in ("stored", "notified", "settled"):
        await page.wait_for_selector(f"#events b:text-is('{word}')", timeout=MS)
    await shown.until("() => demo.phones.a.state !== 'online'")
    await shown.until("() => seen.has('killed')")
    if IMAGE:
        Path(IMAGE).parent.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=IMAGE)
    await shown.until("() => seen.has('fresh')")
    await shown.online("a")
    await page.wait_for_selector("#phone-b .screen.out", timeout=MS)
    await shown.until("() => demo.counts.inMailbox > 2")
    await page.wait_for_selector("#redis.away", timeout=MS)
    await playwright.expect(page.locator("#caption")).to_contain_text("0 lost, 0 doubled, 0 out of order", timeout=MS)
    await shown.everything_arrived()
    assert await shown.number("delivered") == await shown.number("sent") > 20
    frames = "\n".join(await page.locator("#phone-a .frames li").all_inner_texts())
    events = "\n".join(await page.locator("#events .rare").all_inner_texts())
    assert [word for word in ("chat", "sent", "ack") if word not in frames] == []
    assert [word for word in ("killed", "server", "lease", "Redis") if word not in events] == []


KILL = """(serverId) => fetch("/demo/do", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Demo": "1" },
    body: JSON.stringify({ do: "kill", serverId }),
}).then((answer) => answer.status)"""


async def test_the_death_of_the_server_that_feeds_the_page_is_told(shown: Shown) -> None:
    """By another one, which did not see it."""
    server_id, feeds = shown.feeds[-1], len(shown.feeds)
    assert await shown.page.evaluate(KILL, server_id) == 200
    gone = shown.page.locator("#events .bad", has_text=server_id.split(".")[-1])
    await playwright.expect(gone).to_have_count(1, timeout=MS)
    assert len(shown.feeds) > feeds
    await shown.online("a")
    await shown.online("b")
    await shown.everything_arrived()


# Looks at each frame that is drawn whether the fifty stand in their order on the sender's screen.
WATCH = """() => {
  window.jumps = [];
  const look = () => {
    const log = demo.phones.a.window.document.querySelectorAll("#log .m");
    const shown = [...log].map((line) => /(\\d+) of 50/.exec(line.textContent)?.[1]).filter(Boolean).map(Number);
    if (shown.some((n, at) => at && n < shown[at - 1])) jumps.push(shown.join(" "));
    requestAnimationFrame(look);
  };
  look();
}"""


async def test_what_is_written_offline_arrives_in_order(shown: Shown) -> None:
    before = await shown.number("delivered")
    await shown.page.evaluate(WATCH)
    await shown.press("a", "many")
    await shown.until("() => demo.counts.inPhone === 50")
    await shown.until("(most) => demo.counts.delivered === most", before + 50)
    await shown.everything_arrived()
    assert await shown.page.evaluate("jumps") == []
    await playwright.expect(shown.page.locator("#phone-a [data-do=many]")).to_be_enabled()


async def test_phones_read_on_after_more_than_a_screenful(shown: Shown) -> None:
    unread = shown.page.frame_locator("#phone-b iframe").locator("#newer.unread")
    await shown.page.evaluate("() => demo.phones.b.pull()")
    await shown.page.evaluate("() => demo.phones.a.postMany(30)")
    await shown.until("() => demo.counts.inMailbox >= 30")
    await shown.page.evaluate("() => demo.phones.b.plugIn()")
    await playwright.expect(unread).to_be_visible()
    await playwright.expect(unread).to_be_hidden(timeout=MS)
    last = shown.page.frame_locator("#phone-a iframe").locator("#log .m").last
    await playwright.expect(last).to_contain_text("Read", timeout=MS)
    await shown.everything_arrived()


async def test_a_pulled_cable_lets_nothing_pass_and_closes_nothing(shown: Shown) -> None:
    await shown.press("b", "cable")
    await shown.page.evaluate("() => { demo.phones.a.post('for Ravi'); demo.phones.b.post('for Asha'); }")
    await shown.until("() => demo.counts.inPhone === 1 && demo.counts.inMailbox === 1")
    b = await shown.page.query_selector("#phone-b iframe")
    frame = b and await b.content_frame()
    assert frame
    hanging = (
        "() => Promise.race([fetch('/health').then(() => 'passed'), new Promise((r) => setTimeout(r, 300, 'hangs'))])"
    )
    assert await frame.evaluate(hanging) == "hangs"
    aborted = "() => fetch('/health', {signal: AbortSignal.timeout(50)}).catch((error) => error.name)"
    assert await frame.evaluate(aborted) == "TimeoutError"
    assert await frame.evaluate("() => wm.state.name") == "online", "nobody told it"
    await shown.press("b", "cable")
    await shown.everything_arrived()
    assert await frame.evaluate(hanging) == "passed"


async def test_what_a_blocked_sender_writes_is_withheld_and_not_lost(shown: Shown) -> None:
    await shown.press("b", "block")
    await shown.until("() => demo.phones.b.isBlocking")
    await shown.page.evaluate("() => demo.phones.a.post('Do you hear me?')")
    await playwright.expect(shown.page.locator("#count-withheld")).to_have_text("1")
    await shown.press("b", "block")
    await shown.until("() => !demo.phones.b.isBlocking")
    assert await shown.number("lost") == 0


FAKE = """async () => {
  const { phones } = demo;
  const real = { a: phones.a.read.bind(phones.a), b: phones.b.read.bind(phones.b) };
  const fake = (id, n, more) => ({ id, n, text: "fake", state: "delivered", ...more });
  const own = [1, 2, 3].map((n) => fake(`fake${n}`, 1e6 + n, { mine: true, peer: phones.b.person.mobileNo }));
  const lost = fake("fake4", 1e6 + 4, { mine: true, peer: phones.b.person.mobileNo, state: "sent" });
  const got = [2, 1, 3, 3].map((k, at) => fake(`fake${k}`, 1e6 + at, { mine: false, peer: phones.a.person.mobileNo }));
  const with_ = async (read, rows) => {
    const found = await read();
    return { ...found, rows: [...found.rows, ...rows] };
  };
  phones.a.read = () => with_(real.a, [...own, lost]);
  phones.b.read = () => with_(real.b, got);
}"""


async def test_the_counter_rises_when_a_phone_says_so(shown: Shown) -> None:
    """fake2 comes before fake1, fake3 comes twice, and fake4 is accepted and nowhere."""
    await shown.page.evaluate(FAKE)
    for what in NEVER:
        await playwright.expect(shown.page.locator(f"#count-{what}")).to_have_text("1", timeout=MS)
    await playwright.expect(shown.page.locator(".never.broken")).to_have_count(3)
    await shown.page.evaluate("() => { for (const phone of Object.values(demo.phones)) delete phone.read; }")


LOOKS = """async () => {
  const { Counter } = await import("/demo/counting.js");
  const row = (id, n, mine, peer, state) => ({ id, n, mine, peer, state });
  const box = (...waiting) => ({ waiting: new Set(waiting), withheld: new Set() });
  const made = (rows, got = []) => {
    const counter = new Counter();
    return (now, how = {}) => counter.look(now,
      { a: { mobileNo: "A", online: true, rows: how.rows ?? rows },
        b: { mobileNo: "B", online: how.online ?? true, rows: how.got ?? got } },
      { a: box(), b: how.box === undefined ? box() : how.box });
  };
  const sent = [row("m", 1, true, "B", "sent")];
  const came = [row("m", 1, false, "A", "new")];
  const found = {};
  let look = made(sent);
  look(0); found.patience = [look(4_000).lost, look(4_000).inMailbox];
  found.late = [look(5_001).lost, look(5_002, { got: came }).lost];
  look = made(sent);
  look(0, { online: false }); look(9_000, { online: false }); found.offline = look(9_001).lost;
  look = made(sent);
  look(0); look(4_000, { box: null }); found.unknown = look(9_000).lost;
  look = made(sent);
  look(0); found.waits = look(9_000, { box: box("m") }).lost;
  look = made(sent);
  look(0, { got: came }); found.cleared = look(9_000, { got: [] });
  look = made([row("m", 1, true, "B", "read")]);
  look(0); found.before = look(9_000);
  look = made([row("m", 1, true, "B", "failed"), row("w", 2, true, "B", "waiting")]);
  look(0); found.rest = look(9_000);
  return found;
}"""


async def test_lost_is_what_nobody_can_be_waiting_for(shown: Shown) -> None:
    found = await shown.page.evaluate(LOOKS)
    assert found["patience"] == [0, 1]
    assert found["late"] == [1, 0], "what arrives after all is lost no more"
    assert (found["offline"], found["unknown"], found["waits"]) == (0, 0, 0)
    assert (found["cleared"]["lost"], found["cleared"]["delivered"]) == (0, 1)
    assert (found["before"]["lost"], found["before"]["sent"]) == (0, 0)
    rest = found["rest"]
    assert (rest["failed"], rest["inPhone"], rest["sent"], rest["lost"]) == (1, 1, 0, 0)


ROWS = """() => {
  for (const box of document.querySelectorAll(".counts > div")) box.hidden = false;
  return new Set([...document.querySelectorAll(".counts > div")].map((box) => box.getBoundingClientRect().top)).size;
}"""


async def test_all_counters_stand_in_one_row(shown: Shown) -> None:
    assert await shown.page.evaluate(ROWS) == 1


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390)])
async def test_everybody_can_use_it(shown: Shown, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    page = shown.page
    await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two that it takes
    await page.set_viewport_size({"width": width, "height": 900})
    found = await axe.run(page)
    problems = [(each["id"], node["target"]) for each in found.response["violations"] for node in each["nodes"]]
    assert problems == []
    assert not await page.evaluate("() => document.documentElement.scrollWidth > innerWidth")


async def test_it_is_used_by_keyboard(shown: Shown) -> None:
    page = shown.page
    await page.focus("#talk")
    await page.keyboard.press("Enter")
    await playwright.expect(page.locator("#talk")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("Space")
    await playwright.expect(page.locator("#talk")).to_have_attribute("aria-pressed", "false")
    for _ in range(4):
        await page.keyboard.press("Tab")
    focused = await page.evaluate("() => document.activeElement.textContent")
    assert focused in ("Kill server", "Offline, 50")


async def test_a_second_window_waits_for_the_first(shown: Shown, demo: Launched) -> None:
    second = await shown.page.context.new_page()
    await second.goto(f"{demo.run()['url']}/demo")
    await playwright.expect(second.locator("#trouble")).to_contain_text("open in another window")
    await second.close()
    await shown.online("a")


async def test_nothing_else_went_wrong(shown: Shown) -> None:
    """The last of them: what the tests before left."""
    unexpected = [each for each in shown.complaints if not any(words in each for words in EXPECTED)]
    assert (unexpected, shown.strangers) == ([], [])
    for frame in shown.page.frames:
        assert await frame.evaluate("window.violations") == []
