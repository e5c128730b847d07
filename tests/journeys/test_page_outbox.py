"""What the page does with what the server does not take: wait and send again, or give up and let the person decide."""

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Friend, Judge, Tab, come, friend, open_context, playwright
from tests.support.people import Frame
from tests.support.stack import ServerGroup
from tests.support.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Browser, WebSocketRoute
pytestmark = [pytest.mark.usefixtures("chromium_path"), pytest.mark.asyncio(loop_scope="session")]


def refusal(**more: Any) -> Frame:
    return {"type": "error", "code": "bad_json", "component": "frame", "message": "No.", "retryable": False, **more}


class Refuser:
    """Stands where the server is, for chats with this word in them; counts how often they come."""

    def __init__(self, word: str, *answers: Frame | int | None) -> None:
        self.word = word
        self.answers = list(answers)
        """What each gets in turn, the last one for ever: a frame, a close code, or silence."""
        self.came: list[tuple[float, str]] = []
        self.is_on = True

    def judge(self, socket: "WebSocketRoute", frame: Frame) -> bool:
        if not self.is_on or frame["type"] != "chat" or self.word not in frame["message"]:
            return False
        self.came.append((time.monotonic(), frame["messageId"]))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            asyncio.ensure_future(socket.close(code=answer))  # noqa: RUF006 - the page waits for it
        elif answer is not None:
            named = {"messageId": frame["messageId"]} if answer.get("messageId") else {}
            socket.send(json.dumps(answer | named))
        return True


async def three(browser: "Browser", product: ServerGroup, judge: Judge) -> tuple[Tab, Friend, Friend]:
    """Asha, behind the judge, and two she may write to; Ravi's chat is open."""
    ravi, meera = await friend(product, "Ravi"), await friend(product, "Meera")
    asha = await come(browser, product.url, "Asha", judge)
    await asha.open(meera)
    await asha.open(ravi)
    return asha, ravi, meera


async def try_now(person: Tab) -> None:
    """As somebody does who does not want to wait for the page's next try."""
    await person.click_if_there("#banner button")
    await asyncio.sleep(0.05)


async def test_a_message_refused_without_its_name_is_given_up_alone(browser: "Browser", product: ServerGroup) -> None:
    refuser = Refuser("poison", refusal())
    asha, ravi, meera = await three(browser, product, refuser.judge)
    await asha.page.evaluate(
        """(texts) => {
            const box = document.querySelector("#text");
            for (const text of texts) {
                box.value = text;
                box.form.requestSubmit();
            }
        }""",
        ["one", "two", "poison", "three", "four"],
    )
    states = asha.page.locator("#log .mine .state")
    await playwright.expect(states.filter(has_text="Delivered")).to_have_count(4)
    await playwright.expect(states.filter(has_text="Not sent: No")).to_have_count(1)
    await asha.choose(meera)
    await asha.write("hello Meera")
    await asha.ticks("Delivered")
    await ravi.shows("one", "two", "three", "four")
    assert len(refuser.came) <= 3
    await asha.page.reload()
    await asha.choose(ravi)
    await asyncio.sleep(1)
    assert len(refuser.came) <= 3, "given up for good"
    refuser.is_on = False
    await asha.page.click("text=Retry")
    await ravi.shows("one", "two", "three", "four", "poison")
    await ravi.reads()
    await asha.ticks(*["Read"] * 5)
    await asha.nothing_went_wrong()


async def test_a_message_that_ends_each_connection_is_given_up(browser: "Browser", product: ServerGroup) -> None:
    """As a message over 64 KiB does."""
    refuser = Refuser("poison", 1009)
    asha, ravi, _ = await three(browser, product, refuser.judge)
    await asha.write("poison")
    await asha.write("healthy")
    async with asyncio.timeout(40):
        while not await asha.page.locator(".state.failed").count():
            await try_now(asha)
    await try_now(asha)
    await asha.ticks("Not sent: the server gave no answer to it", "Delivered")
    assert len(refuser.came) == 5
    await ravi.shows("healthy")
    await ravi.reads()
    await asha.page.click("text=Take back")
    await asha.has_typed("poison")
    await asha.ticks("Read")
    await asha.page.reload()
    await asha.has_typed("poison")


async def test_a_message_that_is_never_answered_is_given_up(browser: "Browser", product: ServerGroup) -> None:
    refuser = Refuser("poison", None)
    asha, _, _ = await three(browser, product, refuser.judge)
    await asha.page.clock.install()
    await asha.page.reload()
    await asha.logged_in()
    await asha.write("poison")
    async with asyncio.timeout(60):
        while not await asha.page.locator(".state.failed").count():
            await asha.page.clock.run_for(5_000)
            await asyncio.sleep(0.1)
    assert len(refuser.came) == 5
    await asha.sees(".state.failed", "Not sent: the server gave no answer to it")


async def test_an_outage_gives_nothing_up(browser: "Browser", product: ServerGroup) -> None:
    """A server that says itself that it goes, or that a part of it is away, says nothing about the message."""
    refuser = Refuser("hello", *[4004, 4012, 1012, 4001] * 3, refusal(retryable=True, retryAfter=0.1))
    asha, ravi, _ = await three(browser, product, refuser.judge)
    await asha.write("hello")
    async with asyncio.timeout(60):
        while len(refuser.came) < 14:
            await try_now(asha)
    await asha.ticks("Waiting")
    refuser.is_on = False
    await asha.ticks("Delivered")
    assert len({message_id for _, message_id in refuser.came}) == 1
    await ravi.shows("hello")


@pytest.mark.parametrize("code", ["rate_limited", "mailbox_full", "storage_full"])
async def test_a_refusal_for_later_is_waited_for(browser: "Browser", product: ServerGroup, code: str) -> None:
    later = refusal(code=code, component="chat", retryable=True, retryAfter=0.6, message="Later.", messageId=True)
    refuser = Refuser("first", later, later)
    asha, ravi, meera = await three(browser, product, refuser.judge)
    await asha.write("first")
    await asha.ticks("Waiting")
    await asha.write("second")
    await asha.choose(meera)
    await asha.write("hello Meera")
    await asha.ticks("Delivered")
    await until(lambda: len(refuser.came) >= 2)
    times = [at for at, _ in refuser.came]
    assert all(later - earlier >= 0.6 for earlier, later in itertools.pairwise(times)), "as the server said"
    refuser.is_on = False
    await asha.choose(ravi)
    await asha.ticks("Delivered", "Delivered")
    await ravi.shows("first", "second")


@pytest.mark.parametrize(("code", "same_id"), [("message_id_reused", False), ("message_too_large", True)])
async def test_what_is_refused_for_ever_is_shown_with_its_reason(
    browser: "Browser", product: ServerGroup, code: str, same_id: bool
) -> None:
    refuser = Refuser("hello", refusal(code=code, component="chat", message="Never.", messageId=True))
    asha, ravi, _ = await three(browser, product, refuser.judge)
    await asha.write("hello")
    await asha.ticks("Not sent: Never")
    await asha.write("other")
    await asha.ticks("Not sent: Never", "Delivered")
    await asha.page.click("text=Retry")
    await playwright.expect(asha.page.locator("#log .mine p").last).to_have_text("hello")
    await asha.ticks("Delivered", "Not sent: Never")
    ids = [message_id for _, message_id in refuser.came]
    assert (ids[0] == ids[1]) is same_id
    refuser.is_on = False
    await asha.page.click("text=Retry")
    await asha.ticks("Delivered", "Delivered")
    await ravi.shows("other", "hello")


async def test_half_an_emoji_is_sent_as_what_can_be_sent(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi, _ = await three(browser, product, lambda _socket, _frame: False)
    await asha.page.evaluate("document.querySelector('#text').value = 'broken \\ud83d emoji'")
    await asha.page.press("#text", "Enter")
    await asha.ticks("Delivered")
    await ravi.shows("broken \ufffd emoji")


async def test_ids_of_messages_are_new_after_a_reload(browser: "Browser", product: ServerGroup) -> None:
    asha, ravi, _ = await three(browser, product, lambda _socket, _frame: False)
    await asha.write("before")
    await asha.ticks("Delivered")
    await asha.page.reload()
    await asha.write("after")
    await asha.ticks("Delivered", "Delivered")
    await ravi.shows("before", "after")


async def test_a_message_that_failed_stands_where_it_was_written(browser: "Browser", product: ServerGroup) -> None:
    """Also on a machine whose clock is a day ahead: else it would stand below all that is said for a day."""
    refuser = Refuser("hello", refusal(code="message_too_large", component="chat", message="Never.", messageId=True))
    ravi = await friend(product, "Ravi")
    context = await open_context(browser)
    await context.add_init_script("const now = Date.now; Date.now = () => now() + 86_400_000;")
    asha = await come(browser, product.url, "Asha", refuser.judge, context=context)
    await asha.open(ravi)
    await asha.write("hello")
    await asha.ticks("Not sent: Never")
    await ravi.writes(asha, "later")
    texts = playwright.expect(asha.page.locator("#log .m > p"))
    await texts.to_have_text(["hello", "later"])
    await asha.page.click("text=Retry")
    await texts.to_have_text(["later", "hello"])
    await asha.ticks("Not sent: Never")
    await ravi.writes(asha, "last", "m-2")
    await texts.to_have_text(["later", "hello", "last"])
