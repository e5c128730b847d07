"""Bugs in what is known of people: who is online, whom they block, which session lives, what storage lost."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from accounts import refresh_tokens
from delivery import presence, watched_people
from delivery.hub import Hub
from delivery.mailbox import Mailbox, Stored
from delivery.policy import Facts, Side, View
from delivery.user_records import UserRecords
from server.websocket.accepted_socket import AcceptedSocket
from tools import session_bugs
from tools.chaos.breakages import NO_BLOCKS, OF_MAILBOXES, OF_PRESENCE
from tools.chaos.bugs.base import Bug, Scene, replace
from tools.chaos.bugs.lua import broken, tap
from tools.chaos.bugs.sending import SLOW_HEALING
from tools.chaos.bugs.sessions import session_bug

STALE_SECONDS: Final = 5.0


def tcp_is_life() -> None:
    """A socket that stands is alive: the heartbeat is content, and the lease is carried on."""
    replace(AcceptedSocket, "take_activity", lambda _self: True)
    session_bug(session_bugs.TcpIsLife)()


def keep_sockets() -> None:
    """A session that is logged out keeps its sockets."""
    replace(Hub, "close_sessions", lambda *_args, **_more: None)


def load_no_blocks() -> None:
    """A person who is loaded from PostgreSQL blocks nobody."""
    load = UserRecords.load

    async def openly(self: UserRecords, mobile: str) -> None:
        await load(self, mobile)
        await self._redis.command("DEL", self.keys(mobile).blocks)

    replace(UserRecords, "load", openly)


def ask_blocks_before() -> None:
    """The server asks whether a block stands, and remembers the answer. The scripts do not look."""
    broken(tap("store_chats", "fetch", lua=NO_BLOCKS))()
    store_chats = Mailbox.store_chats
    known: dict[tuple[str, str], tuple[float, bool]] = {}

    def asking(
        self: Mailbox, to: str, sender: str, chats: Sequence[tuple[str, str]], then: Callable[[Any], None]
    ) -> None:
        def go_on() -> None:
            _, stands = known[sender, to]
            if stands:
                then(Stored("", [], [f"{time.time() * 1000:.0f}-0" for _ in chats]))
            else:
                store_chats(self, to, sender, chats, then)

        def on_reply(stands: int | Exception) -> None:
            if isinstance(stands, Exception):
                then(stands)
            else:
                known[sender, to] = time.monotonic(), bool(stands)
                go_on()

        asked, stands = known.get((sender, to), (0.0, False))
        if time.monotonic() - asked > STALE_SECONDS:
            self._redis.request_command(on_reply, "SISMEMBER", self._users.keys(to).blocks, sender)
        elif stands:  # never before the caller has returned
            asyncio.get_running_loop().call_soon(go_on)
        else:
            go_on()

    replace(Mailbox, "store_chats", asking)


def accept_reuse() -> None:
    """A refresh token works as long as its session, however long ago it was replaced."""
    judge = refresh_tokens.judge

    def forgiving(*args: Any, **more: Any) -> refresh_tokens.Judgement:
        judgement = judge(*args, **more)
        return "repeated" if judgement == "reused" else judgement

    replace(refresh_tokens, "judge", forgiving)


def show_everybody() -> None:
    """Who blocks or hides is shown like everybody else."""

    def see(_asker: Side, _person: Side, facts: Facts) -> View:
        return View(facts.online, facts.last_seen or None)

    for module in (presence, watched_people):
        replace(module, "see", see)


BLOCKING: Final = {"block": 20.0, "log_out": 0.0, "vanish": 0.0, "lose_signal": 0.0}

BUGS: Final = [
    Bug(
        "release-unfenced",
        "A connection that ends releases its device's lease without looking whether a newer one holds it.",
        *("I6", "not shown online", broken(OF_PRESENCE["a connection without the lease releases it"])),
        Scene(("delay-pubsub",), before=1.0, rate=5.0, knobs=SLOW_HEALING, rates={"switch": 20.0, "look_up": 80.0}),
        quick=True,
    ),
    Bug(
        "tcp-is-life",
        "A lease is carried on for as long as TCP stands, without a sign of life.",
        *("I6", "was shown online, without a connection", tcp_is_life),
        Scene(before=10.0, rates={"lose_signal": 6.0, "look_up": 30.0}),
    ),
    Bug(
        "logout-keeps-sockets",
        "A logout ends the session and leaves its sockets open.",
        *("I9", "logged out of session", keep_sockets),
        Scene(before=3.0, drain=1.0, rates={"log_out": 4.0}),
    ),
    Bug(
        "reuse-accepted",
        "A refresh token that was replaced long ago gets tokens, and its session goes on.",
        *("I9", "for a refresh token that was replaced long ago", accept_reuse),
        Scene(before=16.0, rate=20.0, rates={"reuse": 20.0}),
    ),
    Bug(
        "shown-to-the-blocked",
        "Who blocks somebody, or hides, is shown online all the same.",
        *("I5b", "and was shown online", show_everybody),
        Scene(before=5.0, rates={"block": 10.0, "hide": 5.0, "look_up": 60.0}),
        quick=True,
    ),
    Bug(
        "epoch-untold",
        "A connection that finds the storage emptied does not notify its client.",
        *("I12", "was never notified", session_bug(session_bugs.EpochUntold)),
        Scene(("flushall",), before=1.0, drain=12.0),
    ),
    Bug(
        "blocks-stale",
        "Whether a block stands is asked before the chat is stored, and remembered for five seconds.",
        *("I5", "was sent after the block was answered, and arrived", ask_blocks_before),
        Scene(before=8.0, people=150, rate=400.0, rates=BLOCKING),
    ),
    Bug(
        "blocks-fail-open",
        "When Redis has lost a person, they are loaded without their blocks.",
        *("I5", "was sent after the block was answered, and arrived", load_no_blocks),
        Scene(("flushall",), before=3.0, after=4.0, people=150, rate=400.0, rates=BLOCKING),
    ),
    Bug(
        "expiry-untold",
        "A chat that waited for too long leaves, and its sender gets no receipt.",
        *("the sender of chats that waited for too long", "[]"),
        broken(OF_MAILBOXES["a chat expires without a receipt"]),
        Scene(("expiry",), before=1.0),
    ),
]
