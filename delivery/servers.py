"""Which servers run, and whom each of them holds: what lets the background jobs go server by server."""

import asyncio
import os
import socket
import time
from typing import Final

import msgspec

from delivery import keys
from delivery.redis.client import RedisClient
from settings import Settings

MOST: Final = 1_000
"""Numbers in one command: a script passes on at most some thousand words."""


class Servers:
    """One server's entry in the list of servers."""

    def __init__(self, link: RedisClient, server_id: str, settings: Settings) -> None:
        self._link = link
        self._server_id = server_id
        self._ttl = max(1, int(settings.bell_silence_seconds))
        facts = {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "host": socket.gethostname(),
            "startedAt": int(time.time()),
        }
        self._facts = msgspec.json.encode(facts)

    async def beat(self) -> None:
        """Say that this server lives, to all and over its own channel to itself."""
        mine = self._server_id
        await asyncio.gather(
            self._link.write("SET", keys.server(mine), self._facts, "EX", self._ttl),
            self._link.write("ZADD", keys.SERVERS, int(time.time() * 1000), mine),
            self._link.command("PUBLISH", keys.bell(mine), b"h"),
        )

    async def add(self, *mobiles: str) -> None:
        """These people are, or are about to be, connected here."""
        name = keys.people(self._server_id)
        some = [mobiles[start : start + MOST] for start in range(0, len(mobiles), MOST)]
        await asyncio.gather(*[self._link.write("SADD", name, *each) for each in some])

    async def remove(self, mobile: str) -> None:
        """Nobody of this number is connected here any more."""
        await self._link.command("SREM", keys.people(self._server_id), mobile)

    async def withdraw(self) -> None:
        """The server ends in good order. Whoever is still in its list is left to the sweep."""
        await self._link.command("DEL", keys.server(self._server_id))
