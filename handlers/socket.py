"""The WebSocket: who opens it is settled before the upgrade, what is said on it is the connection's business."""

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any, Final

from sanic import Request

from accounts.mobile_numbers import canonical_mobile
from accounts.tokens import Claims
from delivery.connection.connection import Connection
from handlers.authentication import authenticate_socket, judge_socket
from handlers.services import Services, services
from protocol.dialects import V1, Dialect, Seed
from server.addresses import network_of
from server.application import MiniSanic
from server.door import Judged
from server.routes import add_sockets, is_socket, is_v1
from server.upgrade import Upgrade
from server.websocket.accepted_socket import AcceptedSocket

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
    add_sockets(app, _attend, partial(_judge, app))


async def _authenticate(request: Request) -> None:
    if is_socket(request):
        mine = services(request)
        mine.upgrades.admit(network_of(request.client_ip))
        request.ctx.claims = await authenticate_socket(request, partial(_allow, mine))


async def _allow(mine: Services, claims: Claims) -> None:
    """:raises ApiError: ``too_many_requests``, ``rate_limited``, ``session_revoked``, ``unavailable``"""
    if await mine.hub.cooldown.wait(claims.mobile, claims.device_id):
        await mine.sessions.check(claims.session_id)
    mine.upgrades.enter(claims.mobile)


def _judge(app: MiniSanic, upgrade: Upgrade, address: str, judged: Judged) -> None:
    mine: Services = app.ctx.services

    def known(claims: Claims | None) -> None:
        if claims is None or mine.hub.cooldown.seconds_left(claims.mobile, claims.device_id):
            judged(None)
        elif not mine.upgrades.enter_at_once(claims.mobile, network_of(address)):
            judged(None)  # Sanic's way is refused as well, with the answer
        else:
            judged(partial(_enter, app.ctx, claims, upgrade.v1))

    judge_socket(mine, upgrade, known)


async def _attend(request: Request, socket: AcceptedSocket) -> None:
    _enter(request.app.ctx, request.ctx.claims, is_v1(request), socket)


def _enter(ctx: Any, claims: Claims, v1: bool, socket: AcceptedSocket) -> None:
    mine: Services = ctx.services
    connection = Connection(
        socket,
        claims,
        V1_DIALECT if v1 else SEED,
        ctx.server_id,
        mine.messenger,
        mine.hub,
        mine.settings,
        _canonical(mine.settings.default_region),
        mine.record,
    )
    connection.start()
    socket.attach(connection.ear)
