"""Bugs on the way from a client's chat to its entry in a mailbox, and back to ``sent``."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis

from delivery.mailbox import Mailbox, Stored
from delivery.notifications import notify_command
from delivery.redis.client import RedisClient
from tools import session_bugs
from tools.chaos.breakages import OF_MAILBOXES
from tools.chaos.bugs.base import Bug, Scene, replace
from tools.chaos.bugs.lua import broken, instead, tap
from tools.chaos.bugs.sessions import SenderFromFrame, session_bug

SLOW_HEALING: Final = {"PING_SECONDS": "30", "LEASE_SECONDS": "60", "RECLAIM_SECONDS": "60"}
"""Renewals and a job make up for a lost notification within seconds. Where it is to be seen, they come late."""
QUIET: Final = {"vanish": 0.0, "lose_signal": 0.0, "switch": 0.0, "cut": 0.0, "log_out": 0.0, "block": 0.0}
STORE_DELAY_SECONDS: Final = 0.02
"""So late the chats are stored after a notification: later than the fetch that it causes."""
Chats = Sequence[tuple[str, str]]


def believe_from() -> None:
    """A chat is stored as one of the person in ``from``."""
    session_bug(SenderFromFrame)()
    store_chats = Mailbox.store_chats

    def believing(self: Mailbox, to: str, sender: str, chats: Chats, then: Callable[[Any], None]) -> None:
        store_chats(self, to, SenderFromFrame.claimed.get((sender, to), sender), chats, then)

    replace(Mailbox, "store_chats", believing)


def notify_first() -> None:
    """The recipient's servers are notified, and then the chats are stored."""
    broken(tap("store_chats", lua="if command == 'PUBLISH' then return 0 end"))()
    store_chats = Mailbox.store_chats

    def notifying(self: Mailbox, to: str, sender: str, chats: Chats, then: Callable[[Any], None]) -> None:
        loop, newest = asyncio.get_running_loop(), f"{time.time() * 1000:.0f}-0"

        def stored(result: Stored | Exception) -> None:
            then(result._replace(servers=[]) if isinstance(result, Stored) else result)

        def notify(servers: set[str]) -> None:
            """One server after the other; each reply says that the one before was notified."""
            if servers:
                command = notify_command(servers.pop(), to, newest)
                self._redis.request_command(lambda _reply: notify(servers), *command)
            else:
                loop.call_later(STORE_DELAY_SECONDS, store_chats, self, to, sender, chats, stored)

        def on_leases(leases: list[bytes] | Exception) -> None:
            if isinstance(leases, Exception):
                then(leases)
            else:
                notify({value.decode().split()[0] for value in leases})

        self._redis.request_command(on_leases, "HVALS", self._users.keys(to).leases)

    replace(Mailbox, "store_chats", notifying)


def send_sources_once() -> None:
    """A process that has used a script does not send its source again when Redis has lost it."""
    handle_reply, used = RedisClient._handle_reply, set[str]()

    def handling(self: RedisClient, reply: Any) -> None:
        pending = self._sent[0]
        if pending.script is not None:
            if not isinstance(reply, hiredis.ReplyError):
                used.add(pending.script.sha)
            elif pending.script.sha in used:
                self._sent[0] = pending._replace(script=None)
        handle_reply(self, reply)

    replace(RedisClient, "_handle_reply", handling)


def _trimming(most: int) -> str:
    return f"""
    if command == 'XADD' and string.sub(args[1], 1, 8) == 'mailbox:' then
      local id = run(command, unpack(args, 1, most))
      if id then run('XTRIM', args[1], 'MAXLEN', {most}) end
      return id
    end"""


LOOK: Final = "local record, answer = records[n] or known and known[field], 'full'\n"
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
        "The sender of a chat is the one in its frame, not the one who logged in.",
        *("I8", "arrived at", believe_from),
        Scene(before=2.0),
    ),
    Bug(
        "sent-early",
        "`sent` is sent before the chat is stored.",
        *("I1", "never arrived", session_bug(session_bugs.SentBeforeStored)),
        Scene(("kill-redis",), before=1.0),
    ),
    Bug(
        "order-raced",
        "Chats of one connection to one person are stored at once, not one after the other.",
        *("I3", "on one connection", session_bug(session_bugs.StoredAtOnce)),
        Scene(before=4.0, rate=30.0, rates={"burst": 16.0}),
    ),
    Bug(
        "ring-first",
        "The recipient's server is notified before the chat is stored, and finds nothing.",
        *("I1", "never arrived", notify_first),
        Scene(before=4.0, people=40, rate=25.0, knobs=SLOW_HEALING, rates=QUIET),
    ),
    Bug(
        "dedupe-forgotten",
        "A repeated chat is stored again, because its record is not looked up.",
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
        "The counters of a mailbox are not lowered: it is full for ever.",
        *("I11", "sent without success", broken(OF_MAILBOXES["counters are not lowered"])),
        Scene(before=4.0, drain=10.0, rate=150.0, knobs={"MAILBOX_LIMIT": "12"}, rates=QUIET),
    ),
    Bug(
        "noscript",
        "A script that Redis lost is not sent to it a second time.",
        *("I11", "failed: HTTP 500", send_sources_once),
        Scene(("kill-redis",), before=1.0, after=2.0, drain=3.0, rates={"look_up": 30.0}),
    ),
]
