"""Files that are served as they are: read once at start, from a fixed list. A client's path never opens a file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sanic import Request
from sanic.response import HTTPResponse

WEB: Final = Path(__file__).resolve().parent.parent / "web"
HTML: Final = "text/html; charset=utf-8"
CSS: Final = "text/css; charset=utf-8"
SCRIPT: Final = "text/javascript; charset=utf-8"
PAGE_FILES: Final = {
    "index.html": HTML,
    "style.css": CSS,
    "app.js": SCRIPT,
    "api.js": SCRIPT,
    "line.js": SCRIPT,
    "log.js": SCRIPT,
    "memory.js": SCRIPT,
    "outbox.js": SCRIPT,
    "people.js": SCRIPT,
    "talk.js": SCRIPT,
    "view.js": SCRIPT,
    "views.js": SCRIPT,
}
"""Content types of the page's files, in ``web/``."""
VIEWER_FILES: Final = {"docs.css": CSS, "docs.js": SCRIPT, "rapidoc-min.js": SCRIPT}
"""Those of the viewer's files, in ``web/docs/``; its page is not one of them."""
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # cached, but revalidated each time: modules of two versions must not meet
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, with its headers."""

    body: bytes
    content_type: str
    headers: dict[str, str]


def static_file(body: bytes, content_type: str, policy: str) -> StaticFile:
    """:param policy: the Content-Security-Policy"""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return StaticFile(body, content_type, _HEADERS | {"Content-Security-Policy": policy, "ETag": etag})


def serve(request: Request, file: StaticFile) -> HTTPResponse:
    """200 with the file, or 304."""
    if request.headers.get("if-none-match") == file.headers["ETag"]:
        return HTTPResponse(status=304, headers=file.headers)
    return HTTPResponse(file.body, headers=file.headers, content_type=file.content_type)
