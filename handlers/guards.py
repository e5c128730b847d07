"""Who is asking: a decorator for routes, and the same question for sockets."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from sanic import Request
from sanic.response import HTTPResponse

from accounts.tokens import Claims
from handlers.queries import query
from handlers.services import services
from protocol.refusals import Refusal

Handler = Callable[[Request], Coroutine[Any, Any, HTTPResponse]]
PersonalHandler = Callable[[Request, Claims], Coroutine[Any, Any, HTTPResponse]]


def authenticated(handler: PersonalHandler) -> Handler:
    """Call the handler with the claims of a verified token whose session lives.

    :raises Refusal: ``token_missing``, ``token_invalid``, ``token_expired``, ``session_revoked``, ``unavailable``
    """

    @wraps(handler)
    async def guarded(request: Request) -> HTTPResponse:
        token = _bearer(request)
        if token is None:
            raise Refusal("token_missing")
        return await handler(request, await _checked(request, token))

    return guarded


async def authenticate_socket(request: Request) -> Claims:
    """Who opens this socket: the first of ``Authorization: Bearer``, ``?ticket=`` and ``?token=`` decides.

    :raises Refusal: as :func:`authenticated`, and ``ticket_invalid``, ``bad_request``
    """
    token = _bearer(request)
    if token is None:
        given = query(request)
        if "ticket" in given:
            return await services(request).sessions.redeem_ticket(given["ticket"])
        token = given.get("token")
    if token is None:
        raise Refusal("token_missing")
    return await _checked(request, token)


async def _checked(request: Request, token: str) -> Claims:
    mine = services(request)
    claims = mine.tokens.verify(token)
    await mine.sessions.check(claims.session_id)
    return claims


def _bearer(request: Request) -> str | None:
    """The token of the Authorization header; None without such a header."""
    headers: list[str] = request.headers.getall("authorization", [])
    if not headers:
        return None
    scheme, _, token = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise Refusal("token_invalid")
    return token.strip()
