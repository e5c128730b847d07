"""The connections of this server, by the user they belong to."""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Final, Protocol, TypeVar

import structlog

from background.loops import Failures, Loop, forever
from delivery.reconnect_penalty import ReconnectPenalty
from delivery.work import Work
from protocol.errors import LEASE_LOST, LOGGED_OUT, NUMBER_CHANGED, REPLACED, Close
from protocol.privacy import Privacy, decode_privacy

logger = structlog.get_logger(__name__)
TICK_SECONDS: Final = 1.0
LOOK_AGAIN: Final = ""
"""Instead of a streamId: look into the mailbox whatever was read."""
PREFETCH: Final = None
"""Instead of a streamId: an entry is being stored."""
T = TypeVar("T")


class HubConnection(Protocol):
    """What the hub asks of a connection."""

    @property
    def mobile(self) -> str: ...
    @property
    def connection_id(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    def change_privacy(self, privacy: Privacy) -> None: ...
    def show_typing(self, sender: str, active: bool) -> None: ...
    def prefetch(self) -> None: ...
    def notify(self, stream_id: str) -> None: ...
    def devices_changed(self) -> None: ...
    def close(self, close: Close) -> None: ...
    def drain(self, retry_after: float) -> None: ...
    def tick(self, now: float) -> None: ...


class Hub:
    """Finds connections; keeps the tasks that live for them, which must not hang on a request's task."""

    def __init__(self, lease_seconds: float, penalty_seconds: float = 0) -> None:
        self._lease_seconds = lease_seconds
        self.penalty = ReconnectPenalty(penalty_seconds)
        self.work = Work()
        self._connections: dict[str, dict[str, HubConnection]] = {}
        self._queue: list[tuple[str, str | None]] = []
        self._emptied: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ticker: Loop | None = None
        self._failures = Failures("a connection's tick")
        self._ticked = time.monotonic()

    def __len__(self) -> int:
        return sum(len(theirs) for theirs in self._connections.values())

    def enter(self, connection: HubConnection) -> None:
        """From now on notifications reach it."""
        self._connections.setdefault(connection.mobile, {})[connection.connection_id] = connection

    def leave(self, connection: HubConnection) -> bool:
        """Notifications reach it no more; returns whether it was the user's last one here."""
        theirs = self._connections.get(connection.mobile, {})
        theirs.pop(connection.connection_id, None)
        if not theirs:
            self._connections.pop(connection.mobile, None)
        if not self._connections and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)
        return not theirs

    def connections(self) -> list[HubConnection]:
        """All, at this moment."""
        return [connection for theirs in self._connections.values() for connection in theirs.values()]

    # ---- what waits for them

    def prefetch(self, mobile: str) -> None:
        """An entry is being stored for this user: a fetch that leaves behind it finds it, which saves one trip. Nothing
        depends on it; a notification follows."""
        if mobile in self._connections:
            if not self._queue:
                asyncio.get_running_loop().call_soon(self.deliver)
            self._queue.append((mobile, PREFETCH))

    def notify(self, mobile: str, stream_id: str) -> None:
        """This entry waits for this user; ``LOOK_AGAIN``: look whatever was read."""
        if mobile in self._connections:
            if not self._queue:
                asyncio.get_running_loop().call_soon(self.deliver)
            self._queue.append((mobile, stream_id))

    def notify_all(self) -> None:
        """Notifications may have been lost: every connection looks again."""
        for mobile in self._connections:
            self.notify(mobile, LOOK_AGAIN)

    def deliver(self) -> None:
        """Pass on what was queued. It is called from the loop, or before what was written leaves for Redis, so that the
        fetches go along: at the end of a tick, or when one connection has handled all that its client sent. So a
        connection's code never runs in the middle of another one's."""
        while self._queue:
            queue, self._queue = self._queue, []
            for mobile, stream_id in queue:
                for connection in list(self._connections.get(mobile, {}).values()):
                    try:
                        if stream_id is None:
                            connection.prefetch()
                        else:
                            connection.notify(stream_id)
                    except Exception:
                        logger.exception("a connection could not be notified")  # the others are, all the same

    def change_privacy(self, mobile: str, privacy: str) -> None:
        """This person hides something else from now on; as Redis holds it."""
        for connection in self._connections.get(mobile, {}).values():
            connection.change_privacy(decode_privacy(privacy))

    def typing(self, mobile: str, sender: str, active: bool) -> None:
        """Somebody types to this user, or has stopped."""
        for connection in self._connections.get(mobile, {}).values():
            connection.show_typing(sender, active)

    def devices_changed(self, mobile: str) -> None:
        """Another device of this user is connected for the first time."""
        for connection in self._connections.get(mobile, {}).values():
            connection.devices_changed()

    # ---- their end

    def replaced(self, mobile: str, connection_id: str) -> None:
        """This connection's device has a newer one."""
        connection = self._connections.get(mobile, {}).get(connection_id)
        if connection is not None:
            _safely(connection.close, REPLACED)

    def close_sessions(self, session_ids: Collection[str], close: Close = LOGGED_OUT) -> None:
        """End the sockets of login sessions.

        :param session_ids: better a set than a list, when there are many
        """
        for connection in self.connections():
            if connection.session_id in session_ids:
                _safely(connection.close, close)

    def move_session(self, session_id: str) -> None:
        """End the sockets of a session whose person has another number: its client has a new token."""
        self.close_sessions({session_id}, NUMBER_CHANGED)

    async def drain(self) -> None:
        """Tell every client to connect elsewhere, and wait until all have left."""
        everybody = self.connections()
        spread = max(1.0, len(everybody) / 500)
        for connection in everybody:
            seconds = round(random.uniform(0.2, spread), 2)  # noqa: S311 - a spread, not a secret
            _safely(connection.drain, seconds)
        while self._connections:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied
        if self._ticker is not None:
            self._ticker.cancel()

    # ---- time

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run work that outlives whatever asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def start(self) -> None:
        """Begin to tick."""
        self._ticked = time.monotonic()
        self._ticker = forever("ticker", self._tick, TICK_SECONDS)

    async def _tick(self) -> None:
        now = time.monotonic()
        frozen = now - self._ticked > self._lease_seconds
        self._ticked = now
        for connection in self.connections():
            try:
                if frozen:
                    # Nobody renewed for so long that others saw these users offline: they connect anew, in good order.
                    connection.close(LEASE_LOST)
                else:
                    connection.tick(now)
            except Exception as error:  # noqa: BLE001 - logged; the other connections get their tick
                self._failures.failed(error, foreseen=False)
        if frozen:
            logger.error("this process stood still for longer than a lease")


def _safely(call: Callable[[T], None], argument: T) -> None:
    """A connection that fails must not keep the others of a closed session, or of a stopping server, from their end."""
    try:
        call(argument)
    except Exception:
        logger.exception("a connection could not be ended")
