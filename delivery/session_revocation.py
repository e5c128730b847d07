"""Sockets of a login session that was closed are closed, too.

Every server is notified at once. A notification may be lost; therefore each server also asks now and then which
sessions of its sockets were closed.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from background.loops import Loop, forever
from delivery.devices import Devices
from delivery.hub import Hub
from delivery.notifications import Notifications
from delivery.results import CommandFailed
from protocol.errors import UNAVAILABLE, ApiError

MAX_UNKNOWN_SECONDS: Final = 30.0
"""How long sockets may stay open while neither Redis nor PostgreSQL says whether their sessions were closed."""

FindRevoked = Callable[[list[str]], Awaitable[set[str]]]
"""Those of these session ids that were closed. Raises ``ApiError("unavailable")`` when that is not known."""


class ClosedSession(Protocol):
    """A login session that was closed."""

    @property
    def session_id(self) -> str: ...
    @property
    def mobile(self) -> str: ...
    @property
    def device_id(self) -> str: ...


class SessionRevocation:
    """Closes sockets of closed sessions, on this server and on all others."""

    def __init__(self, hub: Hub, notifications: Notifications, devices: Devices) -> None:
        self._hub = hub
        self._notifications = notifications
        self._devices = devices
        self._loop: Loop | None = None
        self._checked_at = time.monotonic()

    def start(self, find_revoked: FindRevoked, seconds: float) -> None:
        """Check all sockets from now on, every ``seconds``."""

        async def check() -> None:
            await self.check(find_revoked)

        self._checked_at = time.monotonic()
        self._loop = forever("session check", check, seconds, (ApiError,))

    async def stop(self) -> None:
        """Check no more."""
        if self._loop is not None:
            await self._loop.stop()

    def check_soon(self) -> None:
        """Check now: notifications may have been lost."""
        if self._loop is not None:
            self._loop.soon()

    async def check(self, find_revoked: FindRevoked) -> None:
        """Close the sockets whose sessions were closed; all of them, when that has been unknown for too long."""
        ids = {connection.session_id for connection in self._hub.connections()}
        try:
            revoked = await find_revoked(list(ids)) if ids else set()
        except ApiError:
            if time.monotonic() - self._checked_at > MAX_UNKNOWN_SECONDS:
                for connection in self._hub.connections():
                    connection.close(UNAVAILABLE)
            return
        self._checked_at = time.monotonic()
        if revoked:
            self._hub.close_sessions(revoked)

    async def announce_moved(self, session_id: str) -> None:
        """Close the sockets of a session whose person has another number, here and on all other servers. The client
        has a new token.

        :raises ApiError: ``unavailable``: the others were not notified
        """
        self._hub.move_session(session_id)
        await self._notifications.moved(session_id)

    async def announce(self, sessions: Sequence[ClosedSession]) -> None:
        """Close the sessions' sockets here, and notify all other servers.

        :raises ApiError: ``unavailable``: the others were not notified
        """
        ids = [session.session_id for session in sessions]
        self._hub.close_sessions(set(ids))
        for mobile, device_id in dict.fromkeys((session.mobile, session.device_id) for session in sessions):
            self._hub.spawn(self._devices.logged_out(mobile, device_id))
        try:
            await self._notifications.closed(ids)
        except CommandFailed:  # Redis denies it: the sessions have ended all the same, so this is no 500
            raise ApiError("unavailable") from None
