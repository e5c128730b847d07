"""One server process: its hub, its connection to Redis, what it hears of others; and how it ends."""

import random
from collections.abc import Callable
from typing import Any, Final, Protocol

from delivery.results import NotCached
from delivery.session.session import Session
from protocol.dialects import SUBPROTOCOL, V1, Dialect, Hello, Seed
from protocol.errors import LEASE_LOST, REPLACED, ApiError
from protocol.token_bucket import TokenBucket
from settings import Settings
from tools.simulate.link import Link
from tools.simulate.shell import Connection, Place
from tools.simulate.socket import Client, Socket
from tools.simulate.storage import Account, Storage
from tools.simulate.timeline import Timeline

TICK_SECONDS: Final = 1.0
DATABASE_LATENCY: Final = (0.002, 0.02)
BUS_LATENCY: Final = (0.0005, 0.005)
DIALECTS: Final[dict[str, Dialect]] = {"seed": Seed(), SUBPROTOCOL: V1()}


class World(Protocol):
    """What is around the servers."""

    timeline: Timeline
    settings: Settings
    storage: Storage
    rng: random.Random
    session_class: type[Session]

    @property
    def database_is_away(self) -> bool: ...
    def server(self, server_id: str) -> "Server | None": ...
    def report(self, what: str) -> None: ...
    def trace(self, who: str, what: object) -> None: ...


class Server:
    """``is_deaf``: its subscription hears nothing. ``deafness``: the chance of a single notification to be lost."""

    def __init__(self, server_id: str, world: World) -> None:
        self.id = server_id
        self._world = world
        self.timeline, self.storage = world.timeline, world.storage
        self.trace = world.trace
        self._rng, self._settings = world.rng, world.settings
        limits = (self._settings.redis_connect_seconds, self._settings.redis_command_seconds)
        self.link = Link(self, self.timeline, self.storage, world.rng, limits)
        self.is_alive = self.is_accepting = True
        self.is_deaf = False
        self.deafness = 0.0
        self._frozen: list[tuple[Callable[..., object], tuple[Any, ...]]] | None = None
        self._hub: dict[str, dict[str, Connection]] = {}
        self._sockets: dict[Socket, None] = {}
        self._numbers = 0
        self._ticked = self.timeline.now
        self._hears_at = 0.0
        self.timeline.after(TICK_SECONDS, self.call, self._tick)

    def call(self, run: Callable[..., object], *args: Any) -> None:
        """Run this, unless the server died; later, if it stands still."""
        if self._frozen is not None:
            self._frozen.append((run, args))
        elif self.is_alive:
            run(*args)

    def report(self, what: str) -> None:
        """Something is wrong."""
        self._world.report(what)

    # ---- connections

    def accept(self, client: Client, place: Place) -> Socket:
        """A client was upgraded."""
        self._numbers += 1
        socket = Socket(self, client, self.timeline, self._rng, self._settings.ping_seconds)
        self._sockets[socket] = None
        connection = Connection(self, socket, place, self._numbers)
        socket.handler = connection
        connection.start()
        return socket

    def make_session(self, place: Place) -> Session:
        """The real one, or one with a bug on purpose."""
        settings, now = self._settings, self.timeline.now
        bucket = TokenBucket(settings.data_frames_per_second, settings.data_frames_burst, now)
        dialect = DIALECTS[place.dialect]
        who = place.mobile, place.device, dialect
        return self._world.session_class(*who, settings, _canonical, None, bucket, now)

    def hello(self, place: Place, connection_id: str, epoch: str) -> list[bytes]:
        """The first frame of a connection."""
        settings = self._settings
        hello = Hello(
            server_id=self.id,
            connection_id=connection_id,
            device_id=place.device,
            mobile=place.mobile,
            name="Somebody",
            epoch=epoch,
            window=settings.window,
            max_message_bytes=settings.max_message_bytes,
            ping_seconds=settings.ping_seconds,
        )
        return DIALECTS[place.dialect].hello(hello)

    def enter(self, connection: Connection) -> None:
        """From now on notifications reach it."""
        self._hub.setdefault(connection.holder.mobile, {})[connection.holder.connection_id] = connection

    def leave(self, connection: Connection) -> None:
        """It is over."""
        theirs = self._hub.get(connection.holder.mobile, {})
        theirs.pop(connection.holder.connection_id, None)
        if not theirs:
            self._hub.pop(connection.holder.mobile, None)
        self._sockets.pop(connection.socket, None)

    def connections(self) -> list[Connection]:
        """All of them."""
        return [connection for theirs in self._hub.values() for connection in theirs.values()]

    def _tick(self) -> None:
        now = self.timeline.now
        was_frozen, self._ticked = now - self._ticked > self._settings.lease_seconds, now
        for connection in self.connections():
            if was_frozen:
                connection.close(LEASE_LOST)
            else:
                connection.tick()
        self.timeline.after(TICK_SECONDS, self.call, self._tick)

    # ---- notifications

    def prefetch(self, mobile: str) -> None:
        """An entry for this user is on its way to Redis."""
        if mobile in self._hub and self.link.is_healthy:
            self.timeline.at(self.timeline.now, self.call, self._prefetch, mobile)

    def _prefetch(self, mobile: str) -> None:
        for connection in list(self._hub.get(mobile, {}).values()):
            connection.prefetch()

    def notify(self, mobile: str, stream_id: str) -> None:
        """This entry waits."""
        for connection in list(self._hub.get(mobile, {}).values()):
            connection.notify(stream_id)

    def devices_changed(self, mobile: str) -> None:
        """Another device of this user is there."""
        for connection in self._hub.get(mobile, {}).values():
            connection.devices_changed()

    def notify_all(self) -> None:
        """Notifications may have been lost."""
        for connection in self.connections():
            connection.notify("")

    def hear(self, run: Callable[..., object], *args: Any) -> None:
        """Redis passes something on to this server."""
        if self.is_deaf or (self.deafness and self._rng.random() < self.deafness):
            return
        self._hears_at = max(self._hears_at, self.timeline.now + self._rng.uniform(*BUS_LATENCY))
        self.timeline.at(self._hears_at, self.call, run, *args)

    def replaced(
        self, server_id: str, connection_id: str, mobile: str, reply: Callable[[Exception | None], None]
    ) -> None:
        """Tell a server that this connection lost its device."""
        if server_id == self.id:
            self._close_replaced(mobile, connection_id)
            reply(None)
            return

        def publish() -> None:
            other = self._world.server(server_id)
            if other is not None:
                other.hear(other._close_replaced, mobile, connection_id)

        self.link.send(publish, reply)

    def _close_replaced(self, mobile: str, connection_id: str) -> None:
        connection = self._hub.get(mobile, {}).get(connection_id)
        if connection is not None:
            connection.close(REPLACED)

    # ---- PostgreSQL

    def load(self, mobile: str, reply: Callable[[Exception | None], None]) -> None:
        """A user from PostgreSQL into Redis."""

        def found() -> None:
            if self._world.database_is_away:
                reply(ApiError("unavailable"))
                return
            account = self.storage.accounts[mobile]
            row = Account(account.id, account.version, list(account.blocked))
            self.link.send(lambda: self.storage.load(mobile, row), reply)

        self.timeline.after(self._rng.uniform(*DATABASE_LATENCY), self.call, found)

    def presence(self, mobile: str, asker: str, reply: Callable[[Any], None], *, has_loaded: bool = False) -> None:
        """Online, when last seen, None, or an error."""

        def told(result: Any) -> None:
            if not isinstance(result, NotCached):
                reply(result)
            elif has_loaded:
                reply(ApiError("unavailable"))
            else:
                self.load(mobile, loaded)

        def loaded(error: Exception | None) -> None:
            if error is None:
                self.presence(mobile, asker, reply, has_loaded=True)
            else:
                reply(error)

        self.link.send(lambda: self.storage.presence(mobile, asker), told)

    # ---- its end

    def freeze(self) -> None:
        """Stand still."""
        if self._frozen is None:
            self._frozen = []

    def thaw(self) -> None:
        """Go on with what came meanwhile."""
        waiting, self._frozen = self._frozen or [], None
        for run, args in waiting:
            self.call(run, *args)

    def die(self) -> None:
        """At once; nothing is finished."""
        if self.is_alive:
            self.is_alive = self.is_accepting = False
            self._frozen = None
            for socket in list(self._sockets):
                socket.server_died()
            self._sockets.clear()
            self._hub.clear()
            self.link.end()

    def drain(self) -> None:
        """End in good order: what is in hand is finished."""
        self.is_accepting = False
        for connection in self.connections():
            connection.drain(round(self._rng.uniform(0.2, 1.0), 2))

    @property
    def is_empty(self) -> bool:
        """Whether everybody has left."""
        return not self._hub


def _canonical(mobile: str) -> str:
    if not mobile.isdigit():
        raise ApiError("bad_mobile")
    return mobile
