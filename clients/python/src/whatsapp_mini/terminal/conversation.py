"""What was said with one person, as far as it is loaded; earlier messages come when one scrolls to the top."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message as Event
from whatsapp_mini import Message
from whatsapp_mini.terminal import words
from whatsapp_mini.terminal.bubbles import Between, Row

Key = tuple[bool, str, str]


def key(message: Message) -> Key:
    """What tells messages of one conversation apart. Others may use an id twice, for another text (C30)."""
    return message.mine, message.id, "" if message.mine else message.text


class Conversation(VerticalScroll):
    """Bubbles with days between them. One of them may be chosen with the arrow keys, to be copied or sent again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Up", show=False),
        Binding("down", "choose(1)", "Down", show=False),
        Binding("ctrl+c", "copy", "Copy"),
        Binding("end", "newest", "Newest", show=False),
    ]

    class Earlier(Event):
        """What was before the first message shown is wanted."""

    class Copied(Event):
        """The chosen message is to be copied."""

        def __init__(self, message: Message) -> None:
            super().__init__()
            self.message = message

    class Back(Event):
        """The person wants to write again."""

    class Typed(Event):
        """A key was pressed here that is meant for the message one writes."""

        def __init__(self, pressed: events.Key) -> None:
            super().__init__()
            self.pressed = pressed

    def __init__(self) -> None:
        super().__init__(id="conversation")
        self.rows: dict[Key, Row] = {}
        self._order: list[Key] = []
        self._chosen: Key | None = None
        self.asked_for_earlier = True
        self._passes_on = False
        """Whether keys are meant for the field: the first one was, and the focus is on its way there."""
        self._follows = True
        """Whether new messages are brought into view: until somebody scrolls up, and again when they are back."""

    @property
    def messages(self) -> list[Message]:
        """Those that are shown, in their order."""
        return [self.rows[each].bubble.message for each in self._order]

    async def show(
        self,
        messages: Sequence[Message],
        *,
        new: int = 0,
        note: str = "",
        more: bool = False,
        to: Message | None = None,
    ) -> None:
        """Show these and nothing else.

        :param new: so many at the end are new: a line says so
        :param note: what stands above the first message
        :param more: whether there are earlier ones
        :param to: choose this one, and bring it into view, in place of the first new one or the last
        """
        await self.remove_children()
        self.rows, self._order, self._chosen = {}, [], None
        new_from = len(messages) - new if new else -1
        widgets: list[Row | Between] = [Between(note, "note")] if note else []
        before: Message | None = None
        for place, message in enumerate(messages):
            begins = place == new_from
            widgets += self._with_lines(message, before, words.count(new, "new message") if begins else "")
            before = message
        await self.mount_all(widgets)
        self._fit()
        self.asked_for_earlier = not more
        self._follows = not new and to is None
        if to is not None:
            self.call_after_refresh(self._choose, key(to))
        elif new:
            self.call_after_refresh(self._bring, self._order[new_from])
        else:
            self.call_after_refresh(self.scroll_end, animate=False)

    async def prepend(self, messages: Sequence[Message], *, more: bool, note: str = "") -> None:
        """Earlier ones come in above; what one looked at stays where it is."""
        first = self.messages[0] if self._order else None
        anchor = self.rows[self._order[0]] if self._order else None
        kept, self._order = self._order, []
        widgets: list[Row | Between] = [Between(note, "note")] if note else []
        before: Message | None = None
        for message in messages:
            widgets += self._with_lines(message, before)
            before = message
        self._order += kept
        # The first one shown had the line of its day; it needs none if the message above it is of that day.
        same_day = before and first and words.day(before.timestamp, _now()) == words.day(first.timestamp, _now())
        if same_day and isinstance(self.children[0], Between):
            await self.children[0].remove()
        await self.mount_all(widgets, before=0)
        self._fit()
        self.asked_for_earlier = not more
        if anchor is not None:
            self.call_after_refresh(self.scroll_to_widget, anchor, animate=False, top=True)

    async def add(self, message: Message) -> None:
        """A message that is new here; or the same one in another state."""
        if key(message) in self.rows:
            self.rows[key(message)].bubble.change(message)
            return
        self._follows = self._follows or message.mine
        before = self.messages[-1] if self._order else None
        await self.mount_all(self._with_lines(message, before))
        self._fit()
        if self._follows:
            self.call_after_refresh(self.scroll_end, animate=False)

    def seen(self) -> list[Message]:
        """Messages of the other one that have been in view: all above the lower edge."""
        if self._follows:
            return [message for message in self.messages if not message.mine]
        edge = self.scroll_offset.y + self.size.height
        rows = (self.rows[each] for each in self._order)
        return [row.bubble.message for row in rows if not row.bubble.message.mine and row.virtual_region.bottom <= edge]

    def below(self) -> int:
        """How many messages of the other one are below what can be seen."""
        edge = self.scroll_offset.y + self.size.height
        rows = (self.rows[each] for each in self._order)
        return sum(not row.bubble.message.mine and row.virtual_region.y >= edge for row in rows)

    def _with_lines(self, message: Message, before: Message | None, new: str = "") -> list[Row | Between]:
        now = _now()
        lines: list[Row | Between] = []
        day = words.day(message.timestamp, now)
        if before is None or words.day(before.timestamp, now) != day:
            lines.append(Between(day, "day"))
        if new:
            lines.append(Between(new, "new"))
        row = Row(message, before if not lines else None)
        self.rows[key(message)] = row
        self._order.append(key(message))
        return [*lines, row]

    def _fit(self) -> None:
        width = self.scrollable_content_region.width
        above = None
        for row in (self.rows[each] for each in self._order):
            row.bubble.lay_out_for(width)
            row.separate(above)
            above = row

    def on_resize(self, _event: events.Resize) -> None:
        """Lay everything out anew, and stay at the end if that is where one was."""
        follows = self._follows
        self._fit()
        if follows:
            self._follows = True
            self.call_after_refresh(self.scroll_end, animate=False)

    def watch_scroll_y(self, old: float, new: float) -> None:
        """At the top, ask for what was before."""
        super().watch_scroll_y(old, new)
        self._follows = new >= self.max_scroll_y - 1 or (self._follows and new >= old)
        if new <= 1 and old > new and not self.asked_for_earlier:
            self.asked_for_earlier = True
            self.post_message(self.Earlier())
        self.post_message(self.Moved())

    class Moved(Event):
        """Other messages are in view."""

    def on_key(self, event: events.Key) -> None:
        """Letters go where one writes; Escape and Enter go back there.

        Somebody who types fast has typed more before the focus is there: all of it follows, Enter too.
        """
        if event.is_printable or (event.key == "enter" and self._passes_on):
            event.stop()
            self._passes_on = True
            self.post_message(self.Typed(event))
        elif event.key in ("escape", "enter"):
            event.stop()
            self.post_message(self.Back())

    def on_focus(self, _event: events.Focus) -> None:
        """The keys are meant for this again."""
        self._passes_on = False

    def on_blur(self, _event: events.Blur) -> None:
        """Nothing is chosen while one writes."""
        self._choose(None)

    def action_choose(self, by: int) -> None:
        """The next one up or down; below the last one is where one writes."""
        if not self._order:
            return
        place = self._order.index(self._chosen) + by if self._chosen in self.rows else len(self._order) - 1
        if place >= len(self._order):
            self.post_message(self.Back())
        else:
            self._choose(self._order[max(0, place)])

    def action_copy(self) -> None:
        """Copy what is marked with the mouse, else the chosen one."""
        if self.screen.get_selected_text():
            self.screen.action_copy_text()
        elif self._chosen in self.rows:
            self.post_message(self.Copied(self.rows[self._chosen].bubble.message))

    def action_newest(self) -> None:
        """To the end."""
        self.scroll_end(animate=False)

    def _choose(self, wanted: Key | None) -> None:
        if self._chosen in self.rows:
            self.rows[self._chosen].remove_class("chosen")
        self._chosen = wanted
        if wanted in self.rows:
            self.rows[wanted].add_class("chosen")
            self.scroll_to_widget(self.rows[wanted], animate=False, immediate=True)

    def _bring(self, wanted: Key) -> None:
        if wanted in self.rows:
            self.scroll_to_widget(self.rows[wanted], animate=False, top=True, immediate=True)
            self._follows = self.scroll_target_y >= self.max_scroll_y - 1


def _now() -> datetime:
    return datetime.now().astimezone()
