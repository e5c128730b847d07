"""The way in through Sanic's requests: for every upgrade that is not a plain one, and for every refusal.

Sanic keeps per connection its protocol object, two events, buffers, a task in the middle of the handler, the request
and what hangs on it. None of that is needed for a socket that only waits. So Sanic's protocol class makes the
handshake, an :class:`AcceptedSocket` gets the transport, the handler returns, and all the rest is freed.

Any path upgrades, and its query survives: clients of the original connect to the bare host, and ``/`` is also a page.
So a GET that asks for a WebSocket is led to an internal route before routing, when its handshake is good and its
address may have one more socket: a request that is refused here has used up no ticket.
"""

import asyncio
import socket as socket_module
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import httptools
import structlog
from sanic import Request, Sanic
from sanic.config import Config

from protocol.errors import DRAINING, INTERNAL, ApiError
from server.http_protocol import DeadlineProtocol
from server.upgrade_request import UpgradeRequest, asks_for_websocket, parse_upgrade
from server.websocket.accepted_socket import AcceptedSocket
from server.websocket.open_connections import OpenConnections
from server.websocket.send_buffer import PIECE_BYTES

SOCKET_PATH: Final = "/_socket"
UNREAD_BYTES: Final = 2**17
"""What the kernel keeps of a client that is not read (it doubles this, for its own needs)."""

logger = structlog.get_logger(__name__)

Attach = Callable[[AcceptedSocket], None]
"""Makes the connection of a socket and attaches it, without an ``await`` between making it known and attaching it."""


class Authenticate(Protocol):
    """Decides for both ways in who may open a socket."""

    async def __call__(self, upgrade: UpgradeRequest, address: str, *, fast: bool) -> Attach:
        """Return what attaches the connection of this client.

        :param address: the client's
        :param fast: nothing is to be waited for and no ticket is to be used up: what is refused for that reason, or for
            any other, is asked again with ``fast=False``, and then gets its answer
        :raises ApiError: the refusal
        """


def add_websockets(app: Sanic[Config, Any], authenticate: Authenticate) -> None:
    """Serve WebSockets on every path.

    A refusal has a real HTTP status, since it is decided before the handshake: ``bad_request``, ``upgrade_required``,
    ``too_many_connections``, ``draining``, and what ``authenticate`` raises.
    """
    app.ctx.authenticate = authenticate
    app.add_signal(_lead_to_route, "http.routing.before")
    app.register_middleware(_refuse_direct, "request", priority=1000)
    app.register_middleware(_authenticate, "request")
    app.add_websocket_route(_attach, SOCKET_PATH, name="socket")


async def _lead_to_route(request: Request) -> None:
    # Our reading of HTTP switches Sanic's timeouts off by the same test: nothing looser may be a WebSocket here.
    if not asks_for_websocket(request.method, request.headers.getall("upgrade", [])):
        return
    upgrade = parse_upgrade(request.head)
    request.app.ctx.open_connections.check_limit(request.client_ip)
    # Last: Sanic runs request middleware also for a request refused here, which must not look like a WebSocket.
    request.ctx.upgrade = upgrade
    query = request._parsed_url.query
    request.raw_url = SOCKET_PATH.encode() + (b"?" + query if query else b"")
    request._parsed_url = httptools.parse_url(request.raw_url)


async def _refuse_direct(request: Request) -> None:
    route: Any = request.route
    if route is not None and route.extra.websocket and not hasattr(request.ctx, "upgrade"):
        raise ApiError("not_found")


async def _authenticate(request: Request) -> None:
    if hasattr(request.ctx, "upgrade"):
        authenticate: Authenticate = request.app.ctx.authenticate
        request.ctx.attach = await authenticate(request.ctx.upgrade, request.client_ip, fast=False)


async def _attach(request: Request, upgraded: "UpgradedSocket") -> None:
    # Tasks copy the context they are made in: with the request in it, the connection's tasks would keep it for good.
    Request._current.set(None)  # type: ignore[arg-type]
    with attaching(upgraded.socket):
        request.ctx.attach(upgraded.socket)


class UpgradedSocket:
    """What a WebSocket handler of Sanic's gets, and what Sanic believes to be its WebSocket."""

    def __init__(self, socket: AcceptedSocket) -> None:
        self.socket = socket

    async def close(self) -> None:
        """Called by Sanic when the handler has returned. That ends nothing here."""

    def end_connection(self, _code: int) -> None:
        """Called by Sanic when the handler was cancelled: only a stopping server does that."""
        self.socket.close_now(DRAINING)


class SanicUpgradeProtocol(DeadlineProtocol):
    """Sanic's protocol for a TCP connection, up to the moment it becomes a WebSocket."""

    __slots__ = ("pending_address",)

    def __init__(self, **sanic: Any) -> None:
        super().__init__(**sanic)
        self.pending_address = ""
        """The address under which it is counted among the connections that are no sockets; empty: it is not."""

    async def websocket_handshake(self, request: Request, subprotocols: Sequence[str] | None = None) -> UpgradedSocket:
        """Answer 101 and hand the connection over. No frame that came with the request is lost.

        :param subprotocols: of Sanic's route; which one is spoken was decided before
        :raises ApiError: ``too_many_connections``, ``draining``
        """
        connections: OpenConnections = self.app.ctx.open_connections
        connections.check_limit(request.client_ip)  # again: authentication may have taken a while
        upgrade: UpgradeRequest = request.ctx.upgrade
        await self.send(upgrade.response)  # type: ignore[no-untyped-call]
        transport: asyncio.Transport | None = self.transport
        if transport is None:
            raise RuntimeError("the connection has no transport")
        # From here on Sanic's object owns nothing, and its close(), which ends its task, finds nothing to close.
        self.transport = None
        self.connections.discard(self)
        self._remove_pending()
        early = bytes(self.recv_buffer)
        return UpgradedSocket(accept_socket(transport, connections, self.connections, request.client_ip, early))

    def connection_lost(self, exc: Exception | None) -> None:
        """It ends without having become a WebSocket."""
        self._remove_pending()
        super().connection_lost(exc)

    def _remove_pending(self) -> None:
        address, self.pending_address = self.pending_address, ""
        if address:
            self.app.ctx.open_connections.remove_pending(address)


def accept_socket(
    transport: asyncio.Transport,
    open_connections: OpenConnections,
    sanic_connections: set[Any],
    address: str,
    early: bytes,
) -> AcceptedSocket:
    """From now on the connection is a WebSocket.

    :param early: what came behind the head of the request
    """
    socket = AcceptedSocket(transport, open_connections, sanic_connections, address)
    open_connections.add(socket)
    transport.set_write_buffer_limits(high=PIECE_BYTES)
    # Left to itself the kernel lets what we do not read grow to its own maximum, 32 MB for example.
    transport.get_extra_info("socket").setsockopt(socket_module.SOL_SOCKET, socket_module.SO_RCVBUF, UNREAD_BYTES)
    transport.set_protocol(socket)
    sanic_connections.add(socket)
    if early:
        socket.data_received(early)
    return socket


@contextmanager
def attaching(socket: AcceptedSocket) -> Iterator[None]:
    """Within this the socket gets its handler. Without one, and when something fails, it is closed (1011)."""
    try:
        yield
    except Exception:
        logger.exception("no connection could be made for a socket")
        socket.close(INTERNAL)
    if not socket.is_attached:
        socket.close(INTERNAL)
