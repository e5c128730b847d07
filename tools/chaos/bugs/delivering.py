"""Bugs on the way from a mailbox to the client, and back with the acknowledgement."""

from typing import Final

from delivery.hub import Hub
from tools import session_bugs
from tools.chaos.bugs.base import Bug, Scene, replace
from tools.chaos.bugs.lua import broken, tap
from tools.chaos.bugs.sending import AWAY, QUIET, SLOW_HEALING
from tools.chaos.bugs.sessions import PoisonLoops, session_bug


def ignore_gaps() -> None:
    """A server that subscribes anew believes that it has missed nothing."""
    replace(Hub, "notify_all", lambda _self: None)


REQUEUE: Final = """
    if command == 'XAUTOCLAIM' then
      local reply = run(command, unpack(args, 1, most))
      if reply.err then return reply end
      for _, entry in ipairs(reply[2]) do
        run('XADD', args[1], '*', unpack(entry[2]))
        run('XACK', args[1], args[2], entry[1])
        run('XDEL', args[1], entry[1])
      end
      return {reply[1], {}}
    end"""
RESTLESS: Final = Scene(before=6.0, rate=120.0, rates={"cut": 12.0, "switch": 12.0, "vanish": 6.0})

BUGS: Final = [
    Bug(
        "settle-first",
        "An acknowledged chat leaves the mailbox before its sender's receipt is stored.",
        *("I4", "no receipt ever arrived", session_bug(session_bugs.SettledBeforeReceipt)),
        Scene(("replies-cut-off",), before=1.0),
    ),
    Bug(
        "settle-on-writing",
        "A chat leaves the mailbox when it is written to a socket, not when it is acknowledged.",
        *("I1", "never arrived", session_bug(session_bugs.SettledWhenSent)),
        RESTLESS,
    ),
    Bug(
        "confirm-on-writing",
        "A receipt to a seed client leaves the mailbox when it is written, not when a pong says that it has arrived.",
        *("I4", "no receipt ever arrived", session_bug(session_bugs.ConfirmedWhenSent)),
        RESTLESS,
    ),
    Bug(
        "pending-forgotten",
        "What an earlier connection did not acknowledge is not sent to the next one.",
        *("I1", "never arrived", session_bug(session_bugs.PendingForgotten)),
        RESTLESS,
    ),
    Bug(
        "requeued",
        "What an earlier connection did not acknowledge is stored anew, under another streamId.",
        *("I2", "arrived twice, as two entries", broken(tap("fetch", lua=REQUEUE))),
        RESTLESS,
        quick=True,
    ),
    Bug(
        "no-window",
        "Everything that waits is sent at once, however little is acknowledged.",
        *("I14", "unacknowledged on connection", session_bug(session_bugs.NoWindow)),
        Scene(before=8.0, rate=120.0, knobs={"WINDOW": "8"}, window=8, rates={"lose_signal": 6.0}),
    ),
    Bug(
        "gap-ignored",
        "A server that lost its subscription subscribes anew, and does not look into the mailboxes.",
        *("I1", "never arrived", ignore_gaps),
        Scene(("cut-pubsub",), before=1.0, people=40, rate=20.0, knobs=SLOW_HEALING, rates=QUIET),
    ),
    Bug(
        "redelivery-forgotten",
        "An entry whose acknowledgement could not be handled is not sent again on that connection.",
        *("I4", "no receipt ever arrived", session_bug(session_bugs.NeverAgain)),
        Scene(("cut-commands",), before=2.0, drain=10.0, rate=200.0, rates=QUIET),
    ),
    Bug(
        "poison-loops",
        "An entry that our own code cannot encode is tried again for ever.",
        *("a poisoned chat was tried", "times", session_bug(PoisonLoops)),
        Scene(("poison",), before=0.5),
    ),
    Bug(
        "copy-first",
        "What one device sends is copied for the others before the recipient has it.",
        *("I2", "with another time than `sent` had", session_bug(session_bugs.CopiedBeforeStored)),
        Scene(before=2.0),
        quick=True,
    ),
    Bug(
        "not-copied",
        "What one device sends does not come to the others.",
        *("I1", "and never came to", session_bug(session_bugs.NotCopied)),
        Scene(before=20.0),
    ),
    Bug(
        "acks-believed",
        "A client that names a chat is believed to have it: the person named in it gets a receipt.",
        *("I4", "without an acknowledgement", session_bug(session_bugs.AcksBelieved)),
        AWAY,
    ),
]
