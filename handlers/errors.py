"""Every error of the HTTP side, whoever raised it, becomes the one error body. No submitted value is ever in it."""

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
    """Answer for everything that can be raised, Sanic's refusals of broken HTTP included."""
    app.error_handler.add(ApiError, _refused)
    app.error_handler.add(SanicException, _sanic)
    app.error_handler.add(Exception, _broken)


def refuse(refusal: ApiError, extra: dict[str, Any] | None = None) -> HTTPResponse:
    """The answer to a refusal.

    :param extra: more fields for the body
    """
    headers: dict[str, str] = {}
    more = dict(extra or {})
    if refusal.spec.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.spec.status == 426:
        headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": VERSION.decode()}
    if refusal.spec.status in {429, 503} and refusal.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after))
        more["retryAfter"] = refusal.retry_after
    return failure(refusal.body() | more, headers)


async def _refused(_request: Request, error: ApiError) -> HTTPResponse:
    return refuse(error)


async def _sanic(request: Request, error: SanicException) -> HTTPResponse:
    status = error.status_code or 500
    code = _CODES.get(status, "bad_request" if status < 500 else "internal")
    if code == "internal":
        return await _broken(request, error)
    answer = refuse(ApiError(code))
    if status == 405:
        answer.headers["Allow"] = error.headers.get("Allow") or _allowed(request)
    return answer


def _allowed(request: Request) -> str:
    """What this path takes. Sanic does not say it where a part of the path has a name."""
    allowed = []
    for method in request.app.router.ALLOWED_METHODS:
        with contextlib.suppress(NotFound, MethodNotAllowed):
            request.app.router.get(request.path, method, None)
            allowed.append(str(method))
    return ", ".join(sorted(allowed))


async def _broken(request: Request, error: Exception) -> HTTPResponse:
    """Our own fault. The log gets the traceback and the route, never the query or the body."""
    route = None if request.route is None else f"/{request.route.path}"
    logger.error("a request failed", method=request.method, route=route, exc_info=error)
    return refuse(ApiError("internal"))
