"""Which servers run, and which people are connected to each: lets the background jobs go server by server."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import structlog

from background.loops import Loop, forever
from delivery import keys
from delivery.redis.client import RedisClient
from protocol.errors import ApiError
from settings import Settings

logger = structlog.get_logger(__name__)
BATCH_SIZE: Final = 1_000
"""Mobile numbers in one command: a script passes on at most some thousand words."""


class Servers:
    """This server's entry in the list of servers. Raises ``ApiError("unavailable")`` while Redis is away."""

    def __init__(self, redis: RedisClient, server_id: str, settings: Settings) -> None:
        self._redis = redis
        self._server_id = server_id
        self._ttl = max(1, int(settings.bell_silence_seconds))
        self._heartbeat_seconds = settings.bell_seconds
        self._heartbeat: Loop | None = None
        facts = {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "host": socket.gethostname(),
            "startedAt": int(time.time()),
        }
        self._facts = msgspec.json.encode(facts)

    def start(self, connected: Callable[[], Iterable[str]]) -> None:
        """Send heartbeats from now on.

        :param connected: the mobile numbers connected here at this moment
        """

        async def send() -> None:
            await self.send_heartbeat()
            await self.add(*connected())

        self._heartbeat = forever("heartbeat", send, self._heartbeat_seconds, (ApiError,))

    async def stop(self) -> None:
        """Send no more heartbeats, and leave the list of servers. Never raises."""
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        try:
            await self.withdraw()
        except ApiError:
            logger.warning("could not leave the list of servers: the entry expires by itself")

    @property
    def heartbeat_age(self) -> float | None:
        """Seconds since the last heartbeat that Redis took; None: not one yet."""
        return None if self._heartbeat is None else self._heartbeat.age

    def send_heartbeat_soon(self) -> None:
        """Send one now."""
        if self._heartbeat is not None:
            self._heartbeat.soon()

    async def send_heartbeat(self) -> None:
        """Say once that this server lives: in the list, and to itself over its own channel."""
        mine = self._server_id
        await asyncio.gather(
            self._redis.write("SET", keys.server(mine), self._facts, "EX", self._ttl),
            self._redis.write("ZADD", keys.SERVERS, int(time.time() * 1000), mine),
            self._redis.command("PUBLISH", keys.channel(mine), keys.HEARTBEAT),
        )

    async def add(self, *mobiles: str) -> None:
        """These people are, or are about to be, connected here."""
        name = keys.people(self._server_id)
        batches = [mobiles[start : start + BATCH_SIZE] for start in range(0, len(mobiles), BATCH_SIZE)]
        await asyncio.gather(*[self._redis.write("SADD", name, *batch) for batch in batches])

    async def remove(self, mobile: str) -> None:
        """Nobody with this number is connected here any more."""
        await self._redis.command("SREM", keys.people(self._server_id), mobile)

    async def withdraw(self) -> None:
        """This server ends. People still in its list are left to the sweep."""
        await self._redis.command("DEL", keys.server(self._server_id))
