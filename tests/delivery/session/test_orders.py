"""The three orders, and what else a session promises its shell, whatever comes in and whenever the replies come.

``ORDERS_EXAMPLES`` (environment) sets how many sequences of 250 steps are tried.
"""

import json
import os
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from delivery.in_flight import ToSettle
from delivery.keys import OWN_CHATS
from delivery.results import (
    FIRST_ENTRY,
    Claimed,
    CommandFailed,
    Fetched,
    NotCached,
    Renewed,
    Silent,
    Superseded,
    Unproven,
    Unread,
)
from delivery.session import effects as do
from delivery.session.session import Session
from protocol.dialects import V1, Seed
from protocol.entries import Chat, Entry, OwnChat, OwnRead, Receipt
from protocol.errors import DRAINING, LOGGED_OUT, REPLACED, ApiError
from protocol.token_bucket import TokenBucket
from tests.support.messaging import make_settings
from tools.simulate.bugs import BUGS

STEPS = 10
EXAMPLES = int(os.environ.get("ORDERS_EXAMPLES", "25"))
ME, SENDERS, RECIPIENTS = "9100000001", ["9200000001", "9300000001"], ["9200000001", "9400000001"]
WINDOW = 4
AFTER_THE_END = (do.ReleaseLease, do.RecordEvent)
WITH_REPLY = (
    *(
        do.StoreChats,
        do.StoreOwn,
        do.FetchEntries,
        do.NoteDelivered,
        do.SendReceipt,
        do.FindUnread,
        do.MarkRead,
        do.Settle,
    ),
    *(do.LoadUser, do.ClaimLease, do.RenewLease, do.ReleaseLease),
)
SEEDS = st.integers(0, 2**64 - 1)
INNER_STEPS = 25
HAPPENINGS = ("newest", "newest", "again", "prefetch", "life", "prove", "pong", "pause", "resume", "resume")
NONSENSE = ("{", "ping", "[1]", '{"type":"chat"}', '{"type":"ack","ackType":"read","to":"x"}')


def outcomes(effect: do.Effect, machine: "Orders") -> list[Any]:  # noqa: C901, PLR0911 - a table
    """What may become of an effect. The first is what it wants."""
    unavailable, failed = ApiError("unavailable"), CommandFailed("ERR")
    match effect:
        case do.StoreChats():
            ids = [machine.new_id() for _ in effect.chats]
            return [ids, unavailable, NotCached(), failed, [*ids[:-1], ApiError("mailbox_full")]]
        case do.StoreOwn():
            return [machine.is_shared, unavailable, NotCached(), failed]
        case do.FetchEntries():
            entries = machine.entries_for(effect)
            gone = [Fetched(verdict, FIRST_ENTRY, 0, []) for verdict in ("gone", "replaced")]
            return [Fetched("ok", FIRST_ENTRY, len(entries), entries, machine.is_shared), unavailable, *gone]
        case do.NoteDelivered():
            return [[], effect.receipt.message_ids, unavailable, failed]
        case do.SendReceipt():
            return [None, unavailable, NotCached(), failed]
        case do.FindUnread():
            return [Unread(effect.message_ids, stream_ids=effect.message_ids), Unread([]), unavailable, failed]
        case do.MarkRead():
            return [[at for at, entry in machine.waiting.items() if _is_named(entry, effect)], unavailable, failed]
        case do.LoadUser():
            return [None, ApiError("no_such_person"), unavailable]
        case do.ClaimLease():
            claimed = [Claimed(epoch, None, machine.newest, 2 if machine.is_shared else 1) for epoch in ("e1", "e2")]
            verdicts = [Unproven()] if effect.mode == "first" else [Silent(), Superseded()]
            return [*claimed, unavailable, *(verdicts if effect.mode != "proven" else []), ApiError("session_revoked")]
        case do.RenewLease():
            devices = 2 if machine.is_shared else 1
            renewed = Renewed("ok", machine.newest, devices=devices)
            return [renewed, Renewed("gone"), Renewed("replaced"), unavailable]
        case _:
            return [None, unavailable] if isinstance(effect, do.Settle) else [None]


def _is_named(entry: Entry, effect: do.MarkRead) -> bool:
    return isinstance(entry, Chat) and entry.sender == effect.sender and entry.message_id in effect.message_ids


class Orders(RuleBasedStateMachine):
    """One session, and a shell that checks every effect."""

    session_class: ClassVar[type[Session]] = Session

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.session: Session
        self.under_way: list[do.Effect] = []
        self.waiting: dict[str, Entry] = {}
        """Entries that were fetched and not settled."""
        self.newest = ""
        self.stored: set[str] = set()
        self.copied: set[str] = set()
        """Chats that other devices have copies of."""
        self.told: set[str] = set()
        self.is_claimed = self.is_shared = self.has_left = self.has_failed = False
        self.releases = 0
        self.numbers = 0

    @initialize(dialect=st.sampled_from([V1(), Seed()]), shared=st.booleans(), claim=st.booleans())
    def connect(self, dialect: Any, shared: bool, claim: bool) -> None:
        knobs = make_settings(window=WINDOW, redeliver_seconds=30, stuck_window_seconds=60)
        bucket = TokenBucket(1e9, 1e9, self.now)
        self.session = self.session_class(ME, "primary", dialect, knobs, str, None, bucket, self.now)
        self.is_shared = shared
        self.run()
        if claim:
            self.answer(self.under_way[0], 0)

    # ---- the shell

    def run(self) -> None:
        session = self.session
        while session.effects:
            effects, session.effects = session.effects, []
            for effect in effects:
                self.check(effect)
                if isinstance(effect, do.Ping):
                    self.numbers += 1
                    session.reply(effect, self.numbers, self.now)
                elif isinstance(effect, WITH_REPLY):
                    self.under_way.append(effect)
        assert len(session._window) <= WINDOW, "the window is exceeded"
        assert session.deadline > self.now or session.ended or session._output_paused, "a timer that brings nothing"

    def check(self, effect: do.Effect) -> None:
        # One that failed waits for nothing.
        assert not self.has_left or self.has_failed or isinstance(effect, AFTER_THE_END), f"{effect} after LeaveHub"
        match effect:
            case do.StoreChats():
                assert not any(isinstance(e, do.StoreChats) and e.to == effect.to for e in self.under_way)
            case do.StoreOwn():
                assert self.is_shared or not self.is_claimed, "copies for nobody"
                assert {name for name, *_ in effect.chats} <= self.stored, "a copy before the recipient's"
            case do.FetchEntries():
                assert self.is_claimed, "a fetch before the claim"
                assert not any(isinstance(e, do.FetchEntries) for e in self.under_way), "two fetches"
                self.check_told(effect.settled)
            case do.Settle():
                self.check_told(effect.settled)
            case do.ReleaseLease():
                self.releases += 1
            case do.LeaveHub():
                assert self.releases, "left before the lease was released"
                assert not any(isinstance(e, do.ReleaseLease) for e in self.under_way), "left while it is released"
                self.has_left = True
            case do.SendFrames():
                self.check_answers(effect.frames)

    def check_told(self, settled: Sequence[ToSettle]) -> None:
        for entry in settled:
            is_chat = entry.sender not in ("", OWN_CHATS)
            assert not is_chat or entry.stream_id in self.told, f"{entry} is settled, and its sender was not told"

    def check_answers(self, frames: Sequence[bytes]) -> None:
        for frame in map(msgspec.json.decode, frames):
            if frame["type"] == "sent" or frame.get("status") == "sent":
                stored = self.copied if self.is_shared else self.stored
                assert frame["messageId"] in stored, f"{frame}, and it is not stored"

    def answer(self, effect: do.Effect, which: int) -> None:
        options = outcomes(effect, self)
        result = options[which % len(options)]
        self.under_way.remove(effect)
        self.note(effect, result)
        self.session.reply(effect, result, self.now)
        self.run()

    def note(self, effect: do.Effect, result: Any) -> None:
        """What the storage knows by now. What failed may have been executed, which a session must not rely on."""
        match effect:
            case do.ClaimLease():
                self.is_claimed = self.is_claimed or isinstance(result, Claimed)
            case do.StoreChats() if isinstance(result, list):
                self.stored |= {name for (name, _), at in zip(effect.chats, result, strict=True) if isinstance(at, str)}
            case do.StoreOwn() if result is True:
                self.copied |= {name for name, *_ in effect.chats}
            case do.NoteDelivered() if isinstance(result, list) and result:
                self.told.update(effect.receipt.ids)
            case do.SendReceipt(kind="delivered") if result is None:
                self.told.update(effect.ids)
            case do.LoadUser(then=do.SendReceipt() as then) if isinstance(result, ApiError):
                self.told.update(then.ids if result.code == "no_such_person" else ())
            case do.FetchEntries() | do.Settle() if result is None or isinstance(result, Fetched):
                for entry in effect.settled:
                    self.waiting.pop(entry.stream_id, None)

    def new_id(self) -> str:
        self.numbers += 1
        return f"{1000 + self.numbers}-0"

    def entries_for(self, fetch: do.FetchEntries) -> list[Entry]:
        if fetch.mode == "again":
            return [self.waiting[at] for at in fetch.ids if at in self.waiting]
        if fetch.mode == "pending":
            return [self.waiting[at] for at in sorted(self.waiting)][: fetch.count]
        for number in range(self.numbers % (fetch.count + 1)):
            at, sender = self.new_id(), SENDERS[number % 2]
            self.waiting[at] = (
                Chat(at, sender, f"m{at}", "hello"),
                Chat(at, sender, f"m{at}", "hello"),
                Receipt(at, sender, "delivered", ["x"]),
                OwnChat(at, sender, f"m{at}", "hello", 7, ("primary", "tablet")[self.numbers % 2]),
                OwnRead(at, sender, [f"m{at}"], "tablet"),
            )[number % 5]
            self.newest = at
        return [self.waiting[at] for at in sorted(self.waiting)][-fetch.count :] if self.numbers % 2 else []

    # ---- what comes in

    @rule(seed=SEEDS)
    def some_steps(self, seed: int) -> None:
        """Hypothesis leaves out half of its rules in an average example, and few would get as far as a receipt: here
        all steps are drawn alike."""
        dice = random.Random(seed)  # noqa: S311 - hypothesis draws the seed
        for _ in range(INNER_STEPS):
            name, draw = dice.choices(STEPS_THERE_ARE, WEIGHTS)[0]
            getattr(self, name)(*draw(dice))

    def say(self, *frames: dict[str, Any]) -> None:
        for frame in frames:
            self.session.message(json.dumps(frame), self.now)
        self.session.batch_end(self.now)
        self.run()

    def chats(self, to: str, count: int) -> None:
        ids = [self.new_id() for _ in range(count)]
        self.say(*[{"type": "chat", "to": to, "messageId": f"c{at}", "message": "hello"} for at in ids])

    def acks(self, pick: int, count: int) -> None:
        ids = sorted(self.waiting)
        ids = ids[pick % (len(ids) or 1) :][:count]
        self.say({"type": "ack", "ackType": "delivered", "streamIds": [*ids, "9-9"]})

    def acks_by_name(self, pick: int, kind: str) -> None:
        chats = [entry for entry in self.waiting.values() if isinstance(entry, Chat)]
        if chats:
            chat = chats[pick % len(chats)]
            self.say({"type": "ack", "ackType": kind, "to": chat.sender, "messageIds": [chat.message_id, "unknown"]})

    def nonsense(self, data: str) -> None:
        self.session.message(data, self.now)
        self.session.batch_end(self.now)
        self.run()

    def reply(self, pick: int, which: int) -> None:
        if self.under_way:
            self.answer(self.under_way[pick % len(self.under_way)], which)

    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if self.session.deadline <= self.now:
            self.session.timer(self.now)
            self.run()
        self.session.tick(self.now)
        self.run()

    def happens(self, what: str) -> None:
        session, now = self.session, self.now
        if what == "newest" and self.newest:
            session.notify(self.new_id(), now)
        elif what == "again":
            session.notify("", now)
        elif what == "prefetch":
            session.prefetch(now)
        elif what == "prove" and session.is_proving:
            session.prove()
        elif what == "pong":
            session.pong(self.numbers, now)
        elif what == "pause":
            session.pause_output()
        elif what == "resume":
            session.resume_output(now)
        elif what == "life":
            session.last_sign_of_life = now
        self.run()

    def ends(self, how: str) -> None:
        session, now = self.session, self.now
        if how == "lost":
            session.lost(1006, "", now)
        elif how == "failed":
            self.has_failed = True
            session.fail(CommandFailed("ERR"), now)
        elif how == "drain":
            session.drain(1.0, now)
        elif how == "violation":
            session.violation()
        else:
            session.close({"replaced": REPLACED, "logged out": LOGGED_OUT}.get(how, DRAINING), now)
        self.run()

    def teardown(self) -> None:
        """However it went: once the socket is gone and all replies have come, it is over, and nothing is left."""
        if not hasattr(self, "session"):
            return
        session = self.session
        session.lost(1006, "", self.now)
        self.run()
        for number in range(1000):
            if not self.under_way:
                break
            self.answer(self.under_way[0], number % 2)
        assert not self.under_way
        assert session.left, "every reply came, and it did not leave"
        assert self.has_left
        assert self.has_failed or session.in_hand == 0
        assert not session._sends._queues
        assert session.deadline == float("inf")


STEPS_THERE_ARE: Final[list[tuple[str, Callable[[random.Random], tuple[Any, ...]]]]] = [
    ("reply", lambda dice: (dice.randrange(20), dice.choice((0, 0, 0, 0, 0, 0, 1, 2, 3, 4)))),
    ("chats", lambda dice: (dice.choice(RECIPIENTS), dice.randint(1, 3))),
    ("acks", lambda dice: (dice.randrange(20), dice.randint(1, 3))),
    ("acks_by_name", lambda dice: (dice.randrange(20), dice.choice(("read", "delivered")))),
    ("happens", lambda dice: (dice.choice(HAPPENINGS),)),
    ("time_passes", lambda dice: (dice.choice((0.001, 0.03, 0.06, 0.6, 1.0, 20.0, 31.0, 61.0)),)),
    ("nonsense", lambda dice: (dice.choice(NONSENSE),)),
    ("ends", lambda dice: (dice.choice(("lost", "replaced", "logged out", "drain", "failed", "violation")),)),
]
WEIGHTS: Final = [40, 10, 12, 6, 16, 14, 1, 0.3]


def try_orders(session_class: type[Session]) -> None:
    knobs = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(type("Orders", (Orders,), {"session_class": session_class}), settings=knobs)


def test_the_orders_hold_whatever_comes() -> None:
    try_orders(Session)


@pytest.mark.parametrize(
    "bug",
    ["settle-first", "fetch-first", "leave-first", "sent-early", "no-window", "copy-first", "sent-before-copy"],
)
def test_a_broken_order_is_found(bug: str) -> None:
    with pytest.raises(AssertionError):
        try_orders(BUGS[bug])
