"""The messenger, with the real product behind it: its screen is read, and keys are pressed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.events import Key
from whatsapp_mini import Client
from whatsapp_mini.terminal.accounts import Accounts
from whatsapp_mini.terminal.composer import Composer
from whatsapp_mini.terminal.conversation import Conversation

from tests.clients.terminal.support import Terminal, arrived, entered, messenger, talker
from tests.support.people import PASSWORD, Person, new_mobile, on_device, request, sign_up
from tests.support.stack import ServerGroup


@dataclass
class Pair:
    """Ravi, who uses the messenger, and Asha, who is online with the plain client."""

    ravi: Person
    asha: Client


@pytest.fixture
async def pair(product: ServerGroup) -> AsyncIterator[Pair]:
    ravi, asha = await sign_up(product.url, "Ravi"), await sign_up(product.url, "Asha")
    async with talker(product.url, asha.mobile) as client:
        yield Pair(ravi, client)


@pytest.fixture
async def chat(product: ServerGroup, tmp_path: Path, pair: Pair) -> AsyncIterator[Terminal]:
    """Ravi's messenger."""
    async with entered(tmp_path, product.url, pair.ravi.mobile) as terminal:
        yield terminal


async def test_somebody_new_signs_up_and_writes(product: ServerGroup, tmp_path: Path, pair: Pair) -> None:
    number = new_mobile()
    async with messenger(tmp_path, product.url) as new:
        await new.sees("Mobile number")
        await new.fill("mobile", number, "enter")
        await new.fill("password", PASSWORD, "enter")
        await new.sees("New here?", "Nobody has this number with this password.")
        await new.fill("name", "Meera", "enter")
        await new.sees("● online", f"Your number is {number}")
        await new.open(pair.asha.mobile_no)
        await new.sees("Asha", "The server keeps a message only until")
        heard = pair.asha.events()
        await new.write("hello", "enter")
        message = await arrived(heard)
        assert (message.peer, message.text) == (number, "hello")
        await new.sees("hello", "✓✓ delivered")
        await pair.asha.mark_read(number, [message.id])
        await new.sees("hello", "✓✓ read")


async def test_a_number_that_somebody_has_cannot_be_signed_up_again(
    product: ServerGroup, tmp_path: Path, pair: Pair
) -> None:
    async with messenger(tmp_path, product.url, pair.ravi.mobile) as terminal:
        await terminal.sees("Password")
        await terminal.fill("password", "not the one", "enter")
        await terminal.sees("New here?")
        await terminal.fill("name", "Ravi", "enter")
        await terminal.sees("That is not the password of this number.")
        await terminal.fill("password", PASSWORD, "enter")
        await terminal.sees("● online")


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    async with messenger(tmp_path, "http://127.0.0.1:9", "919800000001") as terminal:
        await terminal.sees("Password")
        await terminal.fill("password", PASSWORD, "enter")
        await terminal.sees("Nothing answers at http://127.0.0.1:9.", "python3 run.py")


async def test_a_sixth_device_takes_the_place_of_another(product: ServerGroup, tmp_path: Path, pair: Pair) -> None:
    for n in range(4):
        await on_device(product.url, pair.ravi, f"device-{n}")
    async with messenger(tmp_path, product.url, pair.ravi.mobile) as terminal:
        await terminal.sees("Password")
        await terminal.fill("password", PASSWORD, "enter")
        await terminal.sees("full number of devices", "device-3, last seen")
        await terminal.press("enter")
        await terminal.sees("● online")


async def test_what_comes_opens_and_is_read_when_somebody_looks(chat: Terminal, pair: Pair) -> None:
    ticks = pair.asha.events()
    await pair.asha.send(pair.ravi.mobile, "hello Ravi")
    await chat.sees("hello Ravi", "Today", "● online")
    await tick(ticks, "read")
    pair.asha.typing(pair.ravi.mobile)
    await chat.sees("Asha is typing…")
    chat.app.app_focus = False
    await pair.asha.send(pair.ravi.mobile, "hello again")
    await tick(ticks, "delivered")
    await chat.sees("hello again", " 1 ")
    assert not [event for event in ticks._events if event.name == "tick"]
    chat.app.app_focus = True
    await tick(ticks, "read")


async def tick(ticks: AsyncIterator[object], state: str) -> None:
    """Until messages of one's own have come so far."""
    async for event in ticks:
        if getattr(event, "name", "") == "tick" and getattr(event, "state", "") == state:
            return


async def test_the_history_is_there_the_next_time_and_no_password_is_kept(
    product: ServerGroup, tmp_path: Path, pair: Pair
) -> None:
    async with entered(tmp_path, product.url, pair.ravi.mobile) as terminal:
        await pair.asha.send(pair.ravi.mobile, "hello, keep this")
        await terminal.sees("hello, keep this")
        await terminal.can_write()
        await terminal.write("a draft")
    await pair.asha.send(pair.ravi.mobile, "hello, while you were away")
    async with messenger(tmp_path, product.url) as terminal:  # the only account of this machine needs no number
        await terminal.sees("● online", "hello, keep this", "hello, while you were away", "› a draft")
    kept = files_of(tmp_path)
    assert not [path for path, content in kept.items() if PASSWORD.encode() in content]
    assert not [path for path, content in kept.items() if b"keep this" in content and path.stat().st_mode & 0o077]


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_an_account_on_another_server_than_the_named_one_is_not_opened(
    product: ServerGroup, tmp_path: Path, pair: Pair
) -> None:
    number = pair.ravi.mobile
    async with entered(tmp_path, product.url, number):
        pass
    for named in (number, ""):
        async with messenger(tmp_path, "http://127.0.0.1:9", named, only_there=True) as terminal:
            await terminal.sees("Password")
            await terminal.sees("http://127.0.0.1:9")
    async with messenger(tmp_path, product.url, number, only_there=True) as terminal:
        await terminal.sees("● online")


async def test_a_second_terminal_asks_who_it_is(product: ServerGroup, tmp_path: Path, pair: Pair) -> None:
    async with entered(tmp_path, product.url, pair.ravi.mobile):
        pass
    with Accounts(tmp_path).account(product.url, pair.ravi.mobile).opened():
        async with messenger(tmp_path, product.url) as second:
            await second.sees("open in another terminal", "Another number…")
        async with messenger(tmp_path, product.url, pair.ravi.mobile) as second:
            await second.sees(f"{pair.ravi.mobile} is open in another terminal.")


async def test_several_lines_are_one_message(chat: Terminal, pair: Pair) -> None:
    await chat.open(pair.asha.mobile_no)
    heard = pair.asha.events()
    await chat.write("one\ntwo", "enter")
    assert (await arrived(heard)).text == "one\ntwo"
    await chat.write("//not a command", "enter")
    assert (await arrived(heard)).text == "/not a command"


async def test_somebody_who_types_fast_sends_what_they_typed(chat: Terminal, pair: Pair) -> None:
    await chat.open(pair.asha.mobile_no)
    heard = pair.asha.events()
    composer = chat.app.screen.query_one(Composer)
    for key in [*"one", "enter", *"two", "enter", *"three", "enter"]:
        composer.post_message(Key(key, key if len(key) == 1 else None))  # all of them before any is looked at
    assert [(await arrived(heard)).text for _ in range(3)] == ["one", "two", "three"]


async def test_blocking_asks_first(chat: Terminal, pair: Pair, product: ServerGroup) -> None:
    await pair.asha.send(pair.ravi.mobile, "hello")
    await chat.sees("hello")
    await chat.press("f4")
    await chat.sees("Block Asha?")
    await chat.press("escape")
    assert await blocked(product, pair) == []
    await chat.press("f4")
    await chat.sees("Block Asha?")
    await chat.press("y")
    await chat.sees("You blocked Asha. F4 unblocks.")
    assert await blocked(product, pair) == [pair.asha.mobile_no]
    await chat.write("not sent", "enter")
    await chat.sees("You blocked this person", "› not sent")
    await chat.press(*["backspace"] * 8)
    await chat.write("/unblock", "enter")
    await chat.sees("Unblock Asha?")
    await chat.press("enter")
    await chat.sees_no("You blocked Asha.")
    assert await blocked(product, pair) == []


async def blocked(product: ServerGroup, pair: Pair) -> list[str]:
    answer = await request(product.url, pair.ravi, "GET", "/block-action/list")
    return [each["mobileNo"] for each in answer.json()["data"]]


async def test_a_refused_message_can_be_sent_again(chat: Terminal, pair: Pair) -> None:
    nobody = new_mobile()
    await chat.app.screen._go_to(nobody)  # type: ignore[attr-defined] # the field that finds people would refuse it
    await chat.write("hello?", "enter")
    await chat.sees("✕ not sent", "Ctrl+R tries again")
    await sign_up_as(chat, nobody)
    await chat.press("ctrl+r")
    await chat.sees("hello?", "✓ sent")
    assert "✕" not in chat.screen


async def sign_up_as(chat: Terminal, number: str) -> None:
    """Somebody takes a number that nobody had."""
    await Client(chat.url, number, PASSWORD).sign_up("Late")


async def test_what_is_told_has_no_markup(chat: Terminal, pair: Pair) -> None:
    await chat.open(pair.asha.mobile_no)
    await chat.write("/[/b]", "enter")
    await chat.sees("There is no command /[/b].")


async def test_search_leads_to_a_message(chat: Terminal, pair: Pair) -> None:
    for text in ["hello", "a needle", *(f"hello {n}" for n in range(30))]:
        await pair.asha.post(pair.ravi.mobile, text)
    await chat.sees("hello 29")
    await chat.can_write()
    await chat.sees_no("a needle")
    await chat.press("ctrl+f")
    await chat.sees("A word that was said")
    await chat.write("NEEDLE", "enter")
    await chat.sees("a needle", "^c Copy")
    await chat.press("ctrl+c")
    await chat.sees("Copied.")
    assert chat.app.clipboard == "a needle"
    heard = pair.asha.events()
    for key in [*"carry", "enter"]:  # one types on, without going back to the field
        chat.app.screen.query_one(Conversation).post_message(Key(key, key if len(key) == 1 else None))
    assert (await arrived(heard)).text == "carry"


async def test_a_lost_connection_is_told_with_seconds_and_what_is_written_waits(
    product: ServerGroup, tmp_path: Path, pair: Pair, chat: Terminal
) -> None:
    await chat.open(pair.asha.mobile_no)
    screen = chat.app.screen
    connection = screen._client._shell.core.connection  # type: ignore[attr-defined]
    connection.pause(40.0, "the cable was pulled", asyncio.get_running_loop().time())
    screen._client._shell.run()  # type: ignore[attr-defined]
    await chat.sees("Connection lost. Next try in 4", "○ offline", "F5 Connect")
    heard = pair.asha.events()
    await chat.write("hello later", "enter")
    await chat.sees("hello later", "◷ waiting", "1 waiting")
    await chat.press("f5")
    assert (await arrived(heard)).text == "hello later"
    await chat.sees("● online", "✓✓ delivered")
    await chat.sees_no("Connection lost")


async def test_a_log_out_elsewhere_leads_to_the_door(chat: Terminal, pair: Pair, product: ServerGroup) -> None:
    await request(product.url, pair.ravi, "POST", "/auth/logout-everywhere")
    await chat.sees("Password", "logged out")
    await chat.fill("password", PASSWORD, "enter")
    await chat.sees("● online")


async def test_a_narrow_terminal_shows_one_of_both(product: ServerGroup, tmp_path: Path, pair: Pair) -> None:
    async with entered(tmp_path, product.url, pair.ravi.mobile, size=(40, 20)) as narrow:
        await narrow.sees("Ravi  ● online", f"Your number is {pair.ravi.mobile}")
        await pair.asha.send(pair.ravi.mobile, "hello narrow")
        await narrow.sees("Asha", "hello narrow", "› ")
        assert "Ravi" not in narrow.screen
        await narrow.press("escape")
        await narrow.sees("Ravi  ● online", "Asha", "hello narrow")
        assert "› " not in narrow.screen
        await narrow.press("enter")
        await narrow.sees("› ")


async def test_earlier_messages_come_when_one_scrolls_up(chat: Terminal, pair: Pair) -> None:
    for n in range(70):
        await pair.asha.post(pair.ravi.mobile, f"hello {n}")
    await chat.sees("hello 69")
    await chat.app.screen._go_to(pair.asha.mobile_no)  # type: ignore[attr-defined] # as at the next start
    await chat.sees("hello 69")
    await chat.press(*["pageup"] * 12)
    await chat.sees("hello 0 ", "The server keeps a message only until")


async def test_help_and_colours(chat: Terminal) -> None:
    await chat.press("f1")
    await chat.sees("In the conversation", "Ctrl+O", "find a chat, or write to a number")
    await chat.press("escape")
    await chat.press("f6")
    assert not chat.app.current_theme.dark
    await chat.write("/nonsense", "enter")
    await chat.sees_no("In the conversation")
