"""JSON responses, which no cache may store."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sanic.response import HTTPResponse, json

from handlers.answers import Answer

NO_STORE: Final = {"Cache-Control": "no-store"}
_encode: Final = msgspec.json.Encoder().encode


def success(answer: Answer) -> HTTPResponse:
    """200 with this answer."""
    return HTTPResponse(_encode(answer), headers=NO_STORE, content_type="application/json")


def failure(body: dict[str, Any], headers: dict[str, str]) -> HTTPResponse:
    """An error body, with its own status."""
    return json(body, status=body["status"], headers=NO_STORE | headers)


def rfc3339(moment: datetime | int) -> str:
    """UTC with milliseconds, as in ``2026-01-31T12:00:00.000Z``.

    :param moment: a time, or unix ms
    """
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment / 1000, UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
