"""The page at ``/``."""

from typing import Final

from sanic import Request
from sanic.response import HTTPResponse

from handlers import service_worker
from handlers.static_files import PAGE_FILES, StaticFile, read_file, serve, static_file
from protocol.asyncapi import VERSION
from protocol.errors import ApiError

# 'self' covers ws: and wss: of the same host (CSP Level 3).
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
)


def _read_files() -> dict[str, StaticFile]:
    files = {name: read_file(path, _policy_of(name)) for name, path in PAGE_FILES.items()}
    files[service_worker.NAME] = service_worker.filled_in(files)
    files["version.txt"] = static_file(
        VERSION.encode(), "text/plain; charset=utf-8", ""
    )  # of the server, so never kept
    return files


def _policy_of(name: str) -> str:
    """Documents and workers have one; scripts, styles and pictures obey that of what loads them."""
    return f"{_POLICY}'none'" if name.endswith((".html", ".svg")) or name == service_worker.NAME else ""


_FILES: Final = _read_files()


async def page(request: Request) -> HTTPResponse:
    """``GET /``.

    A program that shows the page in a frame of its own (``tools/demo``) sets ``app.ctx.frame_ancestors``, a list of
    sources as in Content-Security-Policy. Otherwise nobody may.
    """
    ancestors = getattr(request.app.ctx, "frame_ancestors", "'none'")
    return serve(request, _FILES["index.html"], Content_Security_Policy=_POLICY + ancestors)


async def page_file(request: Request, name: str) -> HTTPResponse:
    """``GET /web/<name>``.

    :raises ApiError: ``not_found``
    """
    if name not in _FILES:
        raise ApiError("not_found")
    return serve(request, _FILES[name])


async def page_folder_file(request: Request, folder: str, name: str) -> HTTPResponse:
    """``GET /web/<folder>/<name>``.

    :raises ApiError: ``not_found``
    """
    return await page_file(request, f"{folder}/{name}")
