"""Any path upgrades: where a WebSocket was asked for does not matter, and its query survives.

Clients of the original connect to the bare host, and ``/`` is also a page. So a GET that asks for a WebSocket is led
to one of two internal routes before routing, when its handshake is good and there is a place for it: whatever is
refused here has used up no ticket.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httptools
from sanic import Request

from protocol.errors import ApiError
from server.application import MiniSanic
from server.door import Judge
from server.handshake import Upgraded, introducing
from server.upgrade import V1, asks_for_socket, judge_upgrade
from server.websocket.accepted_socket import AcceptedSocket

SEED_PATH: Final = "/_socket"
V1_PATH: Final = "/_socket/v1"

SocketHandler = Callable[[Request, AcceptedSocket], Awaitable[None]]


def is_socket(request: Request) -> bool:
    """Whether this request is going to be a WebSocket."""
    return getattr(request.ctx, "upgrading", False)


def is_v1(request: Request) -> bool:
    """Whether this WebSocket speaks ``wm.v1``."""
    return is_socket(request) and request.path == V1_PATH


def add_sockets(app: MiniSanic, handler: SocketHandler, judge: Judge | None = None) -> None:
    """Serve every WebSocket with ``handler(request, socket)``, or, where ``judge`` says so, without a request.

    The handler makes its connection, calls ``socket.attach(connection)``, with no await between making the connection
    known to others and that call, and returns: connection and socket live on by themselves, and the request is freed.
    When it raises, or returns without a connection, the client gets 1011.

    A refusal with a real HTTP status is possible only before the handshake, that is in request middleware. This works::

        @app.on_request
        async def authenticate(request: Request) -> None:
            if is_socket(request):
                request.ctx.person = await authenticate_socket(request)   # raises ApiError("token_invalid")

    :raises ApiError: (to Sanic's error handler) ``bad_request``, ``upgrade_required``, ``too_many_connections``,
        ``draining``, ``not_found``
    """

    async def attend(request: Request, upgraded: Upgraded) -> None:
        await _attend(request, upgraded.socket, handler)

    app.ctx.judge = judge
    app.add_signal(_lead, "http.routing.before")
    app.register_middleware(_refuse_direct, "request", priority=1000)
    app.add_websocket_route(attend, SEED_PATH, name="socket")
    app.add_websocket_route(attend, V1_PATH, subprotocols=[V1], name="socket_v1")


async def _lead(request: Request) -> None:
    # Our reading of HTTP switches Sanic's timeouts off by the very same test: nothing looser may be a WebSocket here.
    if not asks_for_socket(request.method, request.headers.getall("upgrade", [])):
        return
    request.ctx.upgrade = upgrade = judge_upgrade(request.head)
    request.app.ctx.open_connections.check_limit(request.client_ip)
    path = (V1_PATH if upgrade.v1 else SEED_PATH).encode()
    query = request._parsed_url.query
    request.raw_url = path + (b"?" + query if query else b"")
    request._parsed_url = httptools.parse_url(request.raw_url)
    request.ctx.upgrading = True


async def _refuse_direct(request: Request) -> None:
    route: Any = request.route
    if route is not None and route.extra.websocket and not is_socket(request):
        raise ApiError("not_found")


async def _attend(request: Request, socket: AcceptedSocket, handler: SocketHandler) -> None:
    # Tasks copy the context they are made in: with the request in it, the connection's tasks would keep it for good.
    Request._current.set(None)  # type: ignore[arg-type]
    with introducing(socket):
        await handler(request, socket)
