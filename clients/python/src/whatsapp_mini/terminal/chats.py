"""The list of chats: who, when, what last, how many unread, and who is online or typing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from textual import events
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option
from whatsapp_mini import Message
from whatsapp_mini.terminal import words

_MARKS = {"waiting": "◷ ", "sent": "✓ ", "expired": "✓ ", "delivered": "✓✓ ", "read": "✓✓ ", "failed": "✕ "}


@dataclass(slots=True)
class Chat:
    """One person one talks with, as the list shows them."""

    peer: str
    name: str = ""
    last: Message | None = None
    unread: int = 0
    draft: str = ""
    blocked: bool = False
    online: bool | None = None
    last_seen: int | None = None
    typing: bool = False

    @property
    def title(self) -> str:
        """The name, or the number while no name is known."""
        return words.one_line(self.name) or words.spaced(self.peer)


def two_lines(chat: Chat, width: int, now: datetime, *, is_open: bool) -> Content:
    """A chat in two lines of ``width`` cells."""
    when = words.short(chat.last.timestamp, now) if chat.last else ""
    dot = Content.styled("● ", "$online") if chat.online else Content("  ")
    badge = Content.styled(f" {min(chat.unread, 999)} ", "$badge-text on $badge bold") if chat.unread else Content("")
    title = Content.styled(chat.title, "bold" if chat.unread or is_open else "")
    first = _both(dot + title, Content.styled(when, "$muted"), width)
    return first + "\n" + _both(Content("  ") + _preview(chat, is_open), badge, width)


def _preview(chat: Chat, is_open: bool) -> Content:
    if chat.blocked:
        return Content.styled("blocked", "$bad")
    if chat.typing:
        return Content.styled("typing…", "$online")
    if chat.draft and not is_open:
        return Content.assemble(("Draft: ", "$warning"), (words.one_line(chat.draft[:200]), "$muted"))
    if chat.last is None:
        return Content.styled("No messages yet", "$muted")
    mark = _MARKS[chat.last.state] if chat.last.mine else ""
    style = {"read": "$read", "failed": "$bad"}.get(chat.last.state if chat.last.mine else "", "$muted")
    return Content.assemble((mark, style), (words.one_line(chat.last.text[:200]), "$muted"))


def _both(left: Content, right: Content, width: int) -> Content:
    room = width - right.cell_length - (1 if right else 0)
    return (
        left.truncate(max(1, room), ellipsis=True).pad_right(
            max(0, width - right.cell_length - min(left.cell_length, room))
        )
        + right
    )


class Chats(OptionList):
    """Chats by the time of their last message, the latest first."""

    def __init__(self) -> None:
        super().__init__(id="chats", compact=True)
        self._chats: list[Chat] = []
        self._open = ""

    def show(self, chats: Sequence[Chat], is_open: str) -> None:
        """Show these; the one that is highlighted stays so."""
        moved = is_open != self._open
        self._chats, self._open = list(chats), is_open
        before = self.highlighted_option.id if self.highlighted_option and not moved else is_open
        self._fill(before or "")

    def _fill(self, highlighted: str) -> None:
        width = max(8, self.scrollable_content_region.width - 2)
        now = datetime.now().astimezone()
        with self.prevent(OptionList.OptionHighlighted):
            self.set_options(
                Option(two_lines(chat, width, now, is_open=chat.peer == self._open), id=chat.peer)
                for chat in self._chats
            )
            places = {chat.peer: place for place, chat in enumerate(self._chats)}
            self.highlighted = places.get(highlighted)

    def on_resize(self, _event: events.Resize) -> None:
        """Cut the lines anew."""
        self.call_after_refresh(self._cut_anew)

    def on_show(self) -> None:
        """The list had no width while it was hidden."""
        super().on_show()
        self.call_after_refresh(self._cut_anew)

    def _cut_anew(self) -> None:
        self._fill((self.highlighted_option.id if self.highlighted_option else None) or "")
