"""The lines at the top: the state of the connection while it is lost, oneself, and the other one."""

from datetime import datetime

from textual.content import Content
from textual.widgets import Static
from whatsapp_mini import ConnectionState
from whatsapp_mini.terminal import words
from whatsapp_mini.terminal.chats import Chat
from whatsapp_mini.terminal.connection import banner, status


class Banner(Static):
    """One line, shown while there is something to say."""

    def show(self, text: str) -> None:
        """Show this; "" hides the line."""
        self.update(Content(text))
        self.set_class(bool(text), "shown")


class ConnectionBanner(Banner):
    """Why one is not online, and how many seconds until the next try."""

    def __init__(self, url: str) -> None:
        super().__init__(id="banner")
        self._url = url
        self._was_online = False

    def show_state(self, state: ConnectionState, now: datetime) -> None:
        """What there is to say of this state."""
        self._was_online = self._was_online or state.name == "online"
        self.show(banner(state, self._url, was_online=self._was_online, now=now.timestamp()))


class Me(Static):
    """Oneself: name, connection, number."""

    def __init__(self, name: str, mobile: str) -> None:
        super().__init__(id="me")
        self._me, self._mobile = name, mobile

    def show(self, state: ConnectionState) -> None:
        """Whether one is online."""
        number = (words.spaced(self._mobile), "$muted")
        self.update(Content.assemble((self._me, "bold"), "  ", status(state), "\n", number))


class Who(Static):
    """The other one: name, number, presence."""

    def __init__(self) -> None:
        super().__init__(id="who")

    def show(self, chat: Chat, now: datetime) -> None:
        """What is known of them now."""
        presence = words.presence(chat.online, chat.last_seen, now) or " "
        number = (f"  {words.spaced(chat.peer)}" if chat.name else "", "$muted")
        style = "$online" if chat.online else "$muted"
        self.update(Content.assemble((chat.title, "bold"), number, "\n", (presence, style)))
