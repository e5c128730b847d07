"""One server telling another "look in this mailbox". A ring carries no message and may be lost: nothing depends on it
but the delay. The same wire tells of replaced connections and closed sessions.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import structlog
from redis.exceptions import RedisError

from background.loops import Loop, forever
from delivery import keys
from delivery.redis.client import RedisClient
from delivery.redis.connection import Address, open_connection, pack_command
from settings import Settings

logger = structlog.get_logger(__name__)
_HEARTBEAT = keys.HEARTBEAT.encode()
CHANNELS = 2
"""A server's own, and everyone's."""


def ring_command(server: str, mobile: str, stream_id: str) -> tuple[str, str, str]:
    """The Redis command that rings one server; with "" for an id it looks whatever it has read."""
    return "PUBLISH", keys.channel(server), f"{keys.ENTRY_WAITS} {mobile} {stream_id}"


@dataclass(frozen=True, slots=True)
class NotificationHandlers:
    """What a server does when it hears something.

    :param ring: (mobile, streamId) something waits
    :param replaced: (mobile, connectionId) this connection's device has a newer one
    :param closed: (sessionId) this session was logged out
    :param gap: rings may have been lost: look into every mailbox
    """

    ring: Callable[[str, str], None]
    replaced: Callable[[str, str], None]
    closed: Callable[[str], None]
    gap: Callable[[], None]


class Notifications:
    """Rings other servers and listens for their rings."""

    def __init__(self, link: RedisClient, server_id: str, settings: Settings, ears: NotificationHandlers) -> None:
        self._link = link
        self._address = Address.of(settings.redis_url)
        self._connect_seconds = settings.redis_connect_seconds
        self._server_id = server_id
        self._silence = settings.bell_silence_seconds
        self._ears = ears
        self._heard: float | None = None
        self._confirmed = 0
        self._loop: Loop | None = None

    @property
    def listening(self) -> bool:
        """Whether this server heard itself lately."""
        return self._heard is not None and time.monotonic() - self._heard < self._silence

    def start(self) -> None:
        """Begin to listen."""
        self._loop = forever("doorbell", self._run)

    async def stop(self) -> None:
        """Listen no more."""
        if self._loop is not None:
            await self._loop.stop()

    def ring(self, servers: Collection[str], mobile: str, stream_id: str) -> None:
        """Something waits for this person, whose connections these servers hold: the script that stored it rang the
        others, and here is our own ring."""
        if self._server_id in servers:
            self._ears.ring(mobile, stream_id)

    async def replaced(self, server: str, mobile: str, connection_id: str) -> None:
        """The connection lost its device to a newer one."""
        if server == self._server_id:
            self._ears.replaced(mobile, connection_id)
        else:
            await self._link.command("PUBLISH", keys.channel(server), f"{keys.REPLACED} {mobile} {connection_id}")

    async def closed(self, session_id: str) -> None:
        """Tell every server that this session was logged out."""
        await self._link.command("PUBLISH", keys.EVERY_SERVER, f"{keys.SESSION_CLOSED} {session_id}")

    async def _run(self) -> None:
        try:
            await self._listen()
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("the doorbell's line was cut", error=type(error).__name__)
        finally:
            self._heard = None
        await asyncio.sleep(random.uniform(0.1, 0.6))  # noqa: S311 - a spread, not a secret

    async def _listen(self) -> None:
        gone = asyncio.Event()
        line = await open_connection(self._address, self._hear, gone.set, self._connect_seconds)
        try:
            self._confirmed, last = 0, time.monotonic()
            line.write(pack_command("SUBSCRIBE", keys.channel(self._server_id), keys.EVERY_SERVER))
            while not gone.is_set() and time.monotonic() - max(last, self._heard or 0) < self._silence:
                await _either(gone, self._silence / 4)
            logger.warning("the doorbell is silent or cut: subscribing anew", seconds=self._silence)
        finally:
            line.abort()

    def _hear(self, reply: Any) -> None:
        if not isinstance(reply, list):
            logger.warning("the doorbell heard an error", error=str(reply))
        elif reply[0] == b"subscribe":
            self._confirmed += 1
            if self._confirmed == CHANNELS:
                self._ears.gap()  # whatever was rung before this moment was not heard
        elif reply[2] == _HEARTBEAT:
            self._heard = time.monotonic()
        else:
            self._understand(reply[2].decode())

    def _understand(self, data: str) -> None:
        kind, *words = data.split(" ")
        if kind == keys.ENTRY_WAITS:
            self._ears.ring(words[0], words[1])
        elif kind == keys.REPLACED:
            self._ears.replaced(words[0], words[1])
        elif kind == keys.SESSION_CLOSED:
            self._ears.closed(words[0])


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
