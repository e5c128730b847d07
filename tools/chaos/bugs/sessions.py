"""Sessions with a bug: their settings, inputs, effects or replies are changed on the way.

Like the session that they are made of, they do no I/O. The campaign puts one into the product (:func:`session_bug`),
the simulation (tools/simulate) runs it directly.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import structlog

from delivery.in_flight import ToSettle
from delivery.results import FIRST_ENTRY, Claimed, Fetched, NotCached
from delivery.session import connection as shell
from delivery.session import effects as do
from delivery.session.client_frames import Canonical
from delivery.session.effects import Effect
from delivery.session.send_queue import Admit
from delivery.session.session import Session
from protocol.dialects import Dialect
from protocol.entries import Chat
from protocol.errors import ApiError
from protocol.token_bucket import TokenBucket
from settings import Settings
from tools.chaos.bugs.base import replace

logger = structlog.get_logger(__name__)
NO_WINDOW: Final = 1_000_000


class TamperedSession(Session):
    """A session whose effects pass through :meth:`emit` when the shell takes them.

    A bug overrides ``emit``, or an input such as ``reply``. It may emit effects of its own by :meth:`emit_own`: their
    replies come to :meth:`own_reply`, and the session never sees them.
    """

    changed_settings: dict[str, object] = {}  # noqa: RUF012 - each bug has its own, which nobody changes

    def __init__(
        self,
        mobile: str,
        dialect: Dialect,
        settings: Settings,
        canonical: Canonical,
        admit: Admit | None,
        bucket: TokenBucket,
        now: float,
    ) -> None:
        self._emitted: list[Effect] = []
        self._own: list[Effect] = []
        self.dialect, self.mobile = dialect, mobile
        super().__init__(
            mobile, dialect, settings.model_copy(update=self.changed_settings), canonical, admit, bucket, now
        )

    @property
    def effects(self) -> list[Effect]:
        """What was emitted. The shell takes it by setting another list."""
        return self._emitted

    @effects.setter
    def effects(self, effects: list[Effect]) -> None:
        taken, self._emitted = self._emitted, effects
        if taken is not effects:
            taken[:] = [changed for effect in taken for changed in self.emit(effect)]

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """What the shell gets in the place of an effect."""
        yield effect

    def emit_own(self, effect: Effect) -> None:
        """Add an effect of the bug's own."""
        self._own.append(effect)
        self._emitted.append(effect)

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """The result of an effect, of the session's or of the bug's."""
        if effect in self._own:
            self._own.remove(effect)
            self.own_reply(effect, result, now)
        else:
            super().reply(effect, result, now)

    def own_reply(self, effect: Effect, result: Any, now: float) -> None:
        """The result of an effect of the bug's own."""


def session_bug(session: type[Session]) -> Callable[[], None]:
    """A patch: every connection of this process gets a session of this class."""

    def patch() -> None:
        replace(shell, "Session", session)

    return patch


# ---- chats of the client


class SenderFromFrame(TamperedSession):
    """The sender is who the frame says. ``claimed``: that person, by the real sender and the recipient."""

    claimed: Final[dict[tuple[str, str], str]] = {}

    def message(self, data: str | bytes, now: float) -> float:
        """Believe ``from``."""
        for frame in _frames(data):
            if frame.get("type") == "chat" and frame.get("from"):
                self.claimed[self.mobile, str(frame.get("to"))] = str(frame["from"])
        return super().message(data, now)


class SentBeforeStored(TamperedSession):
    """``sent`` is emitted before StoreChats, with the time of this server."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Answer, then store."""
        if isinstance(effect, do.StoreChats) and not effect.retried:
            ms = int(time.time() * 1000)
            answers = [self.dialect.sent(message_id, effect.to, ms) for message_id, _ in effect.chats]
            yield do.SendFrames([frame for answer in answers for frame in answer])
        yield effect

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Drop the answer that the reply brings."""
        before = len(self._emitted)
        super().reply(effect, result, now)
        if isinstance(effect, do.StoreChats):
            following = [each for each in self._emitted[before:] if not isinstance(each, do.SendFrames)]
            self._emitted[before:] = following


class StoredAtOnce(TamperedSession):
    """Each chat is stored by an effect of its own, and the last one of them wins, as over a pool of connections."""

    def __init__(self, *args: Any) -> None:
        self._parts: dict[int, tuple[do.StoreChats, list[Any], int]] = {}
        super().__init__(*args)

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Cut StoreChats into pieces and turn them round."""
        if not isinstance(effect, do.StoreChats) or len(effect.chats) == 1:
            yield effect
            return
        results: list[Any] = [None] * len(effect.chats)
        for index in reversed(range(len(effect.chats))):
            part = do.StoreChats(effect.to, [effect.chats[index]], retried=effect.retried)
            self._own.append(part)
            self._parts[id(part)] = effect, results, index
            yield part

    def own_reply(self, effect: Effect, result: Any, now: float) -> None:
        """Put the results together again."""
        whole, results, index = self._parts.pop(id(effect))
        results[index] = result[0] if isinstance(result, list) else result
        if None in results:
            return
        wrong = [each for each in results if isinstance(each, Exception) and not isinstance(each, ApiError)]
        missing = [each for each in wrong if isinstance(each, NotCached)]
        super().reply(whole, (missing or wrong or [results])[0], now)


# ---- entries for the client


class SettledBeforeReceipt(TamperedSession):
    """Settle comes before SendReceipt, which waits for its reply."""

    def __init__(self, *args: Any) -> None:
        self._sizes: dict[str, int] = {}
        self._waiting: dict[int, do.SendReceipt] = {}
        self._ready: list[Effect] = []
        super().__init__(*args)

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Settle what a receipt is about to be sent for."""
        if not isinstance(effect, do.SendReceipt) or effect.kind != "delivered" or effect in self._ready:
            yield effect
            return
        settle = do.Settle([ToSettle(each, effect.sender, self._sizes.pop(each, 0)) for each in effect.ids])
        self._own.append(settle)
        self._waiting[id(settle)] = effect
        yield settle

    def own_reply(self, effect: Effect, result: Any, now: float) -> None:
        """The receipt follows, or is given up."""
        receipt = self._waiting.pop(id(effect))
        if isinstance(result, Exception):
            super().reply(receipt, result, now)
        else:
            self._ready.append(receipt)
            self._emitted.append(receipt)

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Note how long the texts are, which settling needs."""
        for chat in _fetched_chats(result):
            self._sizes[chat.stream_id] = chat.size
        super().reply(effect, result, now)


class SettledWhenSent(TamperedSession):
    """SendEntries is followed by Settle."""

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Settle every chat that was fetched."""
        super().reply(effect, result, now)
        if chats := _fetched_chats(result):
            self.emit_own(do.Settle([ToSettle(chat.stream_id, chat.sender, chat.size) for chat in chats]))


class ConfirmedWhenSent(TamperedSession):
    """SendEntries is followed by Settle of the receipts that the client does not acknowledge."""

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Settle every receipt that was fetched."""
        super().reply(effect, result, now)
        if isinstance(result, Fetched) and not self.dialect.acks_receipts:
            receipts = [entry.stream_id for entry in result.entries if not isinstance(entry, Chat)]
            if receipts:
                self.emit_own(do.Settle([ToSettle(stream_id, "", 0) for stream_id in receipts]))


class PendingForgotten(TamperedSession):
    """A scan of pending entries brings none."""

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Drop what was pending."""
        if isinstance(effect, do.FetchEntries) and effect.mode == "pending" and isinstance(result, Fetched):
            result = msgspec.structs.replace(result, entries=[])
        super().reply(effect, result, now)


class NoWindow(TamperedSession):
    """The window has room for everything."""

    changed_settings = {"window": NO_WINDOW}  # noqa: RUF012


class NeverAgain(TamperedSession):
    """No entry is sent a second time."""

    changed_settings = {"redeliver_times": 0}  # noqa: RUF012


class PoisonLoops(TamperedSession):
    """CountFailure becomes FetchEntries: an entry that cannot be encoded is tried again for as long as we are here."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Fetch instead of counting."""
        if isinstance(effect, do.CountFailure):
            effect = do.FetchEntries("again", 1, FIRST_ENTRY, [effect.stream_id], [])
            self._own.append(effect)
        yield effect

    def own_reply(self, effect: Effect, result: Any, now: float) -> None:
        """Encode it, and fetch it again when that fails."""
        for chat in _fetched_chats(result):
            try:
                self.emit_own(do.SendEntries(self.dialect.chat(chat, self.mobile, "online")))
            except Exception:
                logger.exception("an entry could not be encoded", stream_id=chat.stream_id)
                if not self.ended:
                    self.emit_own(do.FetchEntries("again", 1, FIRST_ENTRY, [chat.stream_id], []))


# ---- the lease


class TcpIsLife(TamperedSession):
    """Every tick is a sign of life."""

    def tick(self, now: float) -> None:
        """Believe that the client lives."""
        self.last_sign_of_life = now
        super().tick(now)


class EpochUntold(TamperedSession):
    """A lease that is claimed again has the epoch of the first one."""

    def __init__(self, *args: Any) -> None:
        self._first = ""
        super().__init__(*args)

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Change the epoch."""
        if isinstance(result, Claimed):
            self._first = self._first or result.epoch
            result = msgspec.structs.replace(result, epoch=self._first)
        super().reply(effect, result, now)


def _fetched_chats(result: Any) -> list[Chat]:
    entries = result.entries if isinstance(result, Fetched) and result.verdict == "ok" else []
    return [entry for entry in entries if isinstance(entry, Chat)]


def _frames(data: str | bytes) -> list[dict[str, Any]]:
    try:
        message = json.loads(data)
    except ValueError:
        return []
    return [frame for frame in (message if isinstance(message, list) else [message]) if isinstance(frame, dict)]
