"""The HTTP side: thin. Decorator, typed body, one await, one return. Every route is in the table below."""

from typing import Any, Final

from sanic import Sanic

from handlers import auth, blocks, health, page, profile
from handlers.errors import register_errors

ROUTES: Final = (
    ("POST", "/auth/signin", auth.sign_up),
    ("POST", "/auth/login", auth.login),
    ("POST", "/auth/logout", auth.logout),
    ("POST", "/v1/tickets", auth.ticket),
    ("POST", "/block-action/block", blocks.block),
    ("DELETE", "/block-action/unblock", blocks.unblock),
    ("GET", "/block-action/list", blocks.listing),
    ("GET", "/profile/lastseen", profile.last_seen),
    ("GET", "/", page.page),
    ("GET", "/web/<name:str>", page.page_file),
    ("GET", "/health", health.live),
    ("GET", "/ready", health.ready),
)


def register(app: "Sanic[Any, Any]") -> None:
    """Add all routes and the one way errors are answered. ``app.ctx.services`` must exist when requests come."""
    register_errors(app)
    for method, path, handler in ROUTES:
        app.add_route(handler, path, methods=[method], name=handler.__name__)
