"""Turns every exception of the HTTP side into the one error body. It never contains a submitted value."""

import contextlib
import math
from typing import Any, Final

import structlog
from sanic import Request, Sanic
from sanic.exceptions import MethodNotAllowed, NotFound, SanicException
from sanic.response import HTTPResponse

from handlers.responses import failure
from protocol.errors import ApiError
from server.upgrade_request import VERSION

logger = structlog.get_logger(__name__)

_CODES: Final = {
    401: "token_missing",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    503: "unavailable",
}
"""Sanic's own exceptions, by status. Other 4xx are ``bad_request``, other 5xx ``internal``."""


def register_errors(app: "Sanic[Any, Any]") -> None:
    """Handle every exception, also Sanic's own for broken HTTP."""
    app.error_handler.add(ApiError, _api_error)
    app.error_handler.add(SanicException, _sanic_error)
    app.error_handler.add(Exception, _internal_error)


def error_response(error: ApiError, extra: dict[str, Any] | None = None) -> HTTPResponse:
    """The response for an error.

    :param extra: more fields for the body
    """
    headers: dict[str, str] = {}
    more = dict(extra or {})
    if error.spec.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.spec.status == 426:
        headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": VERSION.decode()}
    if error.spec.status in {429, 503} and error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
        more["retryAfter"] = error.retry_after
    return failure(error.body() | more, headers)


async def _api_error(_request: Request, error: ApiError) -> HTTPResponse:
    return error_response(error)


async def _sanic_error(request: Request, error: SanicException) -> HTTPResponse:
    status = error.status_code or 500
    code = _CODES.get(status, "bad_request" if status < 500 else "internal")
    if code == "internal":
        return await _internal_error(request, error)
    answer = error_response(ApiError(code))
    if status == 405:
        answer.headers["Allow"] = error.headers.get("Allow") or _allowed(request)
    return answer


def _allowed(request: Request) -> str:
    """The methods of this path. Sanic does not list them for a path with a parameter."""
    allowed = []
    for method in request.app.router.ALLOWED_METHODS:
        with contextlib.suppress(NotFound, MethodNotAllowed):
            request.app.router.get(request.path, method, None)
            allowed.append(str(method))
    return ", ".join(sorted(allowed))


async def _internal_error(request: Request, error: Exception) -> HTTPResponse:
    """A bug of ours. The log gets the traceback and the route, never the query or the body."""
    route = None if request.route is None else f"/{request.route.path}"
    logger.error("a request failed", method=request.method, route=route, exc_info=error)
    return error_response(ApiError("internal"))
