"""The connections between the product and Redis, for commands and for pub/sub separately."""

import threading
from typing import ClassVar

from tools.chaos.faults.base import Fault
from tools.chaos.proxy import Kind, Mode
from tools.chaos.stack import Stack

WIRE = frozenset({"wire", "background"})


class WireFault(Fault):
    """One mode for some kinds of connection."""

    touches, servers_answer = WIRE, True
    mode: ClassVar[Mode]
    kinds: ClassVar[tuple[Kind, ...]]

    def strike(self, stack: Stack) -> None:
        stack.redis_proxy.set(self.mode, *self.kinds)

    def heal(self, stack: Stack) -> None:
        stack.redis_proxy.heal()


def _fault(name: str, what: str, mode: Mode, *kinds: Kind, **more: object) -> type[WireFault]:
    fields = {"__doc__": what, "name": name, "what": what, "mode": mode, "kinds": kinds, **more}
    return type(name, (WireFault,), fields)


CUTS = [
    _fault("cut-commands", "commands to Redis cut off", Mode.CUT, "commands"),
    _fault("cut-pubsub", "pub/sub from Redis cut off", Mode.CUT, "pubsub", outage_limit=5.0),
]
DELAYS = [
    _fault("delay-commands", "200 ms on the way to Redis and back", Mode.DELAY, "commands", outage_limit=5.0),
    _fault(
        "delay-pubsub",
        "pub/sub from Redis late by 100 ms: nothing is excused",
        Mode.DELAY,
        "pubsub",
        seconds=8.0,
        mild=True,
    ),
]
HOLES = [
    _fault("hole-commands", "commands to Redis vanish (black hole)", Mode.BLACK_HOLE, "commands", seconds=5.0),
    _fault(
        "hole-pubsub",
        "pub/sub from Redis vanishes (black hole)",
        Mode.BLACK_HOLE,
        "pubsub",
        seconds=5.0,
        outage_limit=5.0,
    ),
]
HALVES = [
    _fault("no-replies", "commands reach Redis, replies vanish", Mode.NO_REPLIES, "commands", seconds=5.0),
    _fault("no-commands", "commands vanish, the connections stand", Mode.NO_COMMANDS, "commands", seconds=5.0),
    _fault(
        "no-news", "subscriptions stand, messages vanish", Mode.NO_REPLIES, "pubsub", seconds=5.0, outage_limit=5.0
    ),
    _fault(
        "no-subscribe", "subscriptions vanish, the connections stand", Mode.NO_COMMANDS, "pubsub", seconds=5.0,
        outage_limit=5.0,
    ),
]  # fmt: skip


class RepliesCutOff(Fault):
    """Commands are executed, and the product does not learn it: again and again."""

    servers_answer = True
    name, what, touches, seconds = (
        "replies-cut-off",
        "a command ran and its reply was cut off, ten times a second",
        WIRE,
        4.0,
    )

    def strike(self, stack: Stack) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_cutting, args=(stack,))
        self._thread.start()

    def _keep_cutting(self, stack: Stack) -> None:
        while not self._stopped.wait(0.1):
            stack.redis_proxy.set(Mode.CUT_AFTER_NEXT, "commands")

    def heal(self, stack: Stack) -> None:
        self._stopped.set()
        self._thread.join()
        stack.redis_proxy.heal()


FAULTS: list[type[Fault]] = [*CUTS, *DELAYS, *HOLES, *HALVES, RepliesCutOff]
