"""Files that are served as they are: read once at start. A client's path never opens a file."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sanic import Request
from sanic.response import HTTPResponse

ROOT: Final = Path(__file__).resolve().parent.parent
WEB: Final = ROOT / "web"
HTML: Final = "text/html; charset=utf-8"
CSS: Final = "text/css; charset=utf-8"
SCRIPT: Final = "text/javascript; charset=utf-8"
_TYPES: Final = {
    ".html": HTML,
    ".css": CSS,
    ".js": "text/javascript",  # modules and workers are UTF-8 whatever is said, and the page has forty of them
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_PAGE_FOLDERS: Final = {
    "": WEB,
    "vendor": WEB / "vendor",
    "icons": WEB / "icons",
    "client": ROOT / "clients" / "js" / "src",  # the page runs the very files that others build on
}
"""Folders of the page's files, by the part of the path behind ``/web/``."""
VIEWER_FILES: Final = {"docs.css": CSS, "docs.js": SCRIPT, "rapidoc-min.js": SCRIPT}
"""Content types of the viewer's files, in ``web/docs/``; its page is not one of them."""
_HEADERS: Final = {
    "Cache-Control": "no-cache",  # cached, but revalidated each time: modules of two versions must not meet
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
_COMMENTS: Final = {
    # A comment behind code follows a bracket, a comma or a semicolon, and has no quote in it: so it is in no string.
    ".js": re.compile(
        rb"""^[ \t]*(?://[^\n]*|/\*\*.*?\*/[ \t]*)$|(?<=[;,{}()\[\]])[ ]//[ ][^\n"'`]*$""", re.MULTILINE | re.DOTALL
    ),
    ".css": re.compile(rb"[ ]?/\*.*?\*/", re.DOTALL),
}
_INDENTATION: Final = re.compile(rb"^\s+", re.MULTILINE)
"""Of lines, and empty lines. HTML makes one space of it, so the page's templates may lose it, too. No other text may
have several lines; a test sees to that."""
_PACKED_TYPES: Final = ("text/", "image/svg", "application/manifest", "application/json")


def _page_files() -> Mapping[str, Path]:
    """The page's files by their path behind ``/web/``. What has no type above is not served."""
    found = {
        f"{folder}/{path.name}".lstrip("/"): path
        for folder, where in _PAGE_FOLDERS.items()
        for path in sorted(where.glob("*"))
        if path.suffix in _TYPES
    }
    return MappingProxyType(found)


PAGE_FILES: Final = _page_files()


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, with its headers."""

    body: bytes
    content_type: str
    headers: dict[str, str]
    packed: bytes | None
    """The body in gzip, where that is smaller."""


def static_file(body: bytes, content_type: str, policy: str) -> StaticFile:
    """:param policy: the Content-Security-Policy; "" for what is no document: the page has fifty such files"""
    etag = f'"{hashlib.sha256(body).hexdigest()[:12]}"'  # short: it comes with each file
    # mtime=0: all servers send the same bytes.
    packed = gzip.compress(body, mtime=0) if content_type.startswith(_PACKED_TYPES) else None
    if packed is not None and len(packed) >= len(body):
        packed = None
    policies = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"} if policy else {}
    return StaticFile(body, content_type, _HEADERS | policies | {"ETag": etag}, packed)


def read_file(path: Path, policy: str) -> StaticFile:
    """The file at this path, of the type that its name says.

    Scripts and styles are sent without comments, indentation and empty lines.
    """
    body = without_comments(path.read_bytes(), path.suffix)
    if path.suffix in _COMMENTS:
        body = _INDENTATION.sub(b"", body)
    return static_file(body, _TYPES[path.suffix], policy)


def without_comments(body: bytes, suffix: str) -> bytes:
    """A script or styles without comments, which are a fifth of what the page loads.

    A comment behind code stays if it has a quote in it, which may be the end of a string. No text of a template may
    look like a comment; a test sees to that.
    """
    if suffix not in _COMMENTS:
        return body
    return _COMMENTS[suffix].sub(b"", body)


def serve(request: Request, file: StaticFile, **headers: str) -> HTTPResponse:
    """200 with the file, packed if the client takes that, or 304.

    :param headers: others than the file's own, with ``_`` for ``-``
    """
    is_packed = file.packed is not None and _takes_gzip(request.headers.get("accept-encoding", ""))
    sent = file.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    if is_packed:  # other bytes, so another ETag (RFC 9110, 8.8.3)
        sent |= {"Content-Encoding": "gzip", "ETag": sent["ETag"][:-1] + '-gzip"'}
    if request.headers.get("if-none-match") == sent["ETag"]:
        return HTTPResponse(status=304, headers=sent)
    return HTTPResponse(file.packed if is_packed else file.body, headers=sent, content_type=file.content_type)


def _takes_gzip(accepted: str) -> bool:
    """RFC 9110, 12.5.3, as far as browsers use it: ``gzip`` is named, and not with ``q=0``."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
