"""Redis away, Redis restarted, Redis that cannot write: one refusal, and nothing is retried in secret."""

import secrets
import socket
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import (
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from delivery.link import Link, connect, is_away
from delivery.scripts import PRESENCE
from protocol.refusals import Refusal
from settings import Settings


def _settings(redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
        redis_connect_seconds=0.3,
        redis_command_seconds=0.3,
    )


KEYS = ["person:{9100000001}", "blockedUser:{9100000001}", "leases:{9100000001}", "lastseen:{9100000001}"]


async def test_a_script_is_given_again_to_a_redis_that_forgot_it(redis: "Redis") -> None:
    link = Link(redis)
    for _ in range(2):
        await redis.script_flush()
        assert await link.call(PRESENCE, KEYS, ["9200000001"]) == [b"unloaded", b""]


async def test_commands_together_answer_in_order(redis: "Redis") -> None:
    assert await Link(redis).together([("SET", "a", 1), ("GET", "a"), ("GET", "b")]) == [b"OK", b"1", None]


async def test_a_wrong_command_is_our_bug_and_no_absence(redis: "Redis") -> None:
    await redis.set("a", 1)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await Link(redis).command("HGET", "a", "b")


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    link = Link(connect(_settings(f"unix://{tmp_path / 'none.sock'}")))
    for work in (link.command("PING"), link.call(PRESENCE, KEYS, ["x"]), link.together([("PING",)])):
        with pytest.raises(Refusal, match="unavailable"):
            await work
    await link.close()


async def test_silence_is_unavailable_within_the_limits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        link = Link(connect(_settings(f"redis://127.0.0.1:{deaf.getsockname()[1]}")))
        with pytest.raises(Refusal, match="unavailable"):
            await link.command("PING")
        await link.close()


async def test_memory_at_its_end_is_unavailable(redis: "Redis") -> None:
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(Refusal, match="unavailable"):
            await Link(redis).command("SET", "a", "1")
    finally:
        await redis.config_set("maxmemory", "0")


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), True),
        (ReadOnlyError("You can't write against a read only replica."), True),
        (BusyLoadingError("Redis is loading the dataset in memory"), True),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (ResponseError("BUSY Redis is busy running a script."), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (ResponseError("WRONGTYPE Operation against a key"), False),
        (NoScriptError("No matching script."), False),
        (ValueError("x"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_counts_as_away(error: Exception, away: bool) -> None:
    assert is_away(error) is away
