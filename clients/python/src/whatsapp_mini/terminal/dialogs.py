"""Small screens above the conversation: a question, the list of keys, finding people and messages."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

HELP = (
    ("Write", (
        ("Enter", "send"),
        ("Shift+Enter, Alt+Enter, Ctrl+J", "new line"),
        ("PageUp, Up in an empty field", "look at earlier messages"),
    )),
    ("In the conversation", (
        ("Up, Down", "choose a message"),
        ("Ctrl+C", "copy it"),
        ("End", "to the newest"),
        ("Esc", "write again"),
    )),
    ("Chats", (
        ("Ctrl+O", "find a chat, or write to a number"),
        ("Ctrl+N, Ctrl+P", "next chat, previous chat"),
        ("Esc", "to the list of chats"),
        ("Ctrl+F", "search in what was said"),
        ("Ctrl+R", "send again what was not sent"),
        ("F4", "block or unblock this person"),
    )),
    ("And", (
        ("F5", "connect now, when it is lost"),
        ("F6", "light or dark"),
        ("F1", "this page"),
        ("Ctrl+Q", "leave; messages wait for you"),
    )),
)  # fmt: skip
COMMANDS = (
    ("/new NUMBER", "write to a number"),
    ("/search TEXT", "search in what was said"),
    ("/block, /unblock", "this person"),
    ("/retry", "send again what was not sent"),
    ("/copy", "copy the last message"),
    ("/logout", "log out here; the history stays"),
    ("/help, /theme, /quit", ""),
    ("//text", "sends /text"),
)


class Question(ModalScreen[bool]):
    """Yes or no. Enter and y say yes, Esc and n say no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]

    def __init__(self, question: str, explanation: str, yes: str) -> None:
        super().__init__()
        self._question, self._explanation, self._yes = question, explanation, yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._question, "bold"))
            yield Static(Content(self._explanation), classes="gap")
            yield Static(
                Content.assemble(("y", "$key bold"), f" {self._yes}    ", ("Esc", "$key bold"), " Cancel"),
                classes="gap",
            )

    def action_answer(self, answer: bool) -> None:
        """End with it."""
        self.dismiss(answer)


class Help(ModalScreen[None]):
    """Which key does what."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog help"):
            for title, keys in HELP:
                yield Static(Content.styled(title, "bold"))
                yield Static(_table(keys), classes="table")
            yield Static(Content.styled("Or type", "bold"))
            yield Static(_table(COMMANDS), classes="table")
            yield Static(
                Content.styled(
                    "Marking with the mouse and Ctrl+C copies. With Shift held, the terminal itself marks.",
                    "$muted",
                )
            )
            yield Static(Content.assemble(("Esc", "$key bold"), " Close"), classes="gap")

    def on_mount(self) -> None:
        """The arrow keys scroll it."""
        self.query_one(VerticalScroll).focus()


def _table(rows: Sequence[tuple[str, str]]) -> Content:
    lines = [Content.assemble((f"  {keys:<31}", "$key"), what) for keys, what in rows]
    return Content("\n").join(lines)


class Find(ModalScreen[str | None]):
    """A field, and below it what fits to what is typed in it. It ends with the id of the one that was taken."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("up,ctrl+p", "move(-1)", "Up", show=False, priority=True),
        Binding("down,ctrl+n", "move(1)", "Down", show=False, priority=True),
    ]

    def __init__(
        self, title: str, hint: str, search: Callable[[str], Sequence[tuple[str, Content]]], text: str
    ) -> None:
        """``search`` gives ids and what is shown of them."""
        super().__init__()
        self._title, self._hint, self._search, self._text = title, hint, search, text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog find"):
            yield Static(Content.styled(self._title, "bold"))
            yield Input(self._text, placeholder=self._hint, compact=True)
            yield OptionList(compact=True)
            keys = Content.assemble(
                ("Enter", "$key bold"),
                " take   ",
                ("Up Down", "$key bold"),
                " choose   ",
                ("Esc", "$key bold"),
                " close",
            )
            yield Static(keys, classes="gap")

    def on_mount(self) -> None:
        """What fits to the text that is there already."""
        self.query_one(Input).focus()
        self._fill(self._text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search anew."""
        self._fill(event.value)

    def _fill(self, text: str) -> None:
        found = self.query_one(OptionList)
        found.set_options(Option(shown, id=each) for each, shown in self._search(text))
        found.highlighted = 0 if found.option_count else None

    def action_move(self, by: int) -> None:
        """Up and down in the list, while one types in the field."""
        found = self.query_one(OptionList)
        if found.highlighted is not None:
            found.highlighted = max(0, min(found.option_count - 1, found.highlighted + by))

    def on_input_submitted(self, _event: Input.Submitted) -> None:
        """Take the one that is highlighted."""
        option = self.query_one(OptionList).highlighted_option
        if option is not None:
            self.dismiss(option.id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the one that was clicked."""
        self.dismiss(event.option.id)
