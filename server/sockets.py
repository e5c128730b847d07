"""The open sockets of one worker, and how many of them one address may have."""

import asyncio
from typing import Final, Protocol

from protocol.errors import ApiError
from server.addresses import network_of
from server.heartbeat import Beating, Heartbeat
from server.memory import give_back
from settings import Settings

CROWD: Final = 1000
"""So many that are gone, or half of those that are there: then their memory is given back. What goes in through Sanic
leaves circles that only Python's collector frees, and by itself it comes seldom (see server.application)."""
MOST_HELD: Final = 256
"""Who is turned away and waits for it."""
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
        self._held = 0
        self._strangers: dict[str, int] = {}
        self._most_strangers = 0
        if settings.rate_limits == "on" and not settings.proxies:
            self._most_strangers = settings.connections_per_address
        self._gone = 0
        self._shut = False
        self.proxies = settings.proxies
        """So many stand in front, and the address of a client is what they say it is."""

    def shut(self) -> None:
        """This server goes down: nobody comes in any more."""
        self._shut = True

    def admit(self, address: str) -> None:
        """May one more come from there?

        :raises ApiError: ``too_many_connections``, ``draining``
        """
        if self._shut:
            raise ApiError("draining")
        limit = self.settings.sockets_per_address
        if limit and self._of_address.get(network_of(address), 0) >= limit:
            raise ApiError("too_many_connections")

    def knock(self, address: str) -> bool:
        """A TCP connection that is no socket yet: whether there may be one more of that address. If so it is counted,
        until :meth:`settle`. With proxies in front all come from there, and none is counted."""
        network = network_of(address)
        if not self._most_strangers or not network:
            return True
        if self._strangers.get(network, 0) >= self._most_strangers:
            return False
        self._strangers[network] = self._strangers.get(network, 0) + 1
        return True

    def settle(self, address: str) -> None:
        """Such a connection became a socket, or ended. To be called once for each that :meth:`knock` let in."""
        network = network_of(address)
        if self._most_strangers and network:
            _count_down(self._strangers, network)

    def hold(self, seconds: float) -> float:
        """How long one who is turned away shall wait for it: with many of them, not at all."""
        self._held += 1
        return seconds if self._held <= MOST_HELD else 0.0

    def released(self) -> None:
        """One who was turned away waits no more."""
        self._held -= 1

    def opened(self, socket: Counted) -> None:
        """It is there."""
        network = network_of(socket.address)
        self._of_address[network] = self._of_address.get(network, 0) + 1
        self._heartbeat.add(socket)

    def closed(self, socket: Counted) -> None:
        """It is gone. To be called once."""
        self._heartbeat.remove(socket)
        _count_down(self._of_address, network_of(socket.address))
        self._gone += 1
        if self._gone >= max(CROWD, len(self._heartbeat) // 2):
            self._gone = 0
            asyncio.get_running_loop().call_later(LEFT_SECONDS, give_back)


def _count_down(counts: dict[str, int], what: str) -> None:
    left = counts[what] - 1
    if left:
        counts[what] = left
    else:
        del counts[what]
