"""The application: it opens an account, at the door if need be, and shows the screen one talks on."""

import os
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Final

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from whatsapp_mini import LoggedOut
from whatsapp_mini.terminal import looks, words
from whatsapp_mini.terminal.accounts import Account, Accounts
from whatsapp_mini.terminal.book import Book
from whatsapp_mini.terminal.door import Door, Known
from whatsapp_mini.terminal.entering import Entering, Entrance
from whatsapp_mini.terminal.passing import taking
from whatsapp_mini.terminal.sending import answer
from whatsapp_mini.terminal.talk import Talk

STOP_SECONDS: Final = 2.0
"""How long leaving waits for answers. What has none goes out at the next start."""


class ChatApp(App[None]):
    """The terminal messenger."""

    TITLE = "WhatsApp Mini"
    CSS_PATH = "chat.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (68, "-wide")]  # noqa: RUF012 - no ClassVar there either
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", priority=True),
        Binding("ctrl+c", "leave", "Quit", show=False),
        Binding("f6", "change_colours", "Light/dark", show=False, priority=True),
    ]

    def __init__(
        self,
        accounts: Accounts,
        url: str,
        number: str,
        device: str = "",
        theme: str = "auto",
        *,
        only_there: bool = False,
    ) -> None:
        """:param number: whose account to open; "" asks, unless there is only one that is not open elsewhere
        :param only_there: the person named the server: an account on another one is not opened without being asked for
        """
        super().__init__()
        self._accounts, self._url, self._number, self._device = accounts, url, number, device
        self._only_there = only_there
        self._colours = accounts.root / "theme"
        self._open = AsyncExitStack()
        for each in (looks.DARK, looks.LIGHT):
            self.register_theme(each)
        self.theme = self._theme(theme)

    def _theme(self, wished: str) -> str:
        if wished == "auto" and self._colours.exists():
            wished = self._colours.read_text(encoding="utf-8").strip()
        if wished == "auto":  # some terminals say which colours they have: "15;0", text and background
            wished = "light" if os.environ.get("COLORFGBG", "").endswith((";7", ";15")) else "dark"
        return looks.LIGHT.name if wished == "light" else looks.DARK.name

    def on_mount(self) -> None:
        """Open an account."""
        self._run_accounts()

    @work(exclusive=True)
    async def _run_accounts(self) -> None:
        reason = ""
        while True:
            entrance = await self._enter(Entering(self._accounts, self._device, self._open), reason)
            talk = await self._start(entrance)
            reason = await self.push_screen_wait(talk) or ""
            self._number, self._url = entrance.account.mobile, entrance.account.url
            await self._open.aclose()

    async def _enter(self, entering: Entering, reason: str) -> Entrance:
        known = [each for each in self._accounts.known(self._device) if self._number in ("", each.mobile)]
        busy = [each for each in known if each.is_busy()]
        free = [each for each in known if each not in busy and (each.url == self._url or not self._only_there)]
        if not reason and len(free) == 1 and (self._number or not busy):
            self._url, self._number = free[0].url, free[0].mobile
            try:
                return await entering.open_stored(self._url, self._number)
            except LoggedOut as ended:
                reason = ended.reason
        elif self._number and busy:
            reason = f"{self._number} is open in another terminal."
        shown = [] if self._number else [await self._known(entering, each, each in busy) for each in known]
        return await self.push_screen_wait(Door(entering, self._url, self._number, shown, reason))

    @staticmethod
    async def _known(entering: Entering, account: Account, busy: bool) -> Known:
        return Known(account.url, account.mobile, await entering.name(account), busy)

    async def _start(self, entrance: Entrance) -> Talk:
        client = entrance.client
        happening = client.events()
        book = self._open.enter_context(Book(entrance.account.file))
        self._open.push_async_callback(client.stop, STOP_SECONDS)
        await client.start(wait=False)
        way = taking(entrance.account.socket, lambda to, text, message_id: answer(client, to, text, message_id))
        await self._open.enter_async_context(way)
        return Talk(entrance, happening, book)

    def notify(self, message: str, **how: Any) -> None:
        """In Textual it may have markup. Here it may hold what somebody typed, or what a server said."""
        super().notify(words.printable(message), **{**how, "markup": False})

    async def action_quit(self) -> None:
        """Leave, with everything in good order."""
        for screen in self.screen_stack:
            if isinstance(screen, Talk):
                screen.keep_draft()
        await self._open.aclose()
        self.exit()

    def action_leave(self) -> None:
        """Ctrl+C with nothing marked: say how to leave, since nobody wants to lose what they were writing."""
        self.notify("Ctrl+Q leaves.")

    def action_change_colours(self) -> None:
        """Light or dark, from now on."""
        self.theme = looks.LIGHT.name if self.theme == looks.DARK.name else looks.DARK.name
        self._colours.write_text("light\n" if self.theme == looks.LIGHT.name else "dark\n", encoding="utf-8")
