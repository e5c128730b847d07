"""One server telling another "look in this mailbox". A ring carries no message and may be lost: nothing depends on it
but the delay. The same wire tells of replaced connections and closed sessions.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from delivery import keys
from delivery.link import Link, Redis
from settings import Settings

logger = structlog.get_logger(__name__)


def ring_command(server: str, mobile: str, stream_id: str) -> tuple[str, str, str]:
    """The Redis command that rings one server; with stream_id "" it looks whatever it has read."""
    return "PUBLISH", keys.bell(server), f"r {mobile} {stream_id}"


@dataclass(frozen=True, slots=True)
class Ears:
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


class Doorbell:
    """Rings other servers and listens for their rings."""

    def __init__(self, redis: "Redis", link: Link, server_id: str, settings: Settings, ears: Ears) -> None:
        self._redis = redis
        self._link = link
        self._server_id = server_id
        self._silence = settings.bell_silence_seconds
        self._ears = ears
        self._heard: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def listening(self) -> bool:
        """Whether this server heard itself lately."""
        return self._heard is not None and time.monotonic() - self._heard < self._silence

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def ring(self, servers: Iterable[str], mobile: str, stream_id: str) -> None:
        """Something waits for this person.

        :raises Refusal: ``unavailable``; the entry is safe all the same
        """
        others = set(servers)
        if self._server_id in others:
            others.discard(self._server_id)
            self._ears.ring(mobile, stream_id)
        for server in others:
            await self._link.command(*ring_command(server, mobile, stream_id))

    async def replaced(self, server: str, mobile: str, connection_id: str) -> None:
        """The connection lost its device to a newer one."""
        if server == self._server_id:
            self._ears.replaced(mobile, connection_id)
        else:
            await self._link.command("PUBLISH", keys.bell(server), f"c {mobile} {connection_id}")

    async def closed(self, session_id: str) -> None:
        """Tell every server that this session was logged out."""
        await self._link.command("PUBLISH", keys.EVERYONE, f"s {session_id}")

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("the doorbell's line was cut", error=type(error).__name__)
            self._heard = None
            await asyncio.sleep(random.uniform(0.1, 0.6))  # noqa: S311 - a spread, not a secret

    async def _listen(self) -> None:
        pubsub = self._redis.pubsub()
        try:
            await pubsub.subscribe(keys.bell(self._server_id), keys.EVERYONE)
            waiting, last = 2, time.monotonic()
            while time.monotonic() - last < self._silence:
                message = await pubsub.get_message(timeout=1.0)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    waiting -= 1
                    if waiting == 0:
                        self._ears.gap()  # whatever was rung before this moment was not heard
                elif message["data"] == b"h":
                    self._heard = last = time.monotonic()
                else:
                    self._hear(message["data"].decode())
            logger.warning("the doorbell is silent: subscribing anew", seconds=self._silence)
        finally:
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _hear(self, data: str) -> None:
        kind, *words = data.split(" ")
        if kind == "r":
            self._ears.ring(words[0], words[1])
        elif kind == "c":
            self._ears.replaced(words[0], words[1])
        elif kind == "s":
            self._ears.closed(words[0])
