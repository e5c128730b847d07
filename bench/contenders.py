"""Who takes part: venues by name, started when they are needed, stopped at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.copied import ACKED, Copied
from bench.ejabberd import Ejabberd
from bench.prosody import Prosody
from bench.relay import Relay
from bench.stack import Elsewhere, Ours, Running, Stack
from bench.venue import Venue

PACKAGED: dict[str, Callable[[], Venue]] = {"ejabberd": Ejabberd, "prosody": Prosody, "relay": Relay}
FSYNC = {"mini-everysec": "everysec", "mini-always": "always"}
NAMES = (*FSYNC, "ejabberd", "prosody")
ON_REQUEST = ("mini", *ACKED)
"""Those that take part only when they are named."""


@dataclass
class Contenders:
    """Starts servers and ends them. The two ways of our Redis to write to disk share one stack.

    :param workers: server processes of our own stack
    :param data: measure the instance that runs there, instead of a fresh one
    :param url: measure servers known only by their address
    """

    workers: int = 2
    data: Path | None = None
    url: str | None = None
    ack_each: bool = False
    _venues: dict[str, Venue] = field(default_factory=dict)
    _running: Running | None = None
    _stacks: list[Stack] = field(default_factory=list)

    def get(self, name: str) -> Venue:
        """The venue of that name, started if need be.

        :raises Absent: when it cannot be had here
        :raises ChildError: when it does not come up
        """
        if name not in self._venues:
            self._venues[name] = self._start(name)
        return self._venues[name]

    def _start(self, name: str) -> Venue:
        if start := PACKAGED.get(name):
            return start()
        if self.url:
            return Elsewhere(self.url, ack_each=self.ack_each)
        if name in ACKED:
            return Copied(self.stack({"REPLICAS_ACKED": ACKED[name]}), name, ack_each=self.ack_each)
        if self._running is None:
            self._running = Running(self.data) if self.data else self.stack()
        return Ours(self._running, FSYNC.get(name), name=name, ack_each=self.ack_each)

    def stack(self, env: Mapping[str, str] | None = None) -> Running:
        """Another stack of our own, with these knobs.

        :raises ChildError: when it does not come up
        """
        stack = Stack(self.workers, env)
        self._stacks.append(stack)
        return stack.start()

    def add(self, venue: Venue) -> None:
        """One that somebody else has made; it is closed with the others."""
        self._venues[venue.name] = venue

    async def close(self) -> None:
        """End everything."""
        venues, self._venues = list(self._venues.values()), {}
        stacks, self._stacks, self._running = self._stacks, [], None
        try:
            for venue in venues:
                await venue.close()
        finally:
            for stack in stacks:
                stack.stop()
