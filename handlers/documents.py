"""The interface described for machines, and a page that shows the description to people."""

from typing import Final

from sanic import Request
from sanic.response import HTTPResponse, empty

from handlers.openapi import document
from handlers.static_files import HTML, VIEWER_FILES, WEB, serve, static_file
from protocol import asyncapi
from protocol.errors import ApiError

_JSON: Final = "application/json"
_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
# The viewer (web/docs/README.md) writes styles into its elements, and icons as data: URLs.
_VIEWER: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FOLDER: Final = WEB / "docs"
_PAGE: Final = static_file((_FOLDER / "index.html").read_bytes(), HTML, _VIEWER)
_FILES: Final = {
    name: static_file((_FOLDER / name).read_bytes(), kind, _NOTHING) for name, kind in VIEWER_FILES.items()
}
# Made before the workers are forked: they share the memory.
_OPENAPI: Final = static_file(document(), _JSON, _NOTHING)
_ASYNCAPI: Final = static_file(asyncapi.document(), _JSON, _NOTHING)


async def openapi_document(request: Request) -> HTTPResponse:
    """``GET /openapi.json``."""
    return serve(request, _OPENAPI)


async def asyncapi_document(request: Request) -> HTTPResponse:
    """``GET /asyncapi.json``."""
    return serve(request, _ASYNCAPI)


async def docs(request: Request) -> HTTPResponse:
    """``GET /docs``. What it loads is named relative to this address, because a proxy may serve it under a path."""
    if request.path.endswith("/"):
        return empty(status=308, headers={"Location": "../docs"})
    return serve(request, _PAGE)


async def docs_file(request: Request, name: str) -> HTTPResponse:
    """``GET /docs/<name>``.

    :raises ApiError: ``not_found``
    """
    if name not in _FILES:
        raise ApiError("not_found")
    return serve(request, _FILES[name])
