"""Messages between servers over Redis' pub/sub: an entry waits, a connection was replaced, sessions were closed.

A notification carries no chat and may be lost: nothing depends on it but the delay.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from background.loops import Loop, forever
from delivery import keys
from delivery.redis.client import RedisClient
from delivery.redis.connection import Address, open_connection, pack_command
from settings import Settings

logger = structlog.get_logger(__name__)
_CHANNELS: Final = 2
"""A server's own, and everyone's."""
BATCH_SIZE: Final = 100
"""Sessions in one notification."""
_HEARTBEAT: Final = keys.HEARTBEAT.encode()


def notify_command(server_id: str, mobile: str, stream_id: str) -> tuple[str, str, str]:
    """The Redis command that tells one server that an entry waits for this person.

    :param stream_id: ""; then the server looks into the mailbox whatever it has read
    """
    return "PUBLISH", keys.channel(server_id), f"{keys.ENTRY_WAITS} {mobile} {stream_id}"


def closed_commands(session_ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """The Redis commands that tell every server that these sessions were logged out."""
    batches = [session_ids[start : start + BATCH_SIZE] for start in range(0, len(session_ids), BATCH_SIZE)]
    return [("PUBLISH", keys.EVERY_SERVER, " ".join((keys.SESSIONS_CLOSED, *batch))) for batch in batches]


@dataclass(frozen=True, slots=True)
class NotificationHandlers:
    """What a server does with notifications.

    :param entry_waits: (mobile, streamId) look into this mailbox
    :param replaced: (mobile, connectionId) a newer connection holds this connection's device
    :param devices_changed: (mobile) another device of this person is connected for the first time
    :param sessions_closed: (sessionIds) these sessions were logged out
    :param session_moved: (sessionId) this session's person has another number
    :param privacy_changed: (mobile, privacy as Redis holds it) this person hides something else
    :param presence_changed: (mobile) read anew what may be shown of this person
    :param typing: (mobile, sender, whether active) the sender types to this person, or has stopped
    :param resubscribed: notifications may have been lost until now: look into every mailbox
    """

    entry_waits: Callable[[str, str], None]
    replaced: Callable[[str, str], None]
    devices_changed: Callable[[str], None]
    sessions_closed: Callable[[Collection[str]], None]
    session_moved: Callable[[str], None]
    privacy_changed: Callable[[str, str], None]
    presence_changed: Callable[[str], None]
    typing: Callable[[str, str, bool], None]
    resubscribed: Callable[[], None]


class Notifications:
    """Notifies other servers, and listens to their notifications on a connection of its own."""

    def __init__(self, redis: RedisClient, server_id: str, settings: Settings, handlers: NotificationHandlers) -> None:
        self._redis = redis
        self._address = Address.of(settings.redis_url)
        self._connect_seconds = settings.redis_connect_seconds
        self._server_id = server_id
        self._silence_seconds = settings.bell_silence_seconds
        self._handlers = handlers
        self._heartbeat_at: float | None = None
        self._confirmed = 0
        self._loop: Loop | None = None

    @property
    def listening(self) -> bool:
        """Whether this server's own heartbeat came in lately."""
        return self._heartbeat_at is not None and time.monotonic() - self._heartbeat_at < self._silence_seconds

    def start(self) -> None:
        """Begin to listen."""
        self._loop = forever("notifications", self._run)

    async def stop(self) -> None:
        """Listen no more."""
        if self._loop is not None:
            await self._loop.stop()

    def notify(self, server_ids: Collection[str], mobile: str, stream_id: str) -> None:
        """An entry waits for this person, whose connections these servers hold. The script that stored it notified
        the other servers; this notifies our own connections."""
        if self._server_id in server_ids:
            self._handlers.entry_waits(mobile, stream_id)

    async def replaced(self, server_id: str, mobile: str, connection_id: str) -> None:
        """Tell the server of a connection that a newer one holds its device.

        :raises ApiError: ``unavailable``
        """
        if server_id == self._server_id:
            self._handlers.replaced(mobile, connection_id)
        else:
            message = f"{keys.REPLACED} {mobile} {connection_id}"
            await self._redis.command("PUBLISH", keys.channel(server_id), message)

    async def closed(self, session_ids: Sequence[str]) -> None:
        """Tell every server that these sessions were logged out.

        :raises ApiError: ``unavailable``
        """
        await self._redis.pipeline(closed_commands(session_ids))

    async def moved(self, session_id: str) -> None:
        """Tell every server that this session's person has another number.

        :raises ApiError: ``unavailable``
        """
        await self._redis.command("PUBLISH", keys.EVERY_SERVER, f"{keys.SESSION_MOVED} {session_id}")

    # ---- listening

    async def _run(self) -> None:
        try:
            await self._listen()
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("the connection for notifications broke", error=type(error).__name__)
        finally:
            self._heartbeat_at = None
        await asyncio.sleep(random.uniform(0.1, 0.6))  # noqa: S311 - a spread, not a secret

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection = await open_connection(self._address, self._receive, lost.set, self._connect_seconds)
        try:
            self._confirmed, subscribed_at = 0, time.monotonic()
            connection.write(pack_command("SUBSCRIBE", keys.channel(self._server_id), keys.EVERY_SERVER))
            while not lost.is_set():
                if time.monotonic() - max(subscribed_at, self._heartbeat_at or 0) >= self._silence_seconds:
                    break
                await _wait(lost, self._silence_seconds / 4)
            logger.warning("no notifications arrive: subscribing again", seconds=self._silence_seconds)
        finally:
            connection.abort()

    def _receive(self, reply: Any) -> None:
        if not isinstance(reply, list):
            logger.warning("Redis answered the subscription with an error", error=str(reply))
            return
        kind, _channel, data = reply
        if kind == b"subscribe":
            self._confirmed += 1
            if self._confirmed == _CHANNELS:
                self._handlers.resubscribed()  # what was published before this moment did not arrive
        elif data == _HEARTBEAT:
            self._heartbeat_at = time.monotonic()
        else:
            self._handle(data.decode())

    def _handle(self, message: str) -> None:
        kind, *words = message.split(" ")
        if kind == keys.ENTRY_WAITS:
            self._handlers.entry_waits(words[0], words[1])
        elif kind == keys.REPLACED:
            self._handlers.replaced(words[0], words[1])
        elif kind == keys.PRESENCE_CHANGED:
            self._handlers.presence_changed(words[0])
        elif kind == keys.TYPING:
            self._handlers.typing(words[0], words[1], words[2] == "1")
        elif kind == keys.PRIVACY_CHANGED:
            self._handlers.privacy_changed(words[0], words[1])
        elif kind == keys.SESSION_MOVED:
            self._handlers.session_moved(words[0])
        elif kind == keys.DEVICES_CHANGED:
            self._handlers.devices_changed(words[0])
        elif kind == keys.SESSIONS_CLOSED:
            self._handlers.sessions_closed(set(words))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, or for so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
