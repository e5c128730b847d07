"""Whether this server can do its work: what ``GET /ready`` answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from delivery.notifications import Notifications
from delivery.servers import Servers
from delivery.storage import FULL, Storage

NOT_NOTIFIED: Final = "This server does not hear its own heartbeat."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing this server depends on.

    :param fault: what is wrong with it, in one sentence; "": nothing
    :param needed: whether this server is of no use without it
    """

    fault: str = ""
    needed: bool = True


class Readiness:
    """Checks what this server depends on.

    :param database_fault: a sentence that says why PostgreSQL cannot do its work, or ""; never raises
    :param silence_seconds: a heartbeat older than this is none
    """

    def __init__(
        self,
        storage: Storage,
        database_fault: Callable[[], Awaitable[str]],
        notifications: Notifications,
        servers: Servers,
        silence_seconds: float,
    ) -> None:
        self._storage = storage
        self._database_fault = database_fault
        self._notifications = notifications
        self._servers = servers
        self._silence_seconds = silence_seconds

    async def check(self) -> dict[str, Check]:
        """Each check by its name. Never raises, and takes seconds at most.

        A server whose Redis has no room for chats is still needed: for people to read, which makes room.
        """
        redis, postgresql = await asyncio.gather(self._storage.fault(), self._database_fault())
        return {
            "redis": Check(redis),
            "postgresql": Check(postgresql),
            "doorbell": Check("" if self._is_notified() else NOT_NOTIFIED),
            "memory": Check(FULL if self._storage.full else "", needed=False),
        }

    def _is_notified(self) -> bool:
        """Whether notifications reach it, and the others see it in the list of servers."""
        age = self._servers.heartbeat_age
        return self._notifications.listening and age is not None and age < self._silence_seconds
