"""One server's connection to Redis: commands are executed in the order in which they were written, or not at all.

A command whose reply is lost may have been executed, may never be, or may be executed later.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from tools.simulate.storage import UNAVAILABLE, Storage
from tools.simulate.timeline import Timeline

LATENCY: Final = (0.0002, 0.002)
"""Seconds in each direction."""
RECONNECT: Final = (0.05, 1.0)
"""Seconds until a broken connection stands again."""
SLOW: Final = 2.5
"""Seconds at most by which a single reply is late: less than anybody waits."""


class Owner(Protocol):
    """The server whose link it is."""

    def call(self, run: Callable[..., object], *args: Any) -> None:
        """Run this on the server: later if it stands still, never if it died."""


class Command:
    """What Redis is asked to do, and who is told.

    :param may_repeat: whether it may be executed twice, the first reply being lost
    """

    __slots__ = ("at", "is_abandoned", "is_dropped", "is_executed", "may_repeat", "reply", "run")

    def __init__(self, run: Callable[[], Any], reply: Callable[[Any], None], at: float, *, may_repeat: bool) -> None:
        self.run = run
        self.reply = reply
        self.at = at
        self.may_repeat = may_repeat
        self.is_executed = self.is_abandoned = self.is_dropped = False


class Link:
    """``roughness`` is the chance of a single command to meet with something. ``is_away``: Redis cannot be reached."""

    def __init__(
        self, owner: Owner, timeline: Timeline, storage: Storage, rng: random.Random, limits: tuple[float, float]
    ) -> None:
        """:param limits: seconds to wait for a connection, and for a reply"""
        self._owner, self._timeline, self._storage, self._rng = owner, timeline, storage, rng
        self._connect_seconds, self._reply_seconds = limits
        self._unsent: deque[Command] = deque()
        self._in_flight: deque[Command] = deque()
        self._executes_at = self._replies_at = 0.0
        self._stands_at: float | None = None
        """When a broken connection is made again; None: it stands."""
        self.is_away = False
        self.roughness = 0.0

    @property
    def is_healthy(self) -> bool:
        """As the real one says it."""
        return self._stands_at is None

    def send(self, run: Callable[[], Any], reply: Callable[[Any], None], *, may_repeat: bool = True) -> None:
        """Execute ``run`` in Redis; its result, or the error that stands for it, goes to ``reply``."""
        command = Command(run, reply, self._timeline.now, may_repeat=may_repeat)
        if self._stands_at is None:
            self._write(command)
        else:
            self._unsent.append(command)
            self._timeline.after(self._connect_seconds, self._give_up, command)

    def abort(self) -> None:
        """The connection breaks. Of what was written and not executed, Redis has the first part, and may execute it."""
        if self._stands_at is not None:
            return
        self._stands_at = self._timeline.now + self._rng.uniform(*RECONNECT)
        self._timeline.at(self._stands_at, self._reconnect)
        left, self._in_flight = self._in_flight, deque()
        has_arrived = True
        for command in left:
            command.is_abandoned = True
            has_arrived = has_arrived and self._rng.random() < 0.5
            command.is_dropped = not command.is_executed and not has_arrived
            self._owner.call(command.reply, UNAVAILABLE)

    def end(self) -> None:
        """The server died: what was not written never will be, and the rest as in :meth:`abort`."""
        self._unsent.clear()
        self.abort()
        self.is_away = True

    def check(self) -> None:
        """Four times a second, in effect: a reply that is too late ends the connection."""
        if self._in_flight and self._timeline.now - self._in_flight[0].at > self._reply_seconds:
            self.abort()

    def _reconnect(self) -> None:
        if self.is_away:
            self._stands_at = self._timeline.now + RECONNECT[1]
            self._timeline.at(self._stands_at, self._reconnect)
            return
        self._stands_at = None
        unsent, self._unsent = self._unsent, deque()
        for command in unsent:
            command.at = self._timeline.now
            self._write(command)

    def _give_up(self, command: Command) -> None:
        if command in self._unsent:
            self._unsent.remove(command)
            self._owner.call(command.reply, UNAVAILABLE)

    def _write(self, command: Command) -> None:
        self._in_flight.append(command)
        self._executes_at = max(self._executes_at, self._timeline.now + self._rng.uniform(*LATENCY))
        self._timeline.at(self._executes_at, self._execute, command)

    def _execute(self, command: Command) -> None:
        if command.is_dropped:
            return
        if self._storage.frozen_until > self._timeline.now:
            self._timeline.at(self._storage.frozen_until, self._execute, command)
            if not command.is_abandoned:
                self._timeline.at(command.at + self._reply_seconds + 0.25, self.check)
            return
        is_rough = self.roughness > 0 and self._rng.random() < self.roughness
        kind = self._rng.choice(("lost", "cut", "twice", "slow")) if is_rough else ""
        if kind == "lost" and not command.is_abandoned:
            command.is_dropped = True
            self.abort()
            return
        if kind == "twice" and command.may_repeat:
            command.run()
        result = command.run()
        command.is_executed = True
        if kind == "cut" and not command.is_abandoned:
            self.abort()
        elif not command.is_abandoned:
            slow = self._rng.uniform(0, SLOW) if kind == "slow" else 0.0
            self._replies_at = max(self._replies_at, self._timeline.now + slow + self._rng.uniform(*LATENCY))
            self._timeline.at(self._replies_at, self._reply, command, result)

    def _reply(self, command: Command, result: Any) -> None:
        if not command.is_abandoned:
            self._in_flight.popleft()
            self._owner.call(command.reply, result)
