"""Bugs on purpose in the session core, each a subclass of Session that spoils its effects, replies or inputs.

The simulation is given the class (``python -m tools.simulate --bug NAME``). In a real server it takes the place of the
real one before anybody connects: ``delivery.session.connection.Session = BUGS["no window"]``.
"""

from typing import Any, Final

import msgspec

from delivery.in_flight import ToSettle
from delivery.results import FIRST_ENTRY, Claimed, Fetched
from delivery.session import effects as do
from delivery.session.session import Session
from protocol.entries import Chat

Effects = list[do.Effect]


class Spoiled(Session):
    """A session whose effects pass through :meth:`emit` and whose replies pass through :meth:`answer`."""

    __slots__ = ("_done", "_list", "_own")

    def __init__(self, *args: Any, **named: Any) -> None:
        self._own: dict[int, tuple[do.Effect, do.Effect | None]] = {}
        """Effects that only the bug wants, by id, with what follows their reply. They are kept: no id is used again."""
        self._list: Effects | None = None
        self._done = 0
        super().__init__(*args, **named)
        self._spoil()

    def emit(self, effect: do.Effect) -> Effects:
        """What is run instead of this effect."""
        return [effect]

    def answer(self, _effect: do.Effect, result: Any, _now: float) -> Any:
        """What the session is told instead of this result."""
        return result

    def before(self, own: do.Effect, then: do.Effect | None = None) -> do.Effect:
        """An effect whose reply the session does not get; ``then`` is run after it."""
        self._own[id(own)] = own, then
        return own

    def _spoil(self) -> None:
        if self._list is not self.effects:  # the shell took the ones before
            self._list, self._done = self.effects, 0
        fresh = self.effects[self._done :]
        del self.effects[self._done :]
        for effect in fresh:
            self.effects += self.emit(effect)
        self._done = len(self.effects)

    def reply(self, effect: do.Effect, result: Any, now: float) -> None:
        """As the session's own."""
        if id(effect) in self._own:
            _, then = self._own.pop(id(effect))
            if then is not None:
                self.effects.append(then)
                self._done += 1
            return
        super().reply(effect, self.answer(effect, result, now), now)
        self._spoil()

    def batch_end(self, now: float) -> None:
        """As the session's own."""
        super().batch_end(now)
        self._spoil()

    def message(self, data: str | bytes, now: float) -> float:
        """As the session's own."""
        pause = super().message(data, now)
        self._spoil()
        return pause

    def notify(self, stream_id: str, now: float) -> None:
        """As the session's own."""
        super().notify(stream_id, now)
        self._spoil()

    def prefetch(self, now: float) -> None:
        """As the session's own."""
        super().prefetch(now)
        self._spoil()

    def resume_output(self, now: float) -> None:
        """As the session's own."""
        super().resume_output(now)
        self._spoil()

    def pong(self, mark: int, now: float) -> None:
        """As the session's own."""
        super().pong(mark, now)
        self._spoil()

    def prove(self) -> None:
        """As the session's own."""
        super().prove()
        self._spoil()

    def tick(self, now: float) -> None:
        """As the session's own."""
        super().tick(now)
        self._spoil()

    def timer(self, now: float) -> None:
        """As the session's own."""
        super().timer(now)
        self._spoil()

    def close(self, close: Any, now: float) -> None:
        """As the session's own."""
        super().close(close, now)
        self._spoil()

    def drain(self, retry_after: float, now: float) -> None:
        """As the session's own."""
        super().drain(retry_after, now)
        self._spoil()

    def lost(self, code: int, reason: str, now: float) -> None:
        """As the session's own."""
        super().lost(code, reason, now)
        self._spoil()


class SettlesFirst(Spoiled):
    """Settle before SendReceipt."""

    __slots__ = ()

    def emit(self, effect: do.Effect) -> Effects:
        if isinstance(effect, do.SendReceipt) and effect.kind == "delivered" and not effect.retried:
            settled = [ToSettle(stream_id, effect.sender, 0) for stream_id in effect.ids]
            return [self.before(do.Settle(settled), effect)]
        return [effect]


class FetchesFirst(Spoiled):
    """Fetch before ClaimLease: what is stored in between is neither found nor notified."""

    __slots__ = ("_has_claimed",)

    def __init__(self, *args: Any, **named: Any) -> None:
        self._has_claimed = False
        super().__init__(*args, **named)

    def emit(self, effect: do.Effect) -> Effects:
        if isinstance(effect, do.ClaimLease) and not self._has_claimed:
            self._has_claimed = True
            return [self.before(do.FetchEntries("pending", 64, FIRST_ENTRY, [], [])), effect]
        return [effect]


class LeavesFirst(Spoiled):
    """LeaveHub before ReleaseLease."""

    __slots__ = ()

    def emit(self, effect: do.Effect) -> Effects:
        if isinstance(effect, do.ReleaseLease):
            return [do.LeaveHub(), effect]
        return [] if isinstance(effect, do.LeaveHub) else [effect]


class AnswersFirst(Spoiled):
    """``sent`` before StoreChats replied."""

    __slots__ = ("_is_answered",)

    def __init__(self, *args: Any, **named: Any) -> None:
        self._is_answered = False
        super().__init__(*args, **named)

    def emit(self, effect: do.Effect) -> Effects:
        if isinstance(effect, do.StoreChats) and not effect.retried:
            frames: list[bytes] = []
            for message_id, _ in effect.chats:
                frames += self._dialect.sent(message_id, effect.to, 1)
            return [do.SendFrames(frames), effect]
        if isinstance(effect, do.SendFrames) and self._is_answered:
            self._is_answered = False
            return []
        return [effect]

    def answer(self, effect: do.Effect, result: Any, _now: float) -> Any:
        self._is_answered = isinstance(effect, do.StoreChats) and isinstance(result, list)
        return result


class NeverScans(Spoiled):
    """Entries that an earlier connection fetched are forgotten."""

    __slots__ = ()

    def answer(self, effect: do.Effect, result: Any, _now: float) -> Any:
        if isinstance(effect, do.FetchEntries) and effect.mode == "pending" and isinstance(result, Fetched):
            return Fetched(result.verdict, FIRST_ENTRY, 0, [], result.shared)
        return result


class SettlesOnWriting(Spoiled):
    """Chats are settled when they are written to the socket."""

    __slots__ = ()

    def answer(self, effect: do.Effect, result: Any, _now: float) -> Any:
        if isinstance(effect, do.FetchEntries) and isinstance(result, Fetched):
            chats = [entry for entry in result.entries if isinstance(entry, Chat)]
            if chats:
                settled = [ToSettle(chat.stream_id, chat.sender, chat.size) for chat in chats]
                self.effects.append(self.before(do.Settle(settled)))
        return result


class NoWindow(Spoiled):
    """As many entries are in flight as there are."""

    __slots__ = ()

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._window.size = 1_000_000


class NeverRedelivers(Spoiled):
    """What a client leaves unacknowledged is not sent again."""

    __slots__ = ()

    def emit(self, effect: do.Effect) -> Effects:
        if isinstance(effect, do.FetchEntries) and effect.mode == "again":
            effect = do.FetchEntries("again", 0, FIRST_ENTRY, [], effect.settled)
        return [effect]


class ConfirmsOnWriting(Spoiled):
    """Receipts to a client of the seed dialect are settled when they are written to the socket."""

    __slots__ = ()

    def reply(self, effect: do.Effect, result: Any, now: float) -> None:
        super().reply(effect, result, now)
        if isinstance(effect, do.Ping) and isinstance(result, int):
            self.pong(result, now)


class BelievesEarlyAcks(Spoiled):
    """An acknowledgement counts, whether the device has the entry or not: its sender is told."""

    __slots__ = ()

    def message(self, data: str | bytes, now: float) -> float:
        frames = msgspec.json.decode(data)
        for frame in frames if isinstance(frames, list) else [frames]:
            if frame.get("type") == "ack" and frame.get("ackType") == "delivered" and frame.get("messageId"):
                self.effects.append(self.before(do.SendReceipt(frame["to"], "delivered", [frame["messageId"]], [])))
                self._done += 1
        return super().message(data, now)


class NeverRenews(Spoiled):
    """A lease is left to end by itself while its client is connected."""

    __slots__ = ()

    def emit(self, effect: do.Effect) -> Effects:
        return [] if isinstance(effect, do.RenewLease) else [effect]


class TellsNoLoss(Spoiled):
    """A client that stays connected is not told that storage lost something."""

    __slots__ = ()

    def answer(self, effect: do.Effect, result: Any, _now: float) -> Any:
        if isinstance(effect, do.ClaimLease) and effect.mode == "again" and isinstance(result, Claimed):
            self._lease.epoch = result.epoch
        return result


class NeverSettles(Spoiled):
    """What was acknowledged stays in the mailbox."""

    __slots__ = ()

    def emit(self, effect: do.Effect) -> Effects:
        if isinstance(effect, (do.Settle, do.FetchEntries)):
            effect.settled = []
        return [effect]


class IgnoresNotifications(Spoiled):
    """Only renewals find what waits."""

    __slots__ = ()

    def notify(self, stream_id: str, now: float) -> None:
        pass

    def prefetch(self, now: float) -> None:
        pass

    def answer(self, effect: do.Effect, result: Any, _now: float) -> Any:
        return ("ok", "") if isinstance(effect, do.RenewLease) and isinstance(result, tuple) else result


BUGS: Final[dict[str, type[Session]]] = {
    "settle before SendReceipt": SettlesFirst,
    "fetch before ClaimLease": FetchesFirst,
    "LeaveHub before ReleaseLease": LeavesFirst,
    "answer before StoreChats replied": AnswersFirst,
    "forget pending": NeverScans,
    "settle on writing": SettlesOnWriting,
    "no window": NoWindow,
    "never redeliver": NeverRedelivers,
    "confirm receipts on writing": ConfirmsOnWriting,
    "early acks believed for everybody": BelievesEarlyAcks,
    "never renew": NeverRenews,
    "tell no loss": TellsNoLoss,
    "never settle": NeverSettles,
    "ignore notifications": IgnoresNotifications,
}
"""Name -> the session that has it."""
