"""The open sockets of one worker, and how many of them one address may have."""

import asyncio
from typing import Final, Protocol

from protocol.refusals import Refusal
from server.heartbeat import Beating, Heartbeat
from server.memory import give_back
from settings import Settings

CROWD: Final = 1000
"""So many that are gone, or half of those that are there: then their memory is given back. What goes in through Sanic
leaves circles that only Python's collector frees, and by itself it comes seldom (see server.application)."""
LEFT_SECONDS: Final = 2.0
"""By then they have left."""


class Counted(Beating, Protocol):
    """What is counted here."""

    @property
    def address(self) -> str:
        """The client's IP address."""


class Sockets:
    """Knows who is there: for the heartbeat, and for the limit per address."""

    def __init__(self, settings: Settings, heartbeat: Heartbeat) -> None:
        self.settings = settings
        self._heartbeat = heartbeat
        self._of_address: dict[str, int] = {}
        self._gone = 0
        self._shut = False
        self.counts_forwarded = bool(settings.proxies and settings.sockets_per_address)
        """Whether an address is what a proxy says it is. Sanic knows how to read that."""

    def shut(self) -> None:
        """This server goes down: nobody comes in any more."""
        self._shut = True

    def admit(self, address: str) -> None:
        """May one more come from there?

        :raises Refusal: ``too_many_connections``, ``draining``
        """
        if self._shut:
            raise Refusal("draining")
        limit = self.settings.sockets_per_address
        if limit and self._of_address.get(address, 0) >= limit:
            raise Refusal("too_many_connections")

    def opened(self, socket: Counted) -> None:
        """It is there."""
        self._of_address[socket.address] = self._of_address.get(socket.address, 0) + 1
        self._heartbeat.add(socket)

    def closed(self, socket: Counted) -> None:
        """It is gone. To be called once."""
        self._heartbeat.remove(socket)
        left = self._of_address[socket.address] - 1
        if left:
            self._of_address[socket.address] = left
        else:
            del self._of_address[socket.address]
        self._gone += 1
        if self._gone >= max(CROWD, len(self._heartbeat) // 2):
            self._gone = 0
            asyncio.get_running_loop().call_later(LEFT_SECONDS, give_back)
