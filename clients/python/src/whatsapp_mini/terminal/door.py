"""The first screen: which server, which number, which password. It logs in, signs up, and asks for what is missing."""

from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option
from whatsapp_mini import ApiError, LoggedOut
from whatsapp_mini.terminal import words
from whatsapp_mini.terminal.accounts import AccountBusyError, UnsafeFolderError
from whatsapp_mini.terminal.entering import Entering, Entrance


@dataclass(frozen=True)
class Known:
    """An account that this machine has; ``busy`` is why it cannot be opened now."""

    url: str
    mobile: str
    name: str
    busy: bool


class Door(Screen[Entrance]):
    """It ends with an account that is logged in."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Previous field", show=False),
        Binding("enter", "go_on", "Go on", priority=True),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, entering: Entering, url: str, mobile: str, known: list[Known], reason: str = "") -> None:
        super().__init__()
        self._entering, self._url, self._mobile, self._known, self._reason = entering, url, mobile, known, reason
        self._signing_up = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="door"), Vertical(id="card"):
            yield Static(Content.assemble(("WhatsApp Mini", "bold $brand"), ("  in the terminal", "$muted")))
            yield Static("", id="reason")
            yield OptionList(*self._options(), id="known", compact=True)
            yield Static("Server", classes="label server")
            yield Input(self._url, id="url", compact=True, classes="server")
            yield Static("Mobile number, with its country code", classes="label number")
            yield Input(
                self._mobile, id="mobile", placeholder="for example 919800000001", compact=True, classes="number"
            )
            yield Static("Password", classes="label number")
            yield Input(id="password", password=True, compact=True, classes="number")
            yield Static("Your name, as others see it", classes="label sign-up")
            yield Input(id="name", compact=True, classes="sign-up")
            yield Static("Code that was sent to this number", classes="label code")
            yield Input(id="code", compact=True, classes="code")
            yield OptionList(id="devices", compact=True)
            yield Static("", id="hint")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin where something is missing."""
        self.set_class(bool(self._known), "has-known")
        self._say("reason", self._reason)
        if self._known and not self._mobile:
            self.query_one("#known").focus()
        else:
            self.query_one("#password" if self._mobile else "#mobile", Input).focus()
        self._hint()

    def _options(self) -> list[Option]:
        options = []
        for place, known in enumerate(self._known):
            what = "  open in another terminal" if known.busy else ""
            line = Content.assemble((known.name or "?", "bold"), f"  {words.spaced(known.mobile)}", (what, "$muted"))
            options.append(Option(line, id=str(place), disabled=known.busy))
        return [*options, Option(Content("Another number…"), id="another")] if options else []

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """An account that is known, or a device that is given up."""
        if event.option_list.id == "devices":
            self._go(replace=event.option.id or "")
        elif event.option.id == "another":
            self.query_one("#mobile", Input).focus()
        else:
            known = self._known[int(event.option.id or 0)]
            self.query_one("#url", Input).value, self.query_one("#mobile", Input).value = known.url, known.mobile
            self._go(stored=True)

    def action_go_on(self) -> None:
        """To the next field, and after the last one: go.

        It is a binding with priority, so the focus moves before the next key is looked at. Otherwise somebody who
        types fast would write the beginning of their password where it can be read.
        """
        field = self.focused
        if isinstance(field, OptionList):
            field.action_select()
            return
        fields = [each for each in self.query(Input) if each.display]
        place = fields.index(field) + 1 if isinstance(field, Input) else 0
        if place < len(fields):
            self.set_focus(fields[place])
        else:
            # In the queue of the field: what was typed into it just now comes first.
            fields[-1].call_later(self._go_if_filled)

    def _go_if_filled(self) -> None:
        empty = [field for field in self.query(Input) if field.display and not field.value.strip()]
        if empty:
            self.set_focus(empty[0])
        else:
            self._go()

    def action_back(self) -> None:
        """From signing up to logging in; from there out."""
        if self._signing_up:
            self._signing_up = False
            self.remove_class("signing-up", "with-code")
            self.query_one("#password", Input).focus()
            self._say("reason", "")
            self._hint()
        else:
            self.app.exit()

    @work(exclusive=True)
    async def _go(self, *, stored: bool = False, replace: str = "") -> None:
        value = {field.id: field.value.strip() for field in self.query(Input)}
        value["password"] = self.query_one("#password", Input).value
        self._say("hint", "One moment…")
        try:
            if stored:
                entrance = await self._entering.open_stored(value["url"], value["mobile"])
            elif self._signing_up:
                entrance = await self._entering.sign_up(
                    value["url"], value["mobile"], value["password"], value["name"], value["code"]
                )
            else:
                entrance = await self._entering.log_in(value["url"], value["mobile"], value["password"], replace)
        except (ApiError, LoggedOut) as refused:
            self._refused(refused)
        except (AccountBusyError, UnsafeFolderError, ValueError) as error:
            self._say("reason", str(error))
            self._hint()
        else:
            self.dismiss(entrance)

    def _refused(self, refused: ApiError | LoggedOut) -> None:
        message = refused.reason if isinstance(refused, LoggedOut) else refused.message
        self._say("reason", words.refusal(str(refused.code), message))
        self._hint()
        match refused.code:
            case "credentials_wrong" if not self._signing_up:
                self._signing_up = True
                self.add_class("signing-up")
                self._say("reason", "Nobody has this number with this password.")
                self._say("hint", "New here? Type a name and press Enter to sign up. Esc: try the password again.")
                self.query_one("#name", Input).focus()
            case "already_exists":
                self.action_back()
                self._say("reason", "That is not the password of this number.")
                self.query_one("#password", Input).value = ""
            case "code_missing" | "code_wrong":
                self.add_class("with-code")
                self.query_one("#code", Input).focus()
            case "token_missing":  # of an account that is known and logged out
                self._say("reason", "Log in again.")
                self.query_one("#password", Input).focus()
            case "too_many_devices" if isinstance(refused, ApiError):
                self._offer_devices(refused)
            case "unreachable":
                self._say("reason", f"Nothing answers at {self.query_one('#url', Input).value}.")
                self._say("hint", "Start the server in another terminal: python3 run.py. Then press Enter.")

    def _offer_devices(self, refused: ApiError) -> None:
        self._say("reason", "This account has its full number of devices. Which one shall leave?")
        devices = self.query_one("#devices", OptionList)
        devices.set_options(
            Option(
                Content(words.one_line(f"{each['deviceName'] or each['deviceId']}, last seen {each['lastSeen']}")),
                id=each["deviceId"],
            )
            for each in refused.devices
        )
        self.add_class("replacing")
        devices.highlighted = 0
        devices.focus()
        self._say("hint", "Enter gives its place to this terminal. Esc leaves everything as it is.")

    def _hint(self) -> None:
        self._say("hint", "If the number has no account yet, you can sign up with it in the next step.")

    def _say(self, where: str, text: str) -> None:
        line = self.query_one(f"#{where}", Static)
        line.update(Content(text))
        line.set_class(bool(text), "shown")
        if where == "hint":  # in a low terminal it is below the edge
            self.call_after_refresh(line.scroll_visible, animate=False)
