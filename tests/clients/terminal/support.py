"""A messenger that a test looks at and types in, and people it talks with."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input
from whatsapp_mini import Client, Events, Message
from whatsapp_mini.events import MessageCame
from whatsapp_mini.terminal.accounts import Accounts
from whatsapp_mini.terminal.app import ChatApp

from tests.support.people import PASSWORD
from tests.support.stack import ROOT
from tests.support.waiting import until

SECONDS = 20.0
SIZE = (80, 24)


class Terminal:
    """One messenger, and what can be read on its screen."""

    def __init__(self, app: ChatApp, pilot: Pilot[None], url: str) -> None:
        self.app, self.pilot, self.url = app, pilot, url

    @property
    def screen(self) -> str:
        """The text on the screen, line by line."""
        return "\n".join(
            "".join(segment.text for segment in strip) for strip in self.app.screen._compositor.render_strips()
        )

    async def sees(self, *texts: str) -> None:
        """All of these are on the screen at the same time, in the end."""
        try:
            await until(lambda: all(text in self.screen for text in texts), SECONDS)
        except TimeoutError:
            raise AssertionError(f"{texts} not in\n{self.screen}") from None

    async def sees_no(self, text: str) -> None:
        """It is not on the screen, in the end."""
        await until(lambda: text not in self.screen, SECONDS)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def write(self, text: str, *keys: str) -> None:
        """Type, and press these keys."""
        names = {" ": "space", "/": "slash", "+": "plus", ".": "full_stop", "?": "question_mark", "\n": "ctrl+j"}
        await self.pilot.press(*(names.get(each, each) for each in text), *keys)

    async def open(self, number: str) -> None:
        """The conversation with somebody, by their number."""
        await self.press("ctrl+o")
        await self.sees("Open a chat")
        await self.write(number)
        await self.sees("Write to")
        await self.press("enter")
        await self.sees_no("Open a chat")
        await self.can_write()

    async def can_write(self) -> None:
        """A conversation is open, and what is typed goes into its field."""
        await until(lambda: self.app.focused is not None and self.app.focused.id == "composer", SECONDS)

    async def fill(self, field: str, text: str, *keys: str) -> None:
        """Put a text into a field of the door at once, and press these keys in it."""
        widget = self.app.screen.query_one(f"#{field}", Input)
        widget.focus()
        widget.value = text
        await self.pilot.press(*keys)


@asynccontextmanager
async def messenger(
    home: Path, url: str, number: str = "", size: tuple[int, int] = SIZE, device: str = "", *, only_there: bool = False
) -> AsyncIterator[Terminal]:
    """``whatsapp-mini chat`` on a screen of this size; it is left properly at the end."""
    app = ChatApp(Accounts(home), url, number, device, "dark", only_there=only_there)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Terminal(app, pilot, url)
        await app.action_quit()


@asynccontextmanager
async def entered(home: Path, url: str, number: str, size: tuple[int, int] = SIZE) -> AsyncIterator[Terminal]:
    """The same for somebody who has an account, logged in."""
    async with messenger(home, url, number, size) as terminal:
        await terminal.sees("Password")
        await terminal.fill("password", PASSWORD, "enter")
        await terminal.sees("● online")
        yield terminal


async def arrived(heard: Events) -> Message:
    """The next message of somebody, when it is kept and acknowledged."""
    while not isinstance(event := await asyncio.wait_for(anext(heard), SECONDS), MessageCame):
        pass
    return event.message


@asynccontextmanager
async def talker(url: str, number: str) -> AsyncIterator[Client]:
    """Somebody else, online with the plain client."""
    async with Client(url, number, PASSWORD) as client:
        yield client


def command(*arguments: str) -> list[str]:
    """A command line of ``whatsapp-mini``."""
    return [sys.executable, "-m", "whatsapp_mini.terminal.command", *arguments]


def environment(home: Path, url: str) -> dict[str, str]:
    """For such a process."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
        "WHATSAPP_MINI_HOME": str(home),
        "WHATSAPP_MINI_URL": url,
        "WHATSAPP_MINI_PASSWORD": PASSWORD,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
    }


def plain(output: str) -> str:
    """What a terminal was told to show, without how."""
    return re.sub(r"\x1b(\[[0-9;?<>=]*[a-zA-Z]|\][^\x07]*\x07|[PX^_].*?\x1b\\|.)", "", output)
