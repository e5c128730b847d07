"""Puts a session with a bug into the product; and those bugs that show only there, and not in the simulation."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import structlog

from delivery.results import FIRST_ENTRY
from delivery.session import connection as shell
from delivery.session import effects as do
from delivery.session.effects import Effect
from delivery.session.session import Session
from tools.chaos.bugs.base import replace
from tools.session_bugs import TamperedSession, fetched_chats, frames_of

logger = structlog.get_logger(__name__)


def session_bug(session: type[Session]) -> Callable[[], None]:
    """A patch: every connection of this process gets a session of this class."""

    def patch() -> None:
        replace(shell, "Session", session)

    return patch


class SenderFromFrame(TamperedSession):
    """The sender is who the frame says. ``claimed``: that person, by the real sender and the recipient."""

    claimed: Final[dict[tuple[str, str], str]] = {}

    def message(self, data: str | bytes, now: float) -> float:
        """Believe ``from``."""
        for frame in frames_of(data):
            if frame.get("type") == "chat" and frame.get("from"):
                self.claimed[self._mobile, str(frame.get("to"))] = str(frame["from"])
        return super().message(data, now)


class PoisonLoops(TamperedSession):
    """CountFailure becomes FetchEntries: an entry that cannot be encoded is tried again for as long as we are here."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Fetch instead of counting."""
        if isinstance(effect, do.CountFailure):
            effect = self.own(do.FetchEntries("again", 1, FIRST_ENTRY, [effect.stream_id], []))
        yield effect

    def own_reply(self, effect: Effect, result: Any, now: float) -> None:
        """Encode it, and fetch it again when that fails."""
        for chat in fetched_chats(result):
            try:
                self.emit_own(do.SendEntries(self._dialect.chat(chat, self._mobile, "online")))
            except Exception:
                logger.exception("an entry could not be encoded", stream_id=chat.stream_id)
                self.emit_own(do.FetchEntries("again", 1, FIRST_ENTRY, [chat.stream_id], []))
