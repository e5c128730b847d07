"""The open connections of one worker: the limits of an address, the heartbeat, and the memory they leave behind."""

import asyncio
import ctypes
import gc
from collections.abc import Callable
from typing import Final, Protocol

from protocol.errors import ApiError
from server.addresses import network_of
from server.websocket.heartbeat import Heartbeat, WatchedSocket
from settings import Settings

TRIM_AFTER: Final = 1000
"""When so many sockets are gone, or half as many as are open, their memory is trimmed. Upgrades through Sanic leave
circles that only Python's collector frees, and by itself it seldom runs (see server.application)."""
TRIM_DELAY_SECONDS: Final = 2.0
"""By then everything that belonged to the last of these sockets is gone."""
DELAYED_REFUSALS: Final = 256
"""Refused connections that are kept for a moment before they get their answer."""


class CountedSocket(WatchedSocket, Protocol):
    """A socket as it is counted here."""

    @property
    def address(self) -> str:
        """The client's IP address."""


class OpenConnections:
    """Counts sockets, and connections that are no sockets yet, by address."""

    def __init__(self, settings: Settings, heartbeat: Heartbeat) -> None:
        self.settings = settings
        self.proxies = settings.proxies
        """So many proxies stand in front, and the address of a client is what they say."""
        self._heartbeat = heartbeat
        self._sockets_of: dict[str, int] = {}
        self._pending_of: dict[str, int] = {}
        self._pending_limit = 0
        if settings.rate_limits == "on" and not settings.proxies:
            self._pending_limit = settings.connections_per_address
        self._delayed_refusals = 0
        self._removed = 0
        self._is_draining = False

    def refuse_new(self) -> None:
        """This server goes down: it accepts no more sockets."""
        self._is_draining = True

    def check_limit(self, address: str) -> None:
        """Return if one more socket of this address may be opened. Nothing is reserved.

        :raises ApiError: ``too_many_connections``, ``draining``
        """
        if self._is_draining:
            raise ApiError("draining")
        limit = self.settings.sockets_per_address
        if limit and self._sockets_of.get(network_of(address), 0) >= limit:
            raise ApiError("too_many_connections")

    def add_pending(self, address: str) -> bool:
        """Count a TCP connection that is no socket yet, until :meth:`remove_pending`; False: that is one too many.

        Behind proxies all come from the proxies' addresses, and none is counted.
        """
        network = network_of(address)
        if not self._pending_limit or not network:
            return True
        if self._pending_of.get(network, 0) >= self._pending_limit:
            return False
        self._pending_of[network] = self._pending_of.get(network, 0) + 1
        return True

    def remove_pending(self, address: str) -> None:
        """It became a socket or ended. To be called once for each that :meth:`add_pending` counted."""
        network = network_of(address)
        if self._pending_limit and network:
            _decrement(self._pending_of, network)

    def begin_refusal(self, seconds: float) -> float:
        """How long a refused connection waits for its answer: where many do, not at all."""
        self._delayed_refusals += 1
        return seconds if self._delayed_refusals <= DELAYED_REFUSALS else 0.0

    def end_refusal(self) -> None:
        """A refused connection has its answer."""
        self._delayed_refusals -= 1

    def add(self, socket: CountedSocket) -> None:
        """A socket was opened."""
        network = network_of(socket.address)
        self._sockets_of[network] = self._sockets_of.get(network, 0) + 1
        self._heartbeat.add(socket)

    def remove(self, socket: CountedSocket) -> None:
        """A socket is gone. To be called once."""
        self._heartbeat.remove(socket)
        _decrement(self._sockets_of, network_of(socket.address))
        self._removed += 1
        if self._removed >= max(TRIM_AFTER, len(self._heartbeat) // 2):
            self._removed = 0
            asyncio.get_running_loop().call_later(TRIM_DELAY_SECONDS, trim_memory)


def trim_memory() -> None:
    """Collect what only Python's collector frees, and have glibc give free memory back to the operating system: by
    itself it gives back only what is free at the end of its heap."""
    gc.collect()
    if _MALLOC_TRIM is not None:
        _MALLOC_TRIM(0)


def _find_malloc_trim() -> Callable[[int], int] | None:
    """glibc's; other C libraries have none."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


_MALLOC_TRIM = _find_malloc_trim()


def _decrement(counts: dict[str, int], key: str) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
