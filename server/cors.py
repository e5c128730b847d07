"""Browser pages of other origins may use HTTP here: the origins an operator lists, and no others (Fetch standard).

The original served no page, so every browser client of it lives on another origin. Nothing here rests on cookies: a
client shows a token, which a foreign page does not have. So what a listed origin may read, anybody may ask for.
"""

import re
from typing import Final

from sanic import Request
from sanic.response import HTTPResponse, empty

from server.application import MiniSanic

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
MAX_AGE_SECONDS: Final = 7200
"""How long a browser may remember a preflight's answer. Chromium takes no more than this."""
_EXPOSED: Final = "Retry-After, WWW-Authenticate, Allow"
_NAMES: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")
_NOWHERE: Final = (404, 405)


def add_cors(app: MiniSanic, origins: frozenset[str]) -> None:
    """Let pages of these origins read answers, errors included, and answer their preflights on every path.

    :param origins: as a browser writes them, or ``*`` alone for any; none: nothing is added to any answer
    """
    if origins:
        app.register_middleware(Cors(origins).allow, "response")  # type: ignore[arg-type]


class Cors:
    """What is added to answers."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins
        self._any = "*" in origins

    async def allow(self, request: Request, response: HTTPResponse) -> HTTPResponse | None:
        """Response middleware. A preflight is answered here, also where there is no route for it."""
        headers = request.headers
        origin = headers.getone("origin", "")
        if not self._any:
            # Also for those who get nothing: a cache must not give their answer to a page that may read it.
            vary(response, "Origin")
        if not origin or not (self._any or origin in self._origins):
            return None
        preflight = request.method == "OPTIONS" and "access-control-request-method" in headers
        if preflight and response.status in _NOWHERE:
            response = empty()
            vary(response, "Origin")
        given = response.headers
        given["Access-Control-Allow-Origin"] = "*" if self._any else origin
        if not self._any:
            # There are no cookies; but clients of the original may say `credentials: "include"`, and fail without this.
            given["Access-Control-Allow-Credentials"] = "true"
        if not preflight:
            given["Access-Control-Expose-Headers"] = _EXPOSED
            return None
        given["Access-Control-Allow-Methods"] = METHODS
        wanted = headers.getone("access-control-request-headers", "")
        if _NAMES.fullmatch(wanted):
            given["Access-Control-Allow-Headers"] = wanted
        given["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
        vary(response, "Access-Control-Request-Headers")
        return response


def vary(response: HTTPResponse, name: str) -> None:
    """The answer depends on that header of the request, besides those that are named already."""
    before = response.headers.get("Vary", "")
    response.headers["Vary"] = f"{before}, {name}" if before else name
