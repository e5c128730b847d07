"""How Tortoise reaches PostgreSQL."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


def tortoise_orm(url: str, pool_max: int = 10) -> dict[str, Any]:
    """The Tortoise configuration for ``postgres://…``.

    ``command_timeout`` is what frees a caller when PostgreSQL is frozen: ``asyncio.wait_for`` around asyncpg does
    not return, because the cancel itself waits for the server.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    credentials = {
        "host": query.get("host", [parts.hostname or "localhost"])[0],
        "port": parts.port or 5432,
        "user": unquote(parts.username or "postgres"),
        "password": unquote(parts.password) if parts.password else None,
        "database": parts.path.lstrip("/"),
        "minsize": 1,
        "maxsize": pool_max,
        "timeout": 2,
        "command_timeout": 2,
    }
    return {
        "connections": {"default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
        "apps": {"models": {"models": ["models"], "migrations": "models.migrations"}},
        "use_tz": True,
        "timezone": "UTC",
    }
