"""What every route answers besides its own method: HEAD where there is a GET, and OPTIONS."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from sanic import Request
from sanic.response import HTTPResponse, empty

Options = Callable[..., Coroutine[Any, Any, HTTPResponse]]


def served(method: str) -> list[str]:
    """The methods one handler serves. Sanic leaves the body out where HEAD was asked (RFC 9110, 9.3.2)."""
    return ["GET", "HEAD"] if method == "GET" else [method]


def options(methods: Iterable[str]) -> Options:
    """A handler that says which methods a path takes: 204 with ``Allow``."""
    allow = ", ".join(sorted({*methods, "OPTIONS"}))

    async def handler(_request: Request, **_parts: str) -> HTTPResponse:
        return empty(headers={"Allow": allow})

    return handler
