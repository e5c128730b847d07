"""The WebSocket: the client is authenticated before the upgrade; what it sends then is for its connection."""

from collections.abc import Callable
from functools import cache, lru_cache, partial
from typing import Any, Final

from accounts.mobile_numbers import canonical_mobile
from accounts.tokens import Claims
from delivery.session.connection import Connection
from handlers.authentication import authenticate_socket
from handlers.services import Services
from protocol.dialects import V1, Dialect, Seed
from protocol.errors import ApiError
from server.addresses import network_of
from server.application import MiniSanic
from server.sanic_upgrade import Attach, add_websockets
from server.upgrade_request import UpgradeRequest
from server.websocket.accepted_socket import AcceptedSocket

# Shared by all connections: a dialect has no state.
SEED: Final[Dialect] = Seed()
V1_DIALECT: Final[Dialect] = V1()


CANONICAL_NUMBERS: Final = 4096
"""Results of :func:`canonical_mobile` that are kept: the numbers of people to whom somebody writes just now."""


@cache
def _canonical(region: str) -> Callable[[str], str]:
    return lru_cache(maxsize=CANONICAL_NUMBERS)(lambda raw: canonical_mobile(raw, region))


def register_socket(app: MiniSanic) -> None:
    """Serve WebSockets on any path. A bad token gets a real 401 before the upgrade."""
    add_websockets(app, partial(_authenticate, app.ctx))


async def _authenticate(ctx: Any, upgrade: UpgradeRequest, address: str, *, fast: bool) -> Attach:
    """As :class:`server.sanic_upgrade.Authenticate` says."""
    mine: Services = ctx.services
    network = network_of(address)
    if not fast:
        mine.upgrades.admit(network)
    allow = partial(_allow_at_once, mine, network) if fast else partial(_allow, mine)
    claims = await authenticate_socket(mine, upgrade, allow, redeem_tickets=not fast)
    return partial(_attach, ctx, claims, upgrade.v1)


async def _allow(mine: Services, claims: Claims) -> None:
    """:raises ApiError: ``too_many_requests``, ``rate_limited``, ``session_revoked``, ``unavailable``"""
    if await mine.hub.penalty.wait(claims.mobile, claims.device_id):
        await mine.sessions.check(claims.session_id)
    mine.upgrades.enter(claims.mobile)


async def _allow_at_once(mine: Services, network: str, claims: Claims) -> None:
    """The same without waiting. The address is counted here, too: of an upgrade that is refused it is counted later.

    :raises ApiError: ``too_many_requests``
    """
    if mine.hub.penalty.seconds_left(claims.mobile, claims.device_id):
        raise ApiError("too_many_requests")
    if not mine.upgrades.enter_at_once(claims.mobile, network):
        raise ApiError("too_many_requests")


def _attach(ctx: Any, claims: Claims, v1: bool, socket: AcceptedSocket) -> None:
    mine: Services = ctx.services
    dialect, canonical = V1_DIALECT if v1 else SEED, _canonical(mine.settings.default_region)
    connection = Connection(socket, claims, dialect, mine.messaging, canonical)
    connection.start()
    socket.attach(connection)
