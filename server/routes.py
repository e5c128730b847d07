"""Any path upgrades: where a WebSocket was asked for does not matter, and its query survives.

Clients of the original connect to the bare host, and ``/`` is also a page. So a GET that asks for a WebSocket is led
to one of two internal routes before routing; two, because Sanic answers 400 to a client that offers no subprotocol
on a route that declares one.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import httptools
import structlog
from sanic import Request
from sanic.server.websockets.impl import WebsocketImplProtocol

from protocol.refusals import INTERNAL, Refusal
from server.application import MiniSanic
from server.stock_socket import StockSocket
from settings import Settings

logger = structlog.get_logger(__name__)

SEED_PATH: Final = "/_socket"
V1_PATH: Final = "/_socket/v1"
V1: Final = "wm.v1"

SocketHandler = Callable[[Request, StockSocket], Awaitable[None]]


def is_socket(request: Request) -> bool:
    """Whether this request is going to be a WebSocket."""
    return getattr(request.ctx, "upgrading", False)


def is_v1(request: Request) -> bool:
    """Whether this WebSocket speaks ``wm.v1``."""
    return is_socket(request) and request.path == V1_PATH


def add_sockets(app: MiniSanic, settings: Settings, handler: SocketHandler) -> None:
    """Serve every WebSocket with ``handler(request, socket)``.

    The handler makes its connection and then awaits ``socket.serve(connection)``, with no await between making the
    connection known to others and that call. When it raises, the client gets 1011.

    A refusal with a real HTTP status is possible only before the handshake, that is in request middleware. This works::

        @app.on_request
        async def authenticate(request: Request) -> None:
            if is_socket(request):
                request.ctx.person = await authenticate_socket(request)   # raises Refusal("token_invalid")

    :raises Refusal: (to Sanic's error handler) ``bad_subprotocol``, ``not_found``
    """

    async def attend(request: Request, _websocket: WebsocketImplProtocol) -> None:
        await _attend(app, request.ctx.socket, handler, request)

    async def adopt(request: Request, websocket: WebsocketImplProtocol) -> None:
        # In the tick of the handshake, so that no frame goes the stock way.
        request.ctx.socket = StockSocket(websocket, settings)

    app.add_signal(_lead, "http.routing.before")
    app.add_signal(adopt, "websocket.handler.before")
    app.register_middleware(_refuse_direct, "request", priority=1000)
    app.add_websocket_route(attend, SEED_PATH, name="socket")
    app.add_websocket_route(attend, V1_PATH, subprotocols=[V1], name="socket_v1")


async def _lead(request: Request) -> None:
    # Sanic switches its HTTP timeouts off by the very same test, so nothing looser may be a WebSocket here.
    if request.method != "GET" or request.headers.getone("upgrade", "").lower() != "websocket":
        return
    offers = [o.strip() for line in request.headers.getall("sec-websocket-protocol", []) for o in line.split(",")]
    if offers and V1 not in offers:
        raise Refusal("bad_subprotocol")
    path = (V1_PATH if offers else SEED_PATH).encode()
    query = request._parsed_url.query
    request.raw_url = path + (b"?" + query if query else b"")
    request._parsed_url = httptools.parse_url(request.raw_url)
    request.ctx.upgrading = True


async def _refuse_direct(request: Request) -> None:
    route: Any = request.route
    if route is not None and route.extra.websocket and not is_socket(request):
        raise Refusal("not_found")


async def _attend(app: MiniSanic, socket: StockSocket, handler: SocketHandler, request: Request) -> None:
    app.ctx.heartbeat.add(socket)
    try:
        await handler(request, socket)
    except Exception:
        logger.exception("the socket handler failed")
    finally:
        app.ctx.heartbeat.remove(socket)
    # A handler returns when its socket is gone; with a client still there it failed. Sanic would now say 1000.
    socket.close(INTERNAL)
    await socket.gone()
