"""Bugs on the way from a client's chat to its place in a mailbox, and back to its single tick."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any, Final

import hiredis
import msgspec
from delivery.connection.inbound import Inbound
from delivery.connection.sends import MOST, Sends
from delivery.messenger import Messenger

from delivery.notifications import notify_command
from delivery.redis.client import RedisClient
from protocol.errors import ApiError
from tools.chaos.breakages import OF_MAILBOXES
from tools.chaos.bugs.base import Bug, Scene, replace
from tools.chaos.bugs.lua import broken, instead, tap

SLOW_HEALING: Final = {"PING_SECONDS": "30", "LEASE_SECONDS": "60", "RECLAIM_SECONDS": "60"}
"""A lost ring is made up for by renewals and by a job, within seconds: so that it shows, they come late."""
QUIET: Final = {"vanish": 0.0, "lose_signal": 0.0, "switch": 0.0, "cut": 0.0, "log_out": 0.0, "block": 0.0}


def believe_from() -> None:
    """The sender is who the frame says."""
    one = Inbound._one

    def believing(self: Inbound, part: bytes) -> list[bytes]:
        said = msgspec.json.decode(part)
        if said.get("type") == "chat":
            self._sends._sender = said.get("from") or self._mobile
        return one(self, part)

    replace(Inbound, "_one", believing)


def answer_early() -> None:
    """``sent``, and then the script."""
    go_on, answers = Sends._go_on, Sends._answers

    def answering(self: Sends, to: str) -> None:
        chats = self._queues[to][:MOST]
        if chats:
            stream_ids: list[str | ApiError] = [f"{time.time() * 1000:.0f}-0" for _ in chats]
            self._desk.say(answers(self, to, chats, stream_ids))
        go_on(self, to)

    replace(Sends, "_go_on", answering)
    replace(Sends, "_answers", lambda *_: [])


def race() -> None:
    """No queue: each chat is stored by a task of its own, over whichever connection of a pool is free."""

    async def alone(self: Sends, to: str, chat: tuple[str, str]) -> None:
        await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311 - how long such a connection takes
        answer: list[str | ApiError] | Exception
        try:
            answer = await self._messenger.send(self._sender, to, [chat])
        except ApiError as refusal:
            answer = refusal
        self._desk.say(self._answers(to, [chat], answer))
        self._count_down([chat])

    def put(self: Sends, to: str, message_id: str, message: str) -> None:
        self.pending += 1
        self.characters += len(message)
        self._desk.spawn(alone(self, to, (message_id, message)))

    replace(Sends, "put", put)


def ring_first() -> None:
    """The servers are rung, and then the chats are stored."""
    broken(tap("store_chats", lua="if command == 'PUBLISH' then return 0 end"))()

    async def ring_and_store(
        self: Messenger, sender: str, to: str, chats: Sequence[tuple[str, str]], then: Any
    ) -> None:
        link, place = self.mailbox._link, f"{time.time() * 1000:.0f}-0"
        try:
            held = await link.command("HVALS", self.mailbox._people.keys(to).leases)
            for server in {value.decode().split()[0] for value in held}:
                if server == self._doorbell._server_id:
                    self._doorbell._handlers.entry_waits(to, place)
                else:
                    await link.command(*notify_command(server, to, place))
        except ApiError as refusal:
            then(refusal)
            return
        self.mailbox.deposit_soon(to, sender, chats, lambda made: then(getattr(made, "stream_ids", made)))

    def send_soon(self: Messenger, *what: Any) -> None:
        self._hub.spawn(ring_and_store(self, *what))

    replace(Messenger, "send_soon", send_soon)


def give_sources_once() -> None:
    """A Redis that does not know a script is given it, but each only once."""
    heard, given = RedisClient._handle_reply, set[str]()

    def hearing(self: RedisClient, reply: Any) -> None:
        asked = self._sent[0]
        if isinstance(reply, hiredis.ReplyError) and asked.script is not None and str(reply).startswith("NOSCRIPT"):
            if asked.script.sha in given:
                self._sent[0] = asked._replace(script=None)
            given.add(asked.script.sha)
        heard(self, reply)

    replace(RedisClient, "_handle_reply", hearing)


def _trimming(most: int) -> str:
    return f"""
    if command == 'XADD' and string.sub(said[1], 1, 8) == 'mailbox:' then
      local id = run(command, unpack(said, 1, most))
      if id then run('XTRIM', said[1], 'MAXLEN', {most}) end
      return id
    end"""


LOOK: Final = "local record = records[field]\n"
MAKE_ROOM: Final = """
  while not record and chats >= most_chats do
    chats = chats - 1
    redis.call('XTRIM', mailbox, 'MAXLEN', chats)
  end
"""
AWAY: Final = Scene(before=8.0, rate=120.0, rates={"lose_signal": 2.5})

BUGS: Final = [
    Bug(
        "from-believed",
        "The sender of a chat is who its frame says, not who logged in.",
        *("I8", "arrived at", believe_from),
        Scene(before=2.0),
    ),
    Bug(
        "sent-early",
        "`sent` is said before the store has answered.",
        *("I1", "never arrived", answer_early),
        Scene(("kill-redis",), before=1.0),
    ),
    Bug(
        "order-raced",
        "Chats of one connection to one person are stored at once, not one after the other.",
        *("I3", "on one connection", race),
        Scene(before=4.0, rate=30.0, rates={"burst": 16.0}),
    ),
    Bug(
        "ring-first",
        "The recipient's server is rung before the chat is stored, and finds nothing.",
        *("I1", "never arrived", ring_first),
        Scene(before=4.0, people=40, rate=25.0, knobs=SLOW_HEALING, rates=QUIET),
    ),
    Bug(
        "dedupe-forgotten",
        "A repeated chat is stored again: nobody looks for its record.",
        *("I2", "got another answer", broken(OF_MAILBOXES["a send does not look for a record"])),
        Scene(before=3.0, rates={"repeat": 12.0, "cut": 3.0}),
        quick=True,
    ),
    Bug(
        "records-leave",
        "The record of a chat leaves the mailbox with it: a later repetition is a new chat.",
        *("I2", "got another answer", broken(OF_MAILBOXES["a settled chat takes the records along"])),
        Scene(before=3.0, rates={"repeat": 4.0}),
    ),
    Bug(
        "mailbox-trimmed",
        "A mailbox keeps its newest ten entries (MAXLEN), and drops what is older.",
        *("I1", "never arrived", broken(tap("store_chats", "store_receipt", lua=_trimming(10)))),
        AWAY,
    ),
    Bug(
        "cap-drops",
        "A full mailbox drops its oldest chat instead of refusing the newest.",
        *("I1", "never arrived", broken(instead("store_chats", LOOK, LOOK + MAKE_ROOM))),
        Scene(before=8.0, rate=120.0, knobs={"MAILBOX_LIMIT": "12"}, rates={"lose_signal": 2.5}),
    ),
    Bug(
        "counters-stay",
        "What leaves a mailbox is not counted down: it is full for ever.",
        *("I11", "sent without success", broken(OF_MAILBOXES["counters are not lowered"])),
        Scene(before=4.0, drain=10.0, rate=150.0, knobs={"MAILBOX_LIMIT": "12"}, rates=QUIET),
    ),
    Bug(
        "noscript",
        "A script that Redis forgot is not given to it a second time.",
        *("I11", "was closed with 1011", give_sources_once),
        Scene(("kill-redis",), before=1.0, drain=3.0),
    ),
]
