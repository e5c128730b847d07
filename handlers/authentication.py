"""Who is asking: a decorator for routes, and the same question for sockets."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Literal

from sanic import Request
from sanic.response import HTTPResponse, ResponseStream

from accounts.sessions import Allow
from accounts.tokens import Claims
from handlers.requests import read_query
from handlers.services import Services, services
from protocol.errors import ApiError
from server.upgrade_request import UpgradeRequest

Response = HTTPResponse | ResponseStream
Handler = Callable[..., Coroutine[Any, Any, Response]]
PersonalHandler = Callable[[Request, Claims], Coroutine[Any, Any, Response]]


def authenticated(handler: PersonalHandler) -> Handler:
    """Call the handler with the claims of a verified token whose session lives.

    :raises ApiError: ``token_missing``, ``token_invalid``, ``token_expired``, ``session_revoked``, ``unavailable``
    """

    @wraps(handler)
    async def guarded(request: Request, **_parts: str) -> Response:
        token = _bearer(request.headers.getall("authorization", []))
        if token is None:
            raise ApiError("token_missing")
        return await handler(request, await _checked(services(request), token))

    return guarded


async def authenticate_socket(
    mine: Services, upgrade: UpgradeRequest, allow: Allow, *, redeem_tickets: bool = True
) -> Claims:
    """Who opens this socket: the first of ``Authorization: Bearer``, ``?ticket=`` and ``?token=`` decides.

    :param allow: asked whether this person may open a socket now, before a ticket is used up
    :param redeem_tickets: False: a ticket is refused, and not used up
    :raises ApiError: as :func:`authenticated`, ``ticket_invalid``, ``bad_request``, and what ``allow`` raises
    """
    kind, secret = _secret(upgrade.authorization, upgrade.query)
    if kind == "ticket":
        if not redeem_tickets:
            raise ApiError("ticket_invalid")
        return await mine.sessions.redeem_ticket(secret, allow)
    claims = await _checked(mine, secret)
    await allow(claims)
    return claims


def _secret(authorization: list[str], query: str) -> tuple[Literal["token", "ticket"], str]:
    token = _bearer(authorization)
    if token is None:
        given = read_query(query)
        if "ticket" in given:
            return "ticket", given["ticket"]
        token = given.get("token")
    if token is None:
        raise ApiError("token_missing")
    return "token", token


async def _checked(mine: Services, token: str) -> Claims:
    claims = mine.tokens.verify(token)
    await mine.sessions.check(claims.session_id)
    return claims


def _bearer(headers: list[str]) -> str | None:
    """The token of the Authorization header; None without one. Other schemes are for a proxy, and ignored.

    :raises ApiError: ``token_invalid``: there are two, or one without a token
    """
    tokens = [
        rest.strip() for scheme, _, rest in (each.partition(" ") for each in headers) if scheme.lower() == "bearer"
    ]
    if not tokens:
        return None
    if len(tokens) > 1 or not tokens[0]:
        raise ApiError("token_invalid")
    return tokens[0]
