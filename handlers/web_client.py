"""The small page at ``/``: files from a fixed list, read once at start. A client's path never opens a file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sanic import Request
from sanic.response import HTTPResponse

from protocol.errors import ApiError

_FOLDER: Final = Path(__file__).resolve().parent.parent / "web"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_TYPES: Final = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": _SCRIPT,
    "api.js": _SCRIPT,
    "line.js": _SCRIPT,
    "log.js": _SCRIPT,
    "memory.js": _SCRIPT,
    "outbox.js": _SCRIPT,
    "people.js": _SCRIPT,
    "talk.js": _SCRIPT,
    "view.js": _SCRIPT,
    "views.js": _SCRIPT,
}
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # cached, but revalidated each time: modules of two versions must not meet
    # 'self' covers ws: and wss: of the same host (CSP Level 3).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    content_type: str
    etag: str


def _read(name: str) -> _File:
    body = (_FOLDER / name).read_bytes()
    return _File(body, _TYPES[name], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


_FILES: Final = {name: _read(name) for name in _TYPES}


async def page(request: Request) -> HTTPResponse:
    """``GET /``."""
    return _serve(request, "index.html")


async def page_file(request: Request, name: str) -> HTTPResponse:
    """``GET /web/<name>``.

    :raises ApiError: ``not_found``
    """
    if name not in _FILES:
        raise ApiError("not_found")
    return _serve(request, name)


def _serve(request: Request, name: str) -> HTTPResponse:
    file = _FILES[name]
    headers = _HEADERS | {"ETag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return HTTPResponse(status=304, headers=headers)
    return HTTPResponse(file.body, headers=headers, content_type=file.content_type)
