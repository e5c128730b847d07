"""Sessions with a bug on purpose: their settings, inputs, effects or replies are changed on the way.

Like the session that they are made of, they do no I/O and read no clock. The campaign (tools/chaos) puts one into the
product (tools/chaos/bugs), the simulation runs it directly (tools/simulate). A bug that both find has one name.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from delivery.in_flight import ToSettle
from delivery.results import FIRST_ENTRY, Claimed, Fetched, NotCached, Renewed
from delivery.session import effects as do
from delivery.session.effects import Effect
from delivery.session.session import Session
from protocol.dialects import Dialect
from protocol.entries import Chat
from protocol.errors import ApiError
from protocol.identifiers import parse_stream_id
from settings import Settings

NO_WINDOW: Final = 1_000_000
NO_TIME: Final = 1
"""In a `sent` that is emitted before Redis has said when the chat was stored."""


class TamperedSession(Session):
    """A session whose effects pass through :meth:`emit` when the shell takes them.

    A bug overrides ``emit``, or an input such as ``reply``. It may emit effects of its own by :meth:`emit_own`: their
    replies come to :meth:`own_reply`, and the session never sees them.
    """

    changed_settings: dict[str, object] = {}  # noqa: RUF012 - each bug has its own, which nobody changes

    def __init__(self, mobile: str, device: str, dialect: Dialect, settings: Settings, *rest: Any) -> None:
        self._emitted: list[Effect] = []
        self._own: list[Effect] = []
        super().__init__(mobile, device, dialect, settings.model_copy(update=self.changed_settings), *rest)

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
        """Add an effect of the bug's own. At the end there are no more: the shell may not run them any longer."""
        if not self.ended:
            self._emitted.append(self.own(effect))

    def own(self, effect: Effect) -> Effect:
        """The effect, whose reply the session is not to see."""
        self._own.append(effect)
        return effect

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """The result of an effect, of the session's or of the bug's."""
        if effect in self._own:
            self._own.remove(effect)
            self.own_reply(effect, result, now)
        else:
            super().reply(effect, result, now)

    def own_reply(self, effect: Effect, result: Any, now: float) -> None:
        """The result of an effect of the bug's own."""


# ---- chats of the client


class SentBeforeStored(TamperedSession):
    """``sent`` is emitted before StoreChats."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Answer, then store."""
        if isinstance(effect, do.StoreChats) and not effect.retried:
            answers = [self._dialect.sent(message_id, effect.to, NO_TIME) for message_id, _ in effect.chats]
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
            self._parts[id(part)] = effect, results, index
            yield self.own(part)

    def own_reply(self, effect: Effect, result: Any, now: float) -> None:
        """Put the results together again."""
        whole, results, index = self._parts.pop(id(effect))
        results[index] = result[0] if isinstance(result, list) else result
        if None in results:
            return
        wrong = [each for each in results if isinstance(each, Exception) and not isinstance(each, ApiError)]
        missing = [each for each in wrong if isinstance(each, NotCached)]
        super().reply(whole, (missing or wrong or [results])[0], now)


class CopiedBeforeStored(TamperedSession):
    """StoreOwn comes before StoreChats, with a time that the sender makes up."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Copy, then store."""
        if isinstance(effect, do.StoreChats) and not effect.retried and self._window.shared:
            yield self.own(do.StoreOwn(effect, [], [(*chat, NO_TIME) for chat in effect.chats]))
        yield effect


class SentBeforeCopied(TamperedSession):
    """``sent`` does not wait for the copies."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Answer, then copy."""
        if isinstance(effect, do.StoreOwn) and not effect.retried:
            for (message_id, _), result in zip(effect.store.chats, effect.results, strict=True):
                if not isinstance(result, ApiError):
                    yield do.SendFrames(self._dialect.sent(message_id, effect.store.to, parse_stream_id(result)[0]))
        yield effect


class NotCopied(TamperedSession):
    """The other devices get nothing of what this one sends."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Answer as if the copies were made."""
        if isinstance(effect, do.StoreOwn):
            self._emitted_later(effect)
        else:
            yield effect

    def _emitted_later(self, effect: do.StoreOwn) -> None:
        super().reply(effect, True, self.last_sign_of_life)


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
        self._waiting[id(settle)] = effect
        yield self.own(settle)

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
        for chat in fetched_chats(result):
            self._sizes[chat.stream_id] = chat.size
        super().reply(effect, result, now)


class SettledWhenSent(TamperedSession):
    """SendEntries is followed by Settle."""

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Settle every chat that was fetched."""
        super().reply(effect, result, now)
        if chats := fetched_chats(result):
            self.emit_own(do.Settle([ToSettle(chat.stream_id, chat.sender, chat.size) for chat in chats]))


class ConfirmedWhenSent(TamperedSession):
    """Each Ping has its pong when it is written: receipts before it count as arrived, and make room for more."""

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Do not wait for the client's pong."""
        super().reply(effect, result, now)
        if isinstance(effect, do.Ping) and isinstance(result, int):
            self.pong(result, now)


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


class SettleForgotten(TamperedSession):
    """What is acknowledged stays in the mailbox, and the session takes it for settled."""

    def __init__(self, *args: Any) -> None:
        self._kept: dict[int, list[ToSettle]] = {}
        super().__init__(*args)

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Take away what is to be settled."""
        if isinstance(effect, (do.Settle, do.FetchEntries)):
            self._kept[id(effect)], effect.settled = effect.settled, []
        yield effect

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Put it back."""
        if isinstance(effect, (do.Settle, do.FetchEntries)):
            effect.settled = self._kept.pop(id(effect))
        super().reply(effect, result, now)


class AcksBelieved(TamperedSession):
    """An acknowledgement is followed by SendReceipt, whether the client has the chat or not."""

    def message(self, data: str | bytes, now: float) -> float:
        """Believe every acknowledgement that names a chat."""
        for frame in frames_of(data):
            to, message_id = frame.get("to"), frame.get("messageId")
            if frame.get("type") == "ack" and frame.get("ackType") == "delivered" and to and message_id:
                self.emit_own(do.SendReceipt(str(to), "delivered", [str(message_id)], []))
        return super().message(data, now)


class NotificationsIgnored(TamperedSession):
    """No notification is heard, and a renewal does not say what waits."""

    def notify(self, stream_id: str, now: float) -> None:
        """Do nothing."""

    def prefetch(self, now: float) -> None:
        """Do nothing."""

    def reply(self, effect: Effect, result: Any, now: float) -> None:
        """Drop the newest entry."""
        if isinstance(effect, do.RenewLease) and isinstance(result, Renewed):
            result = result._replace(newest="")
        super().reply(effect, result, now)


# ---- the lease


class FetchedBeforeClaim(TamperedSession):
    """FetchEntries comes before the first ClaimLease."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Fetch what is pending, for nobody."""
        if isinstance(effect, do.ClaimLease) and effect.mode == "first":
            yield self.own(do.FetchEntries("pending", 64, FIRST_ENTRY, [], []))
        yield effect


class LeftBeforeRelease(TamperedSession):
    """LeaveHub comes before ReleaseLease."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Turn them round."""
        if isinstance(effect, do.ReleaseLease):
            yield do.LeaveHub()
        if not isinstance(effect, do.LeaveHub):
            yield effect


class RenewalForgotten(TamperedSession):
    """A lease ends by itself, whether its client is connected or not."""

    def emit(self, effect: Effect) -> Iterator[Effect]:
        """Leave out RenewLease."""
        if not isinstance(effect, do.RenewLease):
            yield effect


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


def fetched_chats(result: Any) -> list[Chat]:
    """The chats among fetched entries; of any other result: none."""
    entries = result.entries if isinstance(result, Fetched) and result.verdict == "ok" else []
    return [entry for entry in entries if isinstance(entry, Chat)]


def frames_of(data: str | bytes) -> list[dict[str, Any]]:
    """The frames of a message; none where it is not JSON."""
    try:
        message = json.loads(data)
    except ValueError:
        return []
    return [frame for frame in (message if isinstance(message, list) else [message]) if isinstance(frame, dict)]
