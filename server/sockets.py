"""The open sockets of one worker, and how many of them one address may have."""

from typing import Protocol

from protocol.refusals import Refusal
from server.heartbeat import Beating, Heartbeat
from settings import Settings


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
