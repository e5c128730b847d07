"""One message on the screen, and the lines between messages."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.selection import Selection
from textual.widgets import Static
from whatsapp_mini import Message
from whatsapp_mini.terminal import words

_NARROWEST, _WIDEST = 16, 78
_PADDING = 2
_TICK_STYLES = {"read": "$read bold", "failed": "$bad bold", "waiting": "$warning"}


def lay_out(text: str, meta: Content, width: int) -> list[Content]:
    """The lines of a bubble that is at most ``width`` cells wide.

    What is said of the message (``meta``) stands at the right of the last line where there is room, else below it.
    """
    lines = [line for part in text.split("\n") for line in Content(part).wrap(width) or [Content("")]]
    widest = max(line.cell_length for line in lines)
    beside = lines[-1].cell_length + 2 + meta.cell_length
    if beside <= max(widest, min(width, beside)):
        lines[-1] = lines[-1].pad_right(max(widest, beside) - lines[-1].cell_length - meta.cell_length) + meta
    else:
        lines.append(meta.pad_left(max(0, widest - meta.cell_length)))
    return lines


def meta_of(message: Message) -> Content:
    """The time, and of one's own the tick with its word."""
    time = words.clock(message.timestamp)
    if not message.mine:
        return Content.styled(time, "$muted")
    tick = words.TICKS[message.state]
    if message.state == "failed":
        tick += " · Ctrl+R tries again"
    return Content.assemble((f"{time} ", "$muted"), (tick, _TICK_STYLES.get(message.state, "$muted")))


class Bubble(Static):
    """What was said, when, and what became of it."""

    def __init__(self, message: Message) -> None:
        super().__init__(classes="bubble mine" if message.mine else "bubble theirs")
        self.message = message
        self._width = 0
        self.lines = 1

    def change(self, message: Message) -> None:
        """The same message in another state."""
        self.message = message
        width, self._width = self._width, 0
        self.lay_out_for(width)

    def lay_out_for(self, width: int) -> None:
        """Show it in a row that is ``width`` cells wide; in 0, not yet."""
        if width not in (0, self._width):
            self._width = width
            room = max(_NARROWEST, min(_WIDEST, max(width * 4 // 5, width - 8)) - _PADDING)
            lines = lay_out(words.printable(self.message.text).expandtabs(4), meta_of(self.message), room)
            self.lines = len(lines)
            self.update(Content("\n").join(lines))

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """A message that is marked as a whole is copied as it was written, without the time."""
        if selection.start is None and selection.end is None:
            return self.message.text, "\n"
        return super().get_selection(selection)


class Row(Vertical):
    """A bubble at its side of the conversation; one's own are at the right."""

    def __init__(self, message: Message, above: Message | None) -> None:
        """``above`` is the message that stands right above it; None where a line is between them."""
        super().__init__(classes="row mine" if message.mine else "row theirs")
        self.bubble = Bubble(message)
        self._above = above

    def separate(self, above: "Row | None") -> None:
        """Leave a line free above, where it could not be seen otherwise that another message begins.

        Short messages of one person stand close together: their ends are of different length.
        """
        if self._above is not None and above is not None:
            other = self._above.mine != self.bubble.message.mine
            self.set_class(other or above.bubble.lines > 1 or self.bubble.lines > 1, "apart")

    def compose(self) -> ComposeResult:
        yield self.bubble


class Between(Static):
    """A line between messages: a day, or where the new ones begin."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(Content(text), classes=f"between {kind}")
