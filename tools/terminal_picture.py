"""Draws ``docs/images/terminal.png``: two people who talk in two terminals, with a real server between them.

    PYTHONPATH=clients/python/src .venv/bin/python -m tools.terminal_picture http://127.0.0.1:5000

Needs a running server of one's own (it signs up two people), and Chromium, which turns the drawing into a picture.
"""

import asyncio
import random
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import async_playwright
from textual.pilot import Pilot
from whatsapp_mini import Client
from whatsapp_mini.terminal.accounts import Accounts
from whatsapp_mini.terminal.app import ChatApp
from whatsapp_mini.terminal.composer import Composer
from whatsapp_mini.terminal.entering import Entering
from whatsapp_mini.terminal.talk import Talk

from tools.devstack.checks import chromium
from tools.devstack.options import ROOT

TARGET: Final = ROOT / "docs" / "images" / "terminal.png"
SIZE: Final = (80, 17)
PASSWORD: Final = "correct horse"  # noqa: S105 - of people who are made for the picture
TALK: Final = (
    ("Asha", "Morning! Is the demo still on for seven?"),
    ("Ravi", "Yes: two terminals, two servers, one Redis."),
    ("Ravi", "I will kill one of the servers while you type."),
    ("Asha", "And nothing gets lost?"),
)


@asynccontextmanager
async def messenger(home: Path, url: str, number: str, theme: str) -> AsyncIterator[Pilot[None]]:
    """A messenger of somebody who is logged in on this machine."""
    app = ChatApp(Accounts(home), url, number, theme=theme)
    async with app.run_test(size=SIZE) as pilot:
        while not isinstance(app.screen, Talk):
            await pilot.pause(0.05)
        yield pilot
        await app.action_quit()


async def sign_up(home: Path, url: str, number: str, name: str) -> None:
    """An account that this machine has a session of."""
    client = Client(url, number, PASSWORD)
    await client.api.sign_up(name, number, PASSWORD)
    async with AsyncExitStack() as stack:
        await Entering(Accounts(home), "", stack).log_in(url, number, PASSWORD)


async def say(pilot: Pilot[None], text: str) -> None:
    """Write, send, and let it arrive."""
    pilot.app.screen.query_one(Composer).text = text
    await pilot.press("enter")
    await pilot.pause(1.0)


async def play(url: str) -> list[str]:
    """The drawings of both screens, after the talk."""
    number = random.randrange(10**6)  # noqa: S311 - any number that nobody has
    numbers = {"Ravi": f"9198{number:06}02", "Asha": f"9198{number:06}01"}
    with tempfile.TemporaryDirectory() as folder:
        homes = {name: Path(folder) / name for name in numbers}
        for name, mobile in numbers.items():
            await sign_up(homes[name], url, mobile, name)
        async with (
            messenger(homes["Asha"], url, numbers["Asha"], "dark") as asha,
            messenger(homes["Ravi"], url, numbers["Ravi"], "dark") as ravi,
        ):
            await asha.app.screen.open_number(numbers["Ravi"])  # type: ignore[attr-defined] # it is a Talk
            for name, text in TALK:
                await say(asha if name == "Asha" else ravi, text)
            await ravi.press(*"Not")
            await asha.pause(1.0)
            return [asha.app.export_screenshot(title="Asha"), ravi.app.export_screenshot(title="Ravi")]


async def draw(drawings: list[str]) -> None:
    """One picture of them, one below the other."""
    # Without the fonts that a drawing names by their address: nothing is fetched.
    shown = [re.sub(r"@font-face\s*\{.*?\}", "", each, flags=re.DOTALL) for each in drawings]
    page_text = "<body style='margin:8px;width:1010px'>" + "".join(shown).replace("Fira Code", "DejaVu Sans Mono")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1026, "height": 400})
        await page.set_content(page_text)
        await page.screenshot(path=TARGET, full_page=True)
        await browser.close()


async def main() -> None:
    """Play, and draw."""
    await draw(await play(sys.argv[1]))


if __name__ == "__main__":
    asyncio.run(main())
