"""The small page at ``/``."""

from typing import Final

from sanic import Request
from sanic.response import HTTPResponse

from handlers.static_files import PAGE_FILES, WEB, serve, static_file
from protocol.errors import ApiError

# 'self' covers ws: and wss: of the same host (CSP Level 3).
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_FILES: Final = {name: static_file((WEB / name).read_bytes(), kind, _POLICY) for name, kind in PAGE_FILES.items()}


async def page(request: Request) -> HTTPResponse:
    """``GET /``."""
    return serve(request, _FILES["index.html"])


async def page_file(request: Request, name: str) -> HTTPResponse:
    """``GET /web/<name>``.

    :raises ApiError: ``not_found``
    """
    if name not in _FILES:
        raise ApiError("not_found")
    return serve(request, _FILES[name])
