"""The screen one talks on: the chats at the left, a conversation at the right; on a narrow terminal, one of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static, TextArea
from whatsapp_mini import ApiError, ClientError, Ended, Events, Message, SendFailed, events
from whatsapp_mini.terminal import finding, words
from whatsapp_mini.terminal.book import Book
from whatsapp_mini.terminal.chats import Chat, Chats
from whatsapp_mini.terminal.composer import Composer
from whatsapp_mini.terminal.conversation import Conversation
from whatsapp_mini.terminal.dialogs import Find, Help, Question
from whatsapp_mini.terminal.entering import Entrance
from whatsapp_mini.terminal.header import Banner, ConnectionBanner, Me, Who
from whatsapp_mini.terminal.people import People, PeopleError

PAGE: Final = 60
"""So many messages are loaded at once."""
NOTE: Final = "The server keeps a message only until it is delivered. This history is on your machine."


class Talk(Screen[str]):
    """It ends with why one is logged out, or "" when the person wants to leave the account."""

    AUTO_FOCUS = "Composer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", key_display="F1"),
        Binding("ctrl+o", "open", "Open", priority=True),
        Binding("ctrl+f", "search", "Search", priority=True),
        Binding("ctrl+n", "next(1)", "Next", priority=True),
        Binding("ctrl+p", "next(-1)", "Previous", show=False, priority=True),
        Binding("ctrl+r", "retry", "Send again", priority=True),
        Binding("f4", "block", "Block", key_display="F4"),
        Binding("f5", "connect_now", "Connect", key_display="F5"),
        Binding("escape", "back", "Chats", key_display="Esc"),
        Binding("ctrl+q", "app.quit", "Quit", priority=True),
    ]

    def __init__(self, entrance: Entrance, happening: Events, book: Book) -> None:
        super().__init__()
        self._client, self._me, self._url = entrance.client, entrance.name, entrance.account.url
        self._happening, self._book, self._people = happening, book, People(self._client, book)
        self.peer = ""
        self._chats: dict[str, Chat] = {}
        self._state = self._client.state

    def compose(self) -> ComposeResult:
        yield ConnectionBanner(self._url)
        with Horizontal():
            with Vertical(id="left"):
                yield Me(self._me, self._client.mobile_no)
                yield Chats()
                yield Static(id="empty")
            with Vertical(id="right"):
                yield Who()
                yield Conversation()
                yield Static(id="typing")
                yield Banner(id="note")
                with Horizontal(id="write"):
                    yield Static("› ", id="prompt")
                    yield Composer()
                    yield Static(id="others")
                    yield Static(id="waiting")
                yield Static(id="nobody")
        yield Footer(show_command_palette=False, compact=True)

    # ---- beginning

    async def on_mount(self) -> None:
        """Show what is known, then what comes."""
        self._chats = {chat.peer: chat for chat in self._book.chats()}
        self._follow()
        self.set_interval(1, self._each_second)
        self._invite()
        self._show_connection()
        await self._go_to(next(iter(self._sorted()), Chat("")).peer, focus=True)
        self._client.watch(list(self._chats))

    def _invite(self) -> None:
        number, keys = f"Your number is {self._client.mobile_no}", "Ctrl+O writes to somebody · F1 shows all keys"
        alone = "To try it alone: run this again in a second terminal, sign up with another number, and talk."
        for where in ("#nobody", "#empty"):
            self.query_one(where, Static).update(Content(f"{number}\n\n{keys}\n\n{alone}"))

    @work(exclusive=True, group="events")
    async def _follow(self) -> None:
        async for event in self._happening:
            await self._handle(event)

    async def _handle(self, event: events.Event) -> None:
        match event:
            case events.StateChanged(state):
                self._state = state
                await self._state_changed()
            case events.MessageCame(message) | events.Own(message):
                await self._changed(message.peer, [message])
                self._find_name(message.peer)
                if not self.peer:
                    await self._go_to(message.peer, focus=True)
            case events.Posted(message) | events.Failed(message):
                await self._changed(message.peer, [message])
            case events.Tick(peer, ids):
                await self._changed(peer, self._book.mine(peer, ids))
            case events.OwnRead(peer):
                await self._changed(peer, [])
            case events.Typing(peer, active):
                self._chat(peer).typing = active
                self._show_peer(peer)
            case events.Presence(mobile_no, online, last_seen):
                chat = self._chat(mobile_no)
                chat.online, chat.last_seen = online, last_seen
                self._show_peer(mobile_no)
            case events.Notice(code, message):
                self.notify(words.refusal(code, message), severity="warning")

    async def _state_changed(self) -> None:
        if self._state.name == "loggedOut":
            self.dismiss(words.refusal(str(self._state.code or ""), self._state.reason or ""))
            return
        if self._state.name == "online":
            self._refresh_people()
        else:
            for chat in self._chats.values():
                chat.online, chat.typing = None, False
        self._show_connection()
        self._show_list()
        self._show_who()

    # ---- what is shown

    def _chat(self, peer: str) -> Chat:
        return self._chats.setdefault(peer, Chat(peer))

    def _sorted(self) -> list[Chat]:
        shown = [chat for chat in self._chats.values() if chat.last or chat.draft or chat.peer == self.peer]
        return sorted(shown, key=lambda chat: chat.last.timestamp if chat.last else 1 << 62, reverse=True)

    async def _changed(self, peer: str, messages: Sequence[Message]) -> None:
        """These messages of a chat are new, or in another state."""
        chat, kept = self._chat(peer), self._book.chat(peer)
        chat.last, chat.unread, chat.name = kept.last, kept.unread, kept.name
        if messages and not messages[-1].mine:
            chat.typing = False
        if peer == self.peer:
            for message in messages:
                await self.query_one(Conversation).add(message)
            self.call_after_refresh(self._mark_seen)
        self._show_peer(peer)
        self._show_waiting()

    def _show_peer(self, peer: str) -> None:
        self._show_list()
        if peer == self.peer:
            self._show_who()

    def _show_list(self) -> None:
        chats = self._sorted()
        self.set_class(not chats, "no-chats")
        self.query_one(Chats).show(chats, self.peer)
        if self.peer:
            self._show_back()

    def _show_who(self) -> None:
        chat = self._chat(self.peer) if self.peer else Chat("")
        self.query_one(Who).show(chat, _now())
        self.query_one("#typing", Static).update(Content(f"{chat.title} is typing…" if chat.typing else ""))
        self.query_one("#note", Banner).show(f"You blocked {chat.title}. F4 unblocks." if chat.blocked else "")
        self.refresh_bindings()

    def _show_back(self) -> None:
        """On a narrow terminal the list cannot be seen: say beside the field that others wrote."""
        others = sum(chat.unread for chat in self._chats.values() if chat.peer != self.peer and not chat.blocked)
        self.query_one("#others", Static).update(Content(f" Esc: {others} new " if others else ""))

    def _show_connection(self) -> None:
        self.query_one(ConnectionBanner).show_state(self._state, _now())
        self.query_one(Me).show(self._state)
        self._show_waiting()
        self.refresh_bindings()

    def _show_waiting(self) -> None:
        many = self._book.waiting() if self._state.name != "online" else 0
        self.query_one("#waiting", Static).update(Content(f"{many} waiting" if many else ""))

    # ---- going from one conversation to another

    async def _go_to(self, peer: str, *, focus: bool = False, until: Message | None = None) -> None:
        """Show a conversation; ``until``: back to this message."""
        composer = self.query_one(Composer)
        self.keep_draft()
        self.peer = peer
        self.set_class(not peer, "nobody")
        if peer:
            chat = self._chat(peer)
            # Before anything is awaited: what is typed meanwhile comes behind the draft, and not in its place.
            composer.text = chat.draft
            composer.move_cursor(composer.document.end)
            chat.unread = self._book.chat(peer).unread
            messages = self._book.messages(peer, count=PAGE, since=until)
            more = len(messages) >= PAGE
            await self.query_one(Conversation).show(
                messages,
                new=chat.unread if chat.unread < len(messages) else 0,
                more=more,
                note="" if more else NOTE,
                to=until,
            )
            self._client.watch([peer])
            self._find_name(peer)
            self.add_class("in-chat")
            if focus:
                composer.focus()
            self.call_after_refresh(self._mark_seen)
        self._show_list()
        self._show_who()

    def keep_draft(self) -> None:
        """What is being written is there at the next start, too."""
        text = self.query_one(Composer).text
        if self.peer and text != self._chat(self.peer).draft:
            self._chat(self.peer).draft = text
            self._book.keep_draft(self.peer, text)

    def _each_second(self) -> None:
        self._show_connection()
        self.keep_draft()

    @on(OptionList.OptionSelected, "#chats")
    async def _chosen_in_list(self, event: OptionList.OptionSelected) -> None:
        await self._go_to(event.option.id or "", focus=True)

    async def action_next(self, by: int) -> None:
        """The chat below or above."""
        peers = [chat.peer for chat in self._sorted()]
        if peers:
            place = peers.index(self.peer) + by if self.peer in peers else 0
            await self._go_to(peers[place % len(peers)], focus=True)

    def action_back(self) -> None:
        """To the list."""
        self.remove_class("in-chat")
        self.query_one(Chats).focus()

    def action_help(self) -> None:
        """Which key does what."""
        self.app.push_screen(Help())

    @work
    async def action_open(self, text: str = "") -> None:
        """Find a chat, or write to a number."""
        found = await self.app.push_screen_wait(
            Find(
                "Open a chat",
                "A name, or a mobile number with its country code",
                lambda wanted: finding.chats(self._sorted(), wanted),
                text,
            )
        )
        if found is not None:
            await self.open_number(found.removeprefix(finding.NEW)) if found.startswith(
                finding.NEW
            ) else await self._go_to(found, focus=True)

    async def open_number(self, text: str) -> None:
        """Open a chat with somebody by their number, as it was typed."""
        try:
            peer, name = await self._people.find(text)
        except PeopleError as refused:
            self.notify(str(refused), severity="error")
            return
        self._chat(peer).name = name or self._chat(peer).name
        await self._go_to(peer, focus=True)

    @work
    async def action_search(self, text: str = "") -> None:
        """Search in everything that was said."""
        found = await self.app.push_screen_wait(
            Find(
                "Search",
                "A word that was said",
                lambda wanted: finding.messages(self._book, self._chats, wanted, _now()),
                text,
            )
        )
        if found is not None:
            message = self._book.by_row(int(found))
            await self._go_to(message.peer, until=message)
            self.query_one(Conversation).focus()

    # ---- writing

    @on(Composer.Submitted)
    async def _submitted(self, event: Composer.Submitted) -> None:
        text = event.text.strip("\n")
        if text.startswith("/") and not text.startswith("//"):
            await self._command(text)
        elif text.strip():
            await self._send(text.removeprefix("/") if text.startswith("//") else text)

    async def _send(self, text: str) -> None:
        if self._chat(self.peer).blocked:
            self.notify("You blocked this person. F4 unblocks.", severity="warning")
            self.query_one(Composer).give_back(text)
            return
        try:
            await self._client.post(self.peer, text)
        except SendFailed as refused:
            self.notify(words.why(refused), severity="error")
            self.query_one(Composer).give_back(text)
        else:
            self.keep_draft()

    async def _command(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        commands: dict[str, Callable[[], Awaitable[None] | object]] = {
            "help": self.action_help,
            "new": lambda: self.action_open(rest),
            "open": lambda: self.action_open(rest),
            "search": lambda: self.action_search(rest),
            "block": lambda: self._ask_block(block=True),
            "unblock": lambda: self._ask_block(block=False),
            "retry": self.action_retry,
            "copy": self._copy_last,
            "theme": lambda: self.app.run_action("change_colours"),
            "logout": self._log_out,
            "quit": self.app.exit,
        }
        if name not in commands:
            self.notify(f"There is no command /{name}. F1 lists them; //{name} sends it as text.", severity="warning")
            self.query_one(Composer).give_back(text)
            return
        done = commands[name]()
        if isinstance(done, Awaitable):
            await done

    @on(TextArea.Changed, "#composer")
    def _typing(self) -> None:
        text = self.query_one(Composer).text
        if self.peer and text != self._chat(self.peer).draft and not self._chat(self.peer).blocked:
            self._client.typing(self.peer, bool(text.strip()) and not text.startswith("/"))

    @on(Composer.Leave)
    def _leave_composer(self, event: Composer.Leave) -> None:
        conversation = self.query_one(Conversation)
        if event.how == "up":
            conversation.focus()
            conversation.action_choose(-1)
        else:
            conversation.scroll_page_up() if event.how == "pageup" else conversation.scroll_page_down()

    @on(Conversation.Back)
    def _write_again(self) -> None:
        self.query_one(Composer).focus()

    @on(Conversation.Typed)
    def _typed_elsewhere(self, event: Conversation.Typed) -> None:
        composer = self.query_one(Composer)
        self.set_focus(composer)
        composer.post_message(Key(event.pressed.key, event.pressed.character))

    @on(Conversation.Copied)
    def _copy_chosen(self, event: Conversation.Copied) -> None:
        self._copy(event.message)

    def _copy_last(self) -> None:
        if messages := self.query_one(Conversation).messages:
            self._copy(messages[-1])

    def _copy(self, message: Message) -> None:
        self.app.copy_to_clipboard(message.text)
        self.notify("Copied.")

    # ---- reading

    @on(Conversation.Earlier)
    async def _load_earlier(self) -> None:
        conversation = self.query_one(Conversation)
        first = conversation.messages[0]
        earlier = self._book.messages(self.peer, count=PAGE, before=first)
        more = len(earlier) >= PAGE
        await conversation.prepend(earlier, more=more, note="" if more else NOTE)

    @on(Conversation.Moved)
    def _moved(self) -> None:
        below = self.query_one(Conversation).below()
        if not self._chat(self.peer).typing:
            text = f"↓ {words.count(below, 'new message')} below" if below else ""
            self.query_one("#typing", Static).update(Content(text))
        self.call_after_refresh(self._mark_seen)

    def on_screen_resume(self) -> None:
        """A dialog was closed: what it hid is seen now."""
        self._mark_seen()

    @work(exclusive=True, group="reading")
    async def _mark_seen(self) -> None:
        """Tell that what is in view was read, if somebody looks at this terminal."""
        in_view = self.peer and self.app.app_focus and self.is_current and self.query_one("#right").display
        if not in_view:
            return
        conversation = self.query_one(Conversation)
        unread = [message for message in conversation.seen() if message.state == "new"]
        if unread:
            peer = self.peer
            try:
                await self._client.mark_read(peer, [message.id for message in unread])
            except ClientError:
                return  # somebody leaves at this moment: they are unread, and told the next time
            await self._changed(peer, [replace(message, state="read") for message in unread])

    # ---- people

    @work(group="people")
    async def _refresh_people(self) -> None:
        """Who is blocked, and names that are not known yet."""
        blocked = await self._people.blocked()
        for chat in self._chats.values():
            chat.blocked = chat.blocked if blocked is None else chat.peer in blocked
        await self._name_them([chat.peer for chat in self._chats.values() if not chat.name])

    @work(group="people")
    async def _find_name(self, peer: str) -> None:
        if not self._chat(peer).name:
            await self._name_them([peer])

    async def _name_them(self, peers: list[str]) -> None:
        for peer, name in (await self._people.names(peers) if peers else {}).items():
            self._chat(peer).name = name
        self._show_list()
        self._show_who()

    def action_block(self) -> None:
        """Block this person, or unblock them."""
        if self.peer:
            self._ask_block(block=not self._chat(self.peer).blocked)

    @work
    async def _ask_block(self, *, block: bool) -> None:
        chat = self._chat(self.peer)
        text = "Nothing they write reaches you, and to them you look offline. They are not told."
        if not block:
            text = "What they write reaches you again. What they wrote meanwhile does not come."
        verb = "Block" if block else "Unblock"
        if not await self.app.push_screen_wait(Question(f"{verb} {chat.title}?", text, verb)):
            return
        try:
            await self._people.block(chat.peer, block=block)
        except PeopleError as refused:
            self.notify(str(refused), severity="error")
        else:
            chat.blocked = block
            self._show_peer(chat.peer)

    # ---- the rest

    async def action_retry(self) -> None:
        """Send again what was refused, in this conversation."""
        for message in self._book.failed(self.peer):
            await self._client.retry(message.id)
        await self._go_to(self.peer)  # they are the last ones now, and may have another id

    def action_connect_now(self) -> None:
        """Do not wait until the pause is over."""
        self._client.connect_now()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The footer shows what can be done now."""
        match action:
            case "retry":
                return bool(self.peer) and bool(self._book.failed(self.peer))
            case "connect_now":
                return self._state.name in ("pausing", "stopped")
            case "block":
                return bool(self.peer)
            case "next":
                return len(self._chats) > 1
        return True

    @work
    async def _log_out(self) -> None:
        question = Question(
            "Log out on this machine?", "The history stays here. Messages wait on the server.", "Log out"
        )
        if not await self.app.push_screen_wait(question):
            return
        try:
            await self._client.api.log_out()
        except (ApiError, Ended) as refused:
            self.notify(words.why(refused), severity="error")


def _now() -> datetime:
    return datetime.now().astimezone()
