"""What breaks, when, and for how long: a plan that follows from the seed, of which any part can be left out."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tools.simulate.server import Server
from tools.simulate.storage import Storage
from tools.simulate.timeline import Timeline

RESTART: Final = 2.0
"""Seconds after which a server that ended is there again, at least."""
JUMP_MS: Final = 3_600_000
HEAL_SECONDS: Final = 50.0
"""Two pings: a lease that Redis lost is found to be lost by the next renewal."""
HEARTBEAT_SILENCE: Final = 15.0
"""Seconds after which a server notices that it hears nothing, and subscribes anew."""


@dataclass(frozen=True)
class Fault:
    """One of :data:`KINDS`, ``at`` seconds after the beginning, for so many seconds; ``server``: which one."""

    at: float
    kind: str
    seconds: float
    server: int
    strength: float

    @property
    def sets_clock_back(self) -> bool:
        """Whether Redis' clock jumps back by it."""
        return self.kind == "clock jump" and self.strength < 1 / 2

    def __str__(self) -> str:
        return (
            f"{self.at:9.3f} {self.kind} for {self.seconds:.3f} s (server {self.server}, strength {self.strength:.3f})"
        )


class World(Protocol):
    """What can be broken."""

    timeline: Timeline
    storage: Storage
    places: list[Server]
    database_is_away: bool

    def note(self, kind: str, **fields: object) -> None: ...
    def start_server(self, place: int) -> None: ...


Heal = Callable[[], None]


def _kill(world: World, fault: Fault) -> Heal:
    world.places[fault.server].die()
    return lambda: world.start_server(fault.server)


def _drain(world: World, fault: Fault) -> Heal:
    server = world.places[fault.server]
    server.drain()

    def heal() -> None:
        server.die()
        world.start_server(fault.server)

    return heal


def _freeze(world: World, fault: Fault) -> Heal:
    server = world.places[fault.server]
    server.freeze()
    return server.thaw


def _cut(world: World, fault: Fault) -> Heal:
    world.places[fault.server].link.abort()
    return _nothing


def _roughen(world: World, fault: Fault) -> Heal:
    links = [server.link for server in world.places]
    for link in links:
        link.roughness = fault.strength

    def heal() -> None:
        for link in [*links, *(server.link for server in world.places)]:
            link.roughness = 0.0

    return heal


def _freeze_redis(world: World, fault: Fault) -> Heal:
    storage = world.storage
    storage.frozen_until = max(storage.frozen_until, world.timeline.now + fault.seconds)
    return _nothing


def _take_redis_away(world: World, _fault: Fault) -> Heal:
    servers = list(world.places)
    for server in servers:
        server.link.is_away = True
        server.link.abort()

    def heal() -> None:
        for server in [*servers, *world.places]:
            server.link.is_away = not server.is_alive

    return heal


def _flush(world: World, _fault: Fault) -> Heal:
    world.storage.flush()
    return _nothing


def _jump(world: World, fault: Fault) -> Heal:
    jump = int(JUMP_MS * (fault.strength * 2 - 1))
    world.storage.clock.jump += jump
    return _nothing


def _deafen(world: World, fault: Fault) -> Heal:
    server = world.places[fault.server]
    server.is_deaf = True

    def heal() -> None:
        server.is_deaf = False
        server.call(server.notify_all)

    return heal


def _lose_notifications(world: World, fault: Fault) -> Heal:
    server = world.places[fault.server]
    server.deafness = 0.2 + 0.8 * fault.strength

    def heal() -> None:
        server.deafness = 0.0

    return heal


def _take_database_away(world: World, _fault: Fault) -> Heal:
    world.database_is_away = True

    def heal() -> None:
        world.database_is_away = False

    return heal


def _nothing() -> None:
    """It heals by itself."""


KINDS: Final[dict[str, tuple[Callable[[World, Fault], Heal], float, float]]] = {
    "kill server": (_kill, RESTART, 20.0),
    "drain server": (_drain, RESTART, 10.0),
    "freeze server": (_freeze, 0.5, 90.0),
    "cut link": (_cut, 0.0, 0.0),
    "rough links": (_roughen, 5.0, 60.0),
    "freeze redis": (_freeze_redis, 0.5, 12.0),
    "redis away": (_take_redis_away, 0.5, 30.0),
    "flush": (_flush, 0.0, 0.0),
    "clock jump": (_jump, 0.0, 0.0),
    "deaf server": (_deafen, 1.0, HEARTBEAT_SILENCE),
    "lost notifications": (_lose_notifications, 10.0, 60.0),
    "database away": (_take_database_away, 1.0, 20.0),
}
"""Name -> what it does, its least and its most seconds."""


def plan(rng: random.Random, seconds: float, servers: int) -> list[Fault]:
    """Of a run: some kinds of faults, more or less often."""
    kinds = sorted(rng.sample(sorted(KINDS), rng.randint(2, len(KINDS))))
    pause = rng.choice((15.0, 40.0, 120.0))
    at, found = rng.expovariate(1 / pause), []
    while at < seconds:
        kind = rng.choice(kinds)
        _, least, most = KINDS[kind]
        found.append(
            Fault(
                round(at, 3),
                kind,
                round(rng.uniform(least, most), 3),
                rng.randrange(servers),
                round(rng.choice((rng.random(), 0.02, 0.1)), 3),
            )
        )
        at += rng.expovariate(1 / pause)
    return found


class Schedule:
    """Strikes with the faults of a plan, and heals them."""

    def __init__(self, world: World, faults: Sequence[Fault], begin: float) -> None:
        self._world = world
        self._broken: set[int] = set()  # servers that are not to be broken again before they are healed
        self._lasting = 0
        self._told_by = 0.0
        for fault in faults:
            world.timeline.at(begin + fault.at, self._strike, fault)

    @property
    def is_quiet(self) -> bool:
        """Whether everything is healed, and a loss of storage has had the time to be told."""
        return self._lasting == 0 and self._world.timeline.now >= self._told_by

    def _strike(self, fault: Fault) -> None:
        strike, *_ = KINDS[fault.kind]
        is_of_server = strike in (_kill, _drain, _freeze, _deafen, _lose_notifications)
        if is_of_server and fault.server in self._broken:
            return
        if is_of_server:
            self._broken.add(fault.server)
        self._lasting += 1
        if strike is _flush:
            self._told_by = self._world.timeline.now + HEAL_SECONDS
        self._world.note("fault start", fault=fault.kind, loses_storage=strike is _flush)
        heal = strike(self._world, fault)
        self._world.timeline.after(fault.seconds, self._heal, fault, heal, is_of_server)

    def _heal(self, fault: Fault, heal: Heal, is_of_server: bool) -> None:
        heal()
        if is_of_server:
            self._broken.discard(fault.server)
        self._lasting -= 1
        self._world.note("fault end", fault=fault.kind)
