"""Rejected commands are logged by kind, not one by one."""

import pytest
from structlog.testing import capture_logs

from delivery.redis import failures
from delivery.redis.failures import Failures

WORDS = "WRONGTYPE Operation against a key holding the wrong kind of value"


def test_each_kind_is_logged_at_once_and_then_once_a_minute_with_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(failures.time, "monotonic", lambda: now[0])
    noted = Failures()
    with capture_logs() as logs:
        for _ in range(5):
            noted.note("send", WORDS)
        noted.note("collect", WORDS)
        noted.note("send", "ERR something else")
        now[0] += failures.QUIET_SECONDS
        noted.note("send", WORDS)
        noted.note("send", WORDS)
    logged = [(line["script"], line["error"].split(" ")[0], line["more_since_last"]) for line in logs]
    assert logged == [
        ("send", "WRONGTYPE", 0),
        ("collect", "WRONGTYPE", 0),
        ("send", "ERR", 0),
        ("send", "WRONGTYPE", 4),
    ]


def test_kinds_are_bounded() -> None:
    noted = Failures()
    for number in range(10 * failures.MAX_KINDS):
        noted.note("send", f"CODE{number} words")
    assert len(noted._kinds) <= failures.MAX_KINDS
