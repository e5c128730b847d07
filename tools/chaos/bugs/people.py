"""Bugs in what is known of people: who is online, whom they block, which session lives, what was lost."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from delivery.connection.connection import Connection
from delivery.connection.lease import Lease
from delivery.messenger import Messenger

from delivery.hub import Hub
from delivery.presence import Claimed
from delivery.user_records import UserRecords
from protocol.errors import ApiError
from server.websocket.accepted_socket import AcceptedSocket
from tools.chaos.breakages import NO_BLOCKS, OF_MAILBOXES, OF_PRESENCE
from tools.chaos.bugs.base import Bug, Scene, replace
from tools.chaos.bugs.lua import broken, tap

STALE_SECONDS: Final = 5.0


def tcp_is_life() -> None:
    """A socket that stands is alive: the heartbeat is content, and the lease is carried on."""
    replace(AcceptedSocket, "take_activity", lambda _self: True)

    def due(self: Lease, now: float) -> bool:
        self.sign_of_life()
        return now - self._renewed >= self._early

    replace(Lease, "due", due)


def keep_sockets() -> None:
    """A session that is logged out keeps its sockets."""
    replace(Hub, "close_session", lambda *_args, **_more: None)


def keep_quiet() -> None:
    """Nobody is told that storage lost something."""
    reclaimed = Connection.reclaimed

    async def silently(self: Connection, claimed: Claimed, **_more: bool) -> None:
        await reclaimed(self, claimed, storage_lost=False)

    replace(Connection, "reclaimed", silently)


def load_no_blocks() -> None:
    """A person who comes from PostgreSQL anew blocks nobody."""
    load = UserRecords.load

    async def openly(self: UserRecords, mobile: str) -> None:
        await load(self, mobile)
        await self._redis.command("DEL", self.keys(mobile).blocks)

    replace(UserRecords, "load", openly)


def ask_blocks_before() -> None:
    """Whether a block stands is asked by the server, and remembered; the scripts do not look."""
    broken(tap("store_chats", "fetch", lua=NO_BLOCKS))()
    send_soon = Messenger.send_soon
    known: dict[tuple[str, str], tuple[float, bool]] = {}

    async def ask(self: Messenger, sender: str, to: str, chats: Sequence[tuple[str, str]], then: Any) -> None:
        try:
            stands = await self.mailbox._link.command("SISMEMBER", self.mailbox._people.keys(to).blocks, sender)
        except ApiError as refusal:
            then(refusal)
            return
        known[sender, to] = time.monotonic(), bool(stands)
        go(self, sender, to, chats, then)

    def go(self: Messenger, sender: str, to: str, chats: Sequence[tuple[str, str]], then: Any) -> None:
        _, blocked = known[sender, to]
        if blocked:
            then([f"{time.time() * 1000:.0f}-0" for _ in chats])
        else:
            send_soon(self, sender, to, chats, then)

    def asking(
        self: Messenger, sender: str, to: str, chats: Sequence[tuple[str, str]], then: Callable[[Any], None]
    ) -> None:
        asked, _ = known.get((sender, to), (0.0, False))
        if time.monotonic() - asked > STALE_SECONDS:
            self._hub.spawn(ask(self, sender, to, chats, then))
        else:
            self._hub.spawn(_later(go, self, sender, to, chats, then))

    replace(Messenger, "send_soon", asking)


async def _later(work: Callable[..., None], *args: Any) -> None:
    work(*args)  # never before the caller has returned


BLOCKING: Final = {"block": 20.0, "log_out": 0.0, "vanish": 0.0, "lose_signal": 0.0}

BUGS: Final = [
    Bug(
        "release-unfenced",
        "A connection that ends releases its device's lease without looking whether a newer one holds it.",
        *("I6", "not shown online", broken(OF_PRESENCE["anybody releases"])),
        Scene(("delay-pubsub",), before=3.0, rates={"switch": 12.0, "look_up": 80.0}),
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
        "epoch-untold",
        "A connection that finds storage emptied does not tell its client.",
        *("I12", "was never notified", keep_quiet),
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
        "When Redis has forgotten a person, he is loaded without his blocks.",
        *("I5", "was sent after the block was answered, and arrived", load_no_blocks),
        Scene(("flushall",), before=3.0, after=4.0, people=150, rate=400.0, rates=BLOCKING),
    ),
    Bug(
        "expiry-untold",
        "What waited for too long leaves, and its sender is not told.",
        *("of chats that waited for too long", "[]", broken(OF_MAILBOXES["a chat expires and nobody is told"])),
        Scene(("expiry",), before=1.0),
    ),
]
