"""From HTTP to WebSocket: Sanic's protocol class makes the handshake, and then lets go of the connection.

Sanic keeps per connection its protocol object, two events, buffers, a task in the middle of the handler, the request
and whatever hangs on it. None of that is needed for a socket that only waits; so the transport is given to a
:class:`server.websocket.accepted_socket.AcceptedSocket`, the handler returns, and all the rest is freed.
"""

import asyncio
import socket as socket_module
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog
from sanic import Request

from protocol.errors import DRAINING, INTERNAL
from server.http_protocol import DeadlineProtocol
from server.upgrade import Upgrade
from server.websocket.accepted_socket import AcceptedSocket
from server.websocket.open_connections import OpenConnections
from server.websocket.send_buffer import PIECE_BYTES

UNREAD_BYTES: Final = 2**17
"""What the kernel keeps of a client that is not read (it doubles this, for its own needs)."""

logger = structlog.get_logger(__name__)


class Upgraded:
    """What a WebSocket handler gets, and what Sanic believes to be its WebSocket."""

    def __init__(self, socket: AcceptedSocket) -> None:
        self.socket = socket

    async def close(self) -> None:
        """Called by Sanic when the handler has returned. That ends nothing here."""

    def end_connection(self, _code: int) -> None:
        """Called by Sanic when the handler was cancelled: only a stopping server does that."""
        self.socket.close_now(DRAINING)


class SocketProtocol(DeadlineProtocol):
    """Sanic's protocol for a TCP connection, up to the moment it becomes a WebSocket."""

    __slots__ = ("counted",)

    def __init__(self, **sanic: Any) -> None:
        super().__init__(**sanic)
        self.counted = ""
        """The address it is counted for among those that are no sockets (server.sockets)."""

    async def websocket_handshake(self, request: Request, subprotocols: Sequence[str] | None = None) -> Upgraded:
        """Answer 101 and hand the connection over. No frame that came with the request is lost.

        :param subprotocols: of Sanic's route; which one is spoken was judged before
        :raises ApiError: ``too_many_connections``, ``draining``
        """
        sockets: OpenConnections = self.app.ctx.open_connections
        sockets.check_limit(request.client_ip)  # once more: who asked may have waited since
        upgrade: Upgrade = request.ctx.upgrade
        await self.send(upgrade.answer)  # type: ignore[no-untyped-call]
        transport: asyncio.Transport | None = self.transport
        if transport is None:
            raise RuntimeError("the connection has no transport")
        # From here on Sanic's object owns nothing, and its close(), which ends its task, finds nothing to close.
        self.transport = None
        self.connections.discard(self)
        self._settle()
        return Upgraded(take_over(transport, sockets, self.connections, request.client_ip, bytes(self.recv_buffer)))

    def connection_lost(self, exc: Exception | None) -> None:
        """It ends without having become a WebSocket."""
        self._settle()
        super().connection_lost(exc)

    def _settle(self) -> None:
        address, self.counted = self.counted, ""
        if address:
            self.app.ctx.open_connections.remove_pending(address)


def take_over(
    transport: asyncio.Transport, sockets: OpenConnections, connections: set[Any], address: str, came: bytes
) -> AcceptedSocket:
    """From now on the connection is a WebSocket.

    :param connections: Sanic's, of this worker
    :param came: what came of it behind the handshake
    """
    socket = AcceptedSocket(transport, sockets, connections, address)
    sockets.add(socket)
    transport.set_write_buffer_limits(high=PIECE_BYTES)
    # Left to itself the kernel lets what we do not read grow to its own maximum, 32 MB for example.
    transport.get_extra_info("socket").setsockopt(socket_module.SOL_SOCKET, socket_module.SO_RCVBUF, UNREAD_BYTES)
    transport.set_protocol(socket)
    connections.add(socket)
    if came:
        socket.data_received(came)
    return socket


@contextmanager
def introducing(socket: AcceptedSocket) -> Iterator[None]:
    """Within this the socket gets its listener; without one, and when something fails, it is closed (1011)."""
    try:
        yield
    except Exception:
        logger.exception("the socket handler failed")
        socket.close(INTERNAL)
    if not socket.is_attached:
        socket.close(INTERNAL)
