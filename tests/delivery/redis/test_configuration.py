"""What the start says of a Redis that is configured otherwise than docs/OPERATIONS.md recommends."""

import json
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from delivery.redis.configuration import RECOMMENDED, check_configuration
from tests.support.messaging import make_settings
from tests.support.stack import Stack
from tools.devstack.valkey import Valkey

DEFAULTS = {  # of Redis and Valkey; directive -> value as Redis tells it
    "appendonly": "no",
    "appendfsync": "everysec",
    "auto-aof-rewrite-min-size": "67108864",
    "maxmemory": "0",
    "maxmemory-policy": "allkeys-lru",
    "save": "3600 1 300 100",
    "hash-max-listpack-entries": "512",
    "stream-node-max-bytes": "4096",
    "stream-node-max-entries": "100",
}


def configure(server: Valkey, directives: dict[str, str]) -> None:
    with Redis.from_url(server.url) as admin:
        for name, value in directives.items():
            admin.config_set(name, value)


@pytest.fixture
def ours(own_valkey: Valkey) -> Valkey:
    """As ``run.py`` starts it."""
    configure(own_valkey, {"maxmemory": "1gb"})
    return own_valkey


def lines(log: str) -> list[dict[str, Any]]:
    """Those of the product's own log that are about the configuration of Redis."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{") and "OPERATIONS" in line]


def test_each_directive_that_differs_is_a_warning_of_the_start(stack: Stack, ours: Valkey) -> None:
    configure(ours, DEFAULTS)
    said = lines(stack.start(workers=2, REDIS_URL=ours.url).log_text())
    assert {each["directive"]: (each["found"], each["recommended"]) for each in said} == {
        name: (value, RECOMMENDED[name]) for name, value in DEFAULTS.items()
    }
    assert len(said) == len(DEFAULTS), "once, and not by each process"
    assert {(each["level"], each["event"]) for each in said} == {
        ("warning", "a directive of Redis is not as recommended")
    }


def test_with_our_own_values_nothing_is_said(stack: Stack, ours: Valkey) -> None:
    assert lines(stack.start(workers=1, REDIS_URL=ours.url).log_text()) == []


async def _said(url: str) -> list[Any]:
    with capture_logs() as logs:
        await check_configuration(make_settings(redis_url=url, redis_connect_seconds=0.5, redis_command_seconds=0.2))
    return list(logs)


async def test_more_than_the_least_is_as_good(ours: Valkey) -> None:
    configure(ours, {"auto-aof-rewrite-min-size": "1gb", "maxmemory": "64gb"})
    assert await _said(ours.url) == []


@pytest.mark.parametrize(("rules", "event"), [("-config", "NOPERM"), (">secret", "unauthenticated")])
async def test_a_redis_that_does_not_tell_is_no_warning(ours: Valkey, rules: str, event: str) -> None:
    with Redis.from_url(ours.url) as admin:
        admin.execute_command("ACL", "SETUSER", "default", *(["resetpass", rules] if ">" in rules else [rules]))
    (only,) = await _said(ours.url)
    assert (only["log_level"], only["event"]) == ("info", "the configuration of Redis could not be checked")
    assert event in only["reason"]


async def test_a_redis_that_is_frozen_or_away_is_no_warning_either(ours: Valkey) -> None:
    ours.pause()
    (frozen,) = await _said(ours.url)
    ours.resume()
    ours.stop()
    (away,) = await _said(ours.url)
    assert {frozen["log_level"], away["log_level"]} == {"info"}
    assert frozen["event"] == away["event"] == "the configuration of Redis could not be checked"
    assert (frozen["reason"], "No such file" in away["reason"]) == ("TimeoutError", True)
