"""Where one writes: Enter sends; Shift+Enter, Alt+Enter or Ctrl+J makes a new line."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message as Event
from textual.widgets import TextArea


class Composer(TextArea):
    """A field that grows with what is written."""

    class Submitted(Event):
        """Enter was pressed with this text in it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Leave(Event):
        """The person wants to look at what was said: ``how`` is ``up``, ``pageup`` or ``pagedown``."""

        def __init__(self, how: str) -> None:
            super().__init__()
            self.how = how

    BINDINGS: ClassVar[list[BindingType]] = [
        # Many terminals send the same for Shift+Enter as for Enter. Ctrl+J and Alt+Enter work in all of them.
        Binding("shift+enter,alt+enter,ctrl+j,newline", "newline", "New line", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="composer", compact=True, highlight_cursor_line=False, placeholder="Message")
        self.cursor_blink = False  # over a slow line each blink costs as much as a key

    def action_newline(self) -> None:
        """Begin a new line where the cursor is."""
        self.insert("\n")

    async def _on_key(self, event: events.Key) -> None:
        leaves = {"pageup": True, "pagedown": True, "up": self.cursor_at_first_line and not self.text}
        if event.key == "enter":
            self._taken(event)
            text = self.text
            self.clear()  # at once: what is typed next belongs to the next message
            self.post_message(self.Submitted(text))
        elif leaves.get(event.key):
            self._taken(event)
            self.post_message(self.Leave(event.key))
        else:
            await super()._on_key(event)

    def give_back(self, text: str) -> None:
        """It could not be sent: it stands here again, before what was typed meanwhile."""
        self.text = text + self.text
        self.move_cursor(self.document.end)

    @staticmethod
    def _taken(event: events.Key) -> None:
        event.stop()
        event.prevent_default()
