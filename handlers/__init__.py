"""The HTTP side: thin. Decorator, typed body, one await, one return. Every route is in the table below.

A GET is answered to HEAD, too, and every path to OPTIONS (handlers.methods)."""

from typing import Any, Final

from sanic import Sanic

from handlers import auth, blocks, health, profile, web_client
from handlers.errors import register_errors
from handlers.methods import options, served

ROUTES: Final = (
    ("POST", "/auth/signin", auth.sign_up),
    ("POST", "/auth/login", auth.login),
    ("POST", "/auth/logout", auth.logout),
    ("POST", "/v1/tickets", auth.ticket),
    ("POST", "/block-action/block", blocks.block),
    ("DELETE", "/block-action/unblock", blocks.unblock),
    ("GET", "/block-action/list", blocks.listing),
    ("GET", "/profile/lastseen", profile.last_seen),
    ("GET", "/", web_client.page),
    ("GET", "/web/<name:str>", web_client.page_file),
    ("GET", "/health", health.live),
    ("GET", "/ready", health.ready),
)


def register(app: "Sanic[Any, Any]") -> None:
    """Add all routes and the one way errors are answered. ``app.ctx.services`` must exist when requests come."""
    register_errors(app)
    methods: dict[str, list[str]] = {}
    for method, path, handler in ROUTES:
        methods.setdefault(path, []).extend(served(method))
        app.add_route(handler, path, methods=served(method), name=handler.__name__)
    for number, path in enumerate(methods):
        app.add_route(options(methods[path]), path, methods=["OPTIONS"], name=f"options_{number}")
