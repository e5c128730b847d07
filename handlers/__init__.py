"""The HTTP side, kept thin: decorator, typed body, one await, one return. Every route is in the table below.

HEAD works wherever GET does, and every path answers OPTIONS.
"""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final

from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty

from handlers import (
    account,
    auth,
    blocks,
    codes,
    devices,
    documents,
    export,
    health,
    people,
    privacy,
    profile,
    sessions,
    web_client,
)
from handlers.errors import register_errors

ROUTES: Final = (
    ("POST", "/auth/signin", auth.sign_up),
    ("POST", "/auth/login", auth.login),
    ("POST", "/auth/refresh", auth.refresh),
    ("POST", "/auth/logout", auth.logout),
    ("POST", "/auth/logout-everywhere", auth.logout_everywhere),
    ("POST", "/auth/password", auth.change_password),
    ("POST", "/auth/reset", codes.reset_password),
    ("POST", "/v1/codes", codes.send_code),
    ("GET", "/v1/sessions", sessions.list_sessions),
    ("DELETE", "/v1/sessions/<id:str>", sessions.close_session),
    ("GET", "/v1/events", sessions.list_events),
    ("GET", "/v1/devices", devices.list_devices),
    ("DELETE", "/v1/devices/<device_id:str>", devices.remove_device),
    ("POST", "/v1/tickets", auth.ticket),
    ("POST", "/block-action/block", blocks.block),
    ("DELETE", "/block-action/unblock", blocks.unblock),
    ("GET", "/block-action/list", blocks.listing),
    ("GET", "/profile/lastseen", profile.last_seen),
    ("GET", "/v1/me", people.me),
    ("PATCH", "/v1/me", people.change_me),
    ("GET", "/v1/export", export.export),
    ("DELETE", "/v1/me", account.delete_me),
    ("POST", "/v1/me/number", account.change_number),
    ("POST", "/v1/people/lookup", people.look_up),
    ("GET", "/v1/privacy", privacy.get_privacy),
    ("PUT", "/v1/privacy", privacy.change_privacy),
    ("GET", "/", web_client.page),
    ("GET", "/web/<name:str>", web_client.page_file),
    ("GET", "/web/<folder:str>/<name:str>", web_client.page_folder_file),
    ("GET", "/openapi.json", documents.openapi_document),
    ("GET", "/asyncapi.json", documents.asyncapi_document),
    ("GET", "/docs", documents.docs),
    ("GET", "/docs/<name:str>", documents.docs_file),
    ("GET", "/health", health.live),
    ("GET", "/ready", health.ready),
)


def register(app: "Sanic[Any, Any]") -> None:
    """Add all routes and the handlers of errors. ``app.ctx.services`` must exist when requests come."""
    register_errors(app)
    methods: dict[str, list[str]] = {}
    # Not told the format of errors, Sanic parses the source of each handler to guess it.
    add: Callable[..., Any] = partial(app.add_route, error_format="json")
    for method, path, handler in ROUTES:
        methods.setdefault(path, []).extend(served(method))
        add(handler, path, methods=served(method), name=handler.__name__)
    for number, path in enumerate(methods):
        add(options(methods[path]), path, methods=["OPTIONS"], name=f"options_{number}")


def served(method: str) -> list[str]:
    """The methods of one handler. For HEAD, Sanic leaves out the body (RFC 9110, 9.3.2)."""
    return ["GET", "HEAD"] if method == "GET" else [method]


def options(methods: Iterable[str]) -> Callable[..., Coroutine[Any, Any, HTTPResponse]]:
    """A handler that lists the methods of a path: 204 with ``Allow``."""
    allow = ", ".join(sorted({*methods, "OPTIONS"}))

    async def handler(_request: Request, **_parts: str) -> HTTPResponse:
        return empty(headers={"Allow": allow})

    return handler
