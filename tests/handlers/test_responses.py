"""How answers are written."""

import json
from datetime import UTC, datetime, timedelta, timezone

from handlers.answers import Done
from handlers.responses import failure, rfc3339, success
from protocol.errors import ApiError


def test_times_are_utc_with_milliseconds() -> None:
    assert rfc3339(1_700_000_000_000) == "2023-11-14T22:13:20.000Z"
    india = timezone(timedelta(hours=5, minutes=30))
    assert rfc3339(datetime(2026, 1, 1, 5, 30, 0, 123_456, tzinfo=india)) == "2026-01-01T00:00:00.123Z"
    assert rfc3339(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_no_cache_may_store_a_response() -> None:
    answered = success(Done(message="done"))
    assert (answered.status, answered.content_type) == (200, "application/json")
    assert json.loads(answered.body or b"") == {"success": True, "message": "done"}
    refused = failure(ApiError("not_found").body(), {"X": "y"})
    assert (refused.status, refused.headers["X"]) == (404, "y")
    for answer in (answered, refused):
        assert answer.headers["Cache-Control"] == "no-store"
