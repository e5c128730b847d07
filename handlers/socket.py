"""The WebSocket: who opens it is settled before the upgrade, what is said on it is the connection's business."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

from sanic import Request

from accounts.numbers import canonical_mobile
from delivery.connection import Connection
from handlers.guards import authenticate_socket
from handlers.services import services
from protocol.dialects import V1, Dialect, Seed
from server.application import MiniSanic
from server.client_socket import ClientSocket
from server.routes import add_sockets, is_socket, is_v1

# Ten thousand connections share what they need not have for themselves.
SEED: Final[Dialect] = Seed()
V1_DIALECT: Final[Dialect] = V1()


SPELLED: Final = 4096
"""Numbers that stay cleaned: those of people who are written to just now."""


@cache
def _canonical(region: str) -> Callable[[str], str]:
    return lru_cache(maxsize=SPELLED)(lambda raw: canonical_mobile(raw, region))


def register_socket(app: MiniSanic) -> None:
    """Serve WebSockets on any path. A bad token gets a real 401 before the upgrade."""
    app.register_middleware(_authenticate, "request")
    add_sockets(app, _attend)


async def _authenticate(request: Request) -> None:
    if is_socket(request):
        request.ctx.claims = await authenticate_socket(request)


async def _attend(request: Request, socket: ClientSocket) -> None:
    mine = services(request)
    connection = Connection(
        socket,
        request.ctx.claims,
        V1_DIALECT if is_v1(request) else SEED,
        request.app.ctx.server_id,
        mine.messenger,
        mine.hub,
        mine.settings,
        _canonical(mine.settings.default_region),
        mine.record,
    )
    connection.start()
    socket.attach(connection)
