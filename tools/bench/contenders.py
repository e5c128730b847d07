"""The contenders: environments by name, started when they are needed, stopped at the end."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.bench.client import Client, SeedClient
from tools.bench.environment import Environment
from tools.bench.relay import Relay
from tools.bench.stack import ACKED, Product, RemoteProduct, ReplicatedProduct, RunningStack, Stack
from tools.bench.xmpp_servers import Ejabberd, EjabberdArchive, Prosody
from tools.devstack.options import ROOT

PACKAGED: dict[str, Callable[[], Environment]] = {
    "ejabberd": Ejabberd,
    "ejabberd-archive": EjabberdArchive,
    "prosody": Prosody,
    "relay": Relay,
}
FSYNC = {"mini-everysec": "everysec", "mini-always": "always"}
NAMES = (*FSYNC, "ejabberd", "ejabberd-archive", "prosody")
ON_REQUEST = ("mini", *ACKED)
"""Contenders that take part only when they are named."""
BEFORE = "mini-before"
SEED = "-seed"
"""Suffix of a contender's name when its clients speak the seed dialect."""
NEVER_HIT = {
    name: "1000000000"
    for name in (
        "UPGRADES_PER_SECOND",
        "UPGRADES_BURST",
        "UPGRADES_PER_ADDRESS_PER_SECOND",
        "UPGRADES_PER_ADDRESS_BURST",
        "LOOKUPS_PER_MINUTE",
        "LOOKUPS_BURST",
        "LOOKUPS_PER_ADDRESS_PER_MINUTE",
        "LOOKUPS_PER_ADDRESS_BURST",
        "PAIR_CHATS_PER_SECOND",
        "PAIR_CHATS_BURST",
        "STRANGER_CHATS_PER_SECOND",
        "STRANGER_CHATS_BURST",
        "SENDER_CHATS_PER_SECOND",
        "SENDER_CHATS_BURST",
        "SENDER_BYTES_PER_SECOND",
        "SENDER_BYTES_BURST",
        "NEW_RECIPIENTS_PER_HOUR",
    )
}
"""Limits that the benchmark's clients would hit, each raised out of their reach."""
LIMITS: dict[str, dict[str, str]] = {
    "off": {"RATE_LIMITS": "off"},
    "on": {"RATE_LIMITS": "on", **NEVER_HIT, "CONNECTIONS_PER_ADDRESS": "0"},
    "shipped": {"RATE_LIMITS": "on"},
}
"""Rate limits of a stack: none; all of them checked, but so high that none is hit; the defaults."""


def processes_of(name: str) -> tuple[str, int | None]:
    """A contender's name without the number of server processes that it may end in, and that number (None: as many as
    all have): ``mini-everysec-1``. It stands before the dialect."""
    found = re.fullmatch(r"(mini-everysec|mini-always)-([1-9])", name)
    return (found[1], int(found[2])) if found else (name, None)


def dialect_of(name: str) -> tuple[str, type[Client]]:
    """The servers and the client class that a contender's name stands for."""
    return (name.removesuffix(SEED), SeedClient) if name.endswith(SEED) else (name, Client)


@dataclass
class Contenders:
    """Starts servers and stops them. ``everysec`` and ``always`` share one stack.

    :param workers: server processes of our own stack
    :param data: measure the instance that runs there, instead of a fresh one
    :param url: measure servers known only by their address
    :param before: the checkout whose code :data:`BEFORE` runs
    :param limits: one of :data:`LIMITS`, for stacks of our own starting
    """

    workers: int = 2
    data: Path | None = None
    url: str | None = None
    ack_each: bool = False
    before: Path | None = None
    limits: str = "off"
    _environments: dict[str, Environment] = field(default_factory=dict)
    _running: dict[tuple[Path | None, int], RunningStack] = field(default_factory=dict)
    _stacks: list[Stack] = field(default_factory=list)

    def get(self, name: str) -> Environment:
        """The environment of that name, started if it is not running.

        :raises NotInstalled: when its packages are missing
        :raises ChildError: when it does not come up
        """
        if name not in self._environments:
            self._environments[name] = self._start(name)
        return self._environments[name]

    def _start(self, name: str) -> Environment:
        if start := PACKAGED.get(name):
            return start()
        servers, kind = dialect_of(name)
        servers, processes = processes_of(servers)
        if servers == BEFORE:
            running = self._shared(self.before)
            return Product(running, "everysec", name=name, ack_each=self.ack_each, kind=kind)
        if self.url:
            return RemoteProduct(self.url, name=name, ack_each=self.ack_each, kind=kind)
        if servers in ACKED:
            return ReplicatedProduct(
                self.stack({"REPLICAS_ACKED": ACKED[servers]}), name, ack_each=self.ack_each, kind=kind
            )
        running = self._shared(None, processes)
        return Product(running, FSYNC.get(servers), name=name, ack_each=self.ack_each, kind=kind)

    def _shared(self, checkout: Path | None, processes: int | None = None) -> RunningStack:
        """The stack that contenders of one checkout with as many server processes share."""
        key = checkout, processes or self.workers
        if key not in self._running:
            there = self.data if checkout is None else None
            self._running[key] = RunningStack(there) if there else self.stack(checkout=checkout, workers=processes)
        return self._running[key]

    def stack(
        self,
        env: Mapping[str, str] | None = None,
        checkout: Path | None = None,
        limits: str | None = None,
        workers: int | None = None,
    ) -> RunningStack:
        """Another stack of this product, with these settings.

        :param checkout: the directory whose code it runs; None is this one
        :param limits: instead of those of all stacks
        :param workers: server processes, instead of as many as all stacks have
        :raises ChildError: when it does not come up
        """
        stack = Stack(workers or self.workers, {**LIMITS[limits or self.limits], **(env or {})}, checkout or ROOT)
        self._stacks.append(stack)
        return stack.start()

    def add(self, environment: Environment) -> None:
        """Add an environment that was made elsewhere; it is closed with the others."""
        self._environments[environment.name] = environment

    async def close(self) -> None:
        """Close all environments and stop all stacks."""
        environments, self._environments = list(self._environments.values()), {}
        stacks, self._stacks, self._running = self._stacks, [], {}
        try:
            for environment in environments:
                await environment.close()
        finally:
            for stack in stacks:
                stack.stop()
