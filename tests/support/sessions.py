"""A session without a shell: its inputs by hand, its effects as a list, its time as a number."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from accounts.mobile_numbers import canonical_mobile
from delivery.policy import Side
from delivery.results import FIRST_ENTRY, Claimed, Fetched, Unread
from delivery.session import effects as do
from delivery.session.send_queue import Admit
from delivery.session.session import Session
from protocol.dialects import V1, Seed
from protocol.entries import Chat, Entry, Receipt
from protocol.token_bucket import TokenBucket
from tests.support.messaging import ASHA, RAVI, make_settings

Frame = dict[str, Any]
E = TypeVar("E", bound=do.Effect)


def chat_entry(number: int, message_id: str = "", sender: str = ASHA) -> Chat:
    return Chat(f"5-{number}", sender, message_id or f"m-{number}", "hello")


def receipt_entry(number: int, sender: str = ASHA) -> Receipt:
    return Receipt(f"5-{number}", sender, "delivered", [f"x-{number}"])


def unread(*names: str, unacknowledged: Sequence[str] = (), side: Side | None = None) -> Unread:
    return Unread([*names], [*unacknowledged], side or Side(), [f"5-{n}" for n in range(len(names))])


def chat_frame(message_id: str = "m-1", **changes: Any) -> Frame:
    return {"type": "chat", "to": ASHA, "messageId": message_id, "message": "hello"} | changes


class DrivenSession:
    """Ravi's. Effects stay in :attr:`effects` until they are taken."""

    def __init__(self, dialect: V1 | Seed | None = None, admit: Admit | None = None, **values: Any) -> None:
        self.now = 1000.0
        settings = make_settings(**values)
        bucket = TokenBucket(settings.data_frames_per_second, settings.data_frames_burst, self.now)
        canonical = lambda raw: canonical_mobile(raw, "")  # noqa: E731 - a name would say nothing more
        self.session = Session(RAVI, "primary", dialect or V1(), settings, canonical, admit, bucket, self.now)
        self.frames: list[Frame] = []

    @property
    def effects(self) -> list[do.Effect]:
        return self.session.effects

    def take(self, kind: type[E]) -> list[E]:
        """The effects of one kind, which leave the list; frames are decoded into :attr:`frames`."""
        taken = [effect for effect in self.effects if isinstance(effect, kind)]
        self.session.effects = [effect for effect in self.effects if not isinstance(effect, kind)]
        return taken

    def one(self, kind: type[E]) -> E:
        (effect,) = self.take(kind)
        return effect

    def kinds(self) -> list[str]:
        return [type(effect).__name__ for effect in self.effects]

    def sent(self) -> list[Frame]:
        """The frames that were sent since the last call."""
        effects = [each for each in self.effects if isinstance(each, do.SendFrames | do.SendEntries)]
        self.session.effects = [each for each in self.effects if each not in effects]
        return [msgspec.json.decode(frame) for effect in effects for frame in effect.frames]

    def reply(self, effect: do.Effect, result: Any) -> None:
        self.session.reply(effect, result, self.now)

    def claim(self, newest: str = "", *, epoch: str = "epoch-1", devices: int = 1) -> "DrivenSession":
        """The lease is claimed, and what waited is fetched: nothing."""
        self.reply(self.one(do.ClaimLease), Claimed(epoch, None, newest, devices))
        return self

    def follow(self, **claimed: Any) -> "DrivenSession":
        """Claimed, synced, and asleep."""
        self.claim(**claimed)
        for _ in range(2):
            self.fetched()
        self.session.effects.clear()
        return self

    def fetched(self, *entries: Entry, verdict: Any = "ok", cursor: str = FIRST_ENTRY, shared: bool = False) -> None:
        """The reply to the fetch that is under way."""
        self.reply(self.one(do.FetchEntries), Fetched(verdict, cursor, len(entries), list(entries), shared))

    def deliver(self, *entries: Entry) -> list[str]:
        """These entries are notified, fetched and sent; their streamIds."""
        self.session.notify(entries[-1].stream_id, self.now)
        self.fetched(*entries)
        self.sent()
        return [entry.stream_id for entry in entries]

    def message(self, *frames: Frame | str | bytes, batch: bool = True) -> float:
        """A message arrives; several frames are an array."""
        data = (
            frames[0] if isinstance(frames[0], str | bytes) else json.dumps(frames[0] if len(frames) == 1 else frames)
        )
        pause = self.session.message(data, self.now)
        if batch:
            self.session.batch_end(self.now)
        return pause

    def ack(self, *ids: str) -> None:
        self.message({"type": "ack", "ackType": "delivered", "streamIds": list(ids)})

    def answers(self, *frames: Frame | str | bytes) -> list[Frame]:
        self.message(*frames)
        return self.sent()

    def wait(self, seconds: float) -> None:
        """Time passes; what is due is done."""
        until = self.now + seconds
        while self.session.deadline <= until:
            self.now = max(self.now, self.session.deadline)
            self.session.timer(self.now)
        self.now = until
