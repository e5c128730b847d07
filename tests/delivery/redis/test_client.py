"""Redis is away, restarts, cannot write or does not answer: each is one coded error, and no command runs twice."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.redis import client as module
from delivery.redis.client import RedisClient
from delivery.redis.connection import WORTH_A_WRITE
from delivery.results import CommandFailed
from delivery.scripts import READ_SIDES
from protocol.direct_write import NO_FD
from protocol.errors import ApiError
from settings import Settings
from tests.support.links import link_to
from tests.support.processes import patient
from tools.devstack.valkey import Valkey

KEYS = ["person:{9100000001}", "blockedUser:{9100000001}", "leases:{9100000001}", "lastseen:{9100000001}"]


def linked(redis_url: str, connect_seconds: float = 0.4) -> RedisClient:
    return RedisClient(
        Settings(
            redis_url=redis_url,
            database_url="postgres://nobody@127.0.0.1/none",
            jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
            redis_connect_seconds=connect_seconds,
            redis_command_seconds=0.4,
        )
    )


@pytest.fixture
async def own(own_valkey: Valkey) -> AsyncIterator[RedisClient]:
    link = linked(own_valkey.url)
    yield link
    await link.close()


@pytest.fixture
def link(redis: "Redis") -> RedisClient:
    return link_to(redis)


async def test_a_script_that_redis_forgot_is_loaded_again(link: RedisClient, redis: "Redis") -> None:
    for _ in range(2):
        await redis.script_flush()
        assert await link.call(READ_SIDES, KEYS, ["9200000001"]) == [b"not_cached", b"", []]


async def test_a_pipeline_answers_in_order(link: RedisClient) -> None:
    assert await link.pipeline([("SET", "a", 1), ("GET", "a"), ("GET", "b")]) == [b"OK", b"1", None]


async def test_every_reply_reaches_its_own_caller(link: RedisClient) -> None:
    replies = await asyncio.gather(*(link.command("ECHO", str(n)) for n in range(500)))
    assert replies == [str(n).encode() for n in range(500)]


async def test_what_is_requested_before_a_flush_leaves_in_the_same_write(own: RedisClient) -> None:
    await own.command("PING")
    writes: list[bytes] = []
    connection = own._connection
    assert connection is not None
    assert connection._transport is not None
    transport = connection._transport
    replies: list[Any] = []
    connection._transport = cast("asyncio.Transport", SimpleNamespace(write=writes.append, abort=transport.abort))
    connection._fd = NO_FD
    own.before_flush = lambda: own.request_command(replies.append, "ECHO", "later")
    first = own.command("ECHO", "first")
    await asyncio.sleep(0)
    assert len(writes) == 1
    connection._transport = transport
    transport.write(writes[0])
    own.before_flush = lambda: None
    assert await first == b"first"
    await own.command("PING")
    assert replies == [b"later"]


@pytest.mark.parametrize(("waiting", "writes_out"), [(WORTH_A_WRITE - 1, False), (WORTH_A_WRITE, True)])
async def test_what_is_worth_a_write_leaves_before_the_tick_ends(
    own: RedisClient, waiting: int, *, writes_out: bool
) -> None:
    await own.command("PING")
    connection = own._connection
    assert connection is not None
    requested: list[int] = []
    own.before_flush = lambda: requested.append(1)
    answers = [own.command("ECHO", str(n)) for n in range(waiting)]
    own.hand_over()
    assert (not connection._unwritten, bool(requested)) == (writes_out, writes_out)
    answers.append(own.command("ECHO", "later"))
    assert await asyncio.gather(*answers) == [*(str(n).encode() for n in range(waiting)), b"later"]


async def test_nothing_is_handed_over_without_a_connection() -> None:
    linked("redis://127.0.0.1:1").hand_over()


async def test_a_failing_callback_before_a_flush_does_not_hold_up_the_commands(own: RedisClient) -> None:
    def fail() -> None:
        raise ValueError

    own.before_flush = fail
    with capture_logs() as logs:
        assert await own.command("PING") == b"PONG"
    assert [line["event"] for line in logs] == ["a callback before a write to Redis failed"]


async def test_a_cancelled_caller_does_not_shift_the_replies_of_others(link: RedisClient) -> None:
    await link.command("PING")
    gone = asyncio.ensure_future(link.command("ECHO", "mine"))
    other = asyncio.ensure_future(link.command("ECHO", "other"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await other == b"other"


async def test_a_wrong_command_is_not_reported_as_unavailable(link: RedisClient, redis: "Redis") -> None:
    await redis.set("a", 1)
    with pytest.raises(CommandFailed, match="WRONGTYPE"):
        await link.command("HGET", "a", "b")
    with pytest.raises(CommandFailed, match="BUSYGROUP"):
        await link.pipeline([("XGROUP", "CREATE", "s", "g", 0, "MKSTREAM")] * 2)


async def test_a_command_without_a_reply_arrives_and_its_failure_harms_no_other(
    link: RedisClient, redis: "Redis"
) -> None:
    link.send("SET", "a", 1)
    link.send("HGET", "a", "b")
    assert await link.command("GET", "a") == b"1"


async def test_a_redis_that_does_not_listen_is_unavailable(tmp_path: Path) -> None:
    link = linked(f"unix://{tmp_path / 'none.sock'}")
    started = time.monotonic()
    for work in (link.command("PING"), link.call(READ_SIDES, KEYS, ["x"]), link.pipeline([("PING",)])):
        with pytest.raises(ApiError, match="unavailable"):
            await work
    assert time.monotonic() - started < patient(3 * (0.4 + module.CHECK_SECONDS + 0.2))
    await link.close()


async def test_a_redis_that_does_not_answer_is_unavailable_within_the_limits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        link = linked(f"redis://127.0.0.1:{deaf.getsockname()[1]}")
        started = time.monotonic()
        answers = await asyncio.gather(*(link.command("PING") for _ in range(3)), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["unavailable"] * 3
        assert time.monotonic() - started < patient(0.4 + 0.4 + 2 * module.CHECK_SECONDS + 0.2)
        await link.close()


async def test_a_lost_connection_fails_pending_commands_and_later_ones_reconnect(own: RedisClient) -> None:
    mine = await own.command("CLIENT", "ID")
    blocked = asyncio.ensure_future(own.command("BLPOP", "never", 0))
    await asyncio.sleep(0.05)
    killer = linked_to_same(own)
    await killer.command("CLIENT", "KILL", "ID", mine)
    with pytest.raises(ApiError, match="unavailable"):
        await blocked
    assert await own.command("PING") == b"PONG"
    assert await own.command("CLIENT", "ID") != mine
    await killer.close()


def linked_to_same(other: RedisClient) -> RedisClient:
    return linked(f"unix://{other._address.path}")


async def test_a_restart_is_survived(own: RedisClient, own_valkey: Valkey) -> None:
    await own.command("SET", "a", 1)
    own_valkey.kill()
    with pytest.raises(ApiError, match="unavailable"):
        await own.command("GET", "a")
    own_valkey.start()
    assert await own.command("GET", "a") == b"1"
    assert await own.call(READ_SIDES, KEYS, ["9200000001"]) == [b"not_cached", b"", []]


async def test_commands_sent_before_redis_is_there_run_when_it_comes(own_valkey: Valkey) -> None:
    own = linked(own_valkey.url, connect_seconds=30)
    own_valkey.kill()
    early = [asyncio.ensure_future(own.command("RPUSH", "list", n)) for n in range(20)]
    await asyncio.sleep(0.05)
    own_valkey.start()
    assert await asyncio.gather(*early) == list(range(1, 21))
    assert await own.command("LRANGE", "list", 0, -1) == [str(n).encode() for n in range(20)]
    await own.close()


async def test_pending_commands_are_bounded(own: RedisClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    answers = await asyncio.gather(*(own.command("PING") for _ in range(4)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["b'PONG'", "b'PONG'", "unavailable", "unavailable"]
    assert await own.command("PING") == b"PONG"


async def test_it_is_healthy_when_connected_with_little_pending(
    own: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 8)
    assert not own.is_healthy
    await own.command("PING")
    assert own.is_healthy
    first = own.command("PING")
    assert own.is_healthy
    second = own.command("PING")
    assert not own.is_healthy
    await asyncio.gather(first, second)
    assert own.is_healthy


async def test_it_logs_in_and_selects_a_database_first(own_valkey: Valkey) -> None:
    async with Redis.from_url(own_valkey.url) as admin:
        await admin.config_set("requirepass", "let-me-in")
        named = linked(own_valkey.url.replace("unix://", "unix://:let-me-in@").replace("db=0", "db=3"))
        await named.command("SET", "a", 1)
        assert (await admin.info("keyspace"))["db3"]["keys"] == 1
        wrong = linked(own_valkey.url.replace("unix://", "unix://:wrong@"))
        with pytest.raises(ApiError, match="unavailable"):
            await wrong.command("PING")
        await admin.config_set("requirepass", "")
        await named.close()
        await wrong.close()


async def test_a_redis_without_memory_is_storage_full(link: RedisClient, redis: "Redis") -> None:
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(ApiError, match="storage_full"):
            await link.command("SET", "a", "1")
    finally:
        await redis.config_set("maxmemory", "0")


async def test_closing_fails_pending_commands(own: RedisClient) -> None:
    await own.command("PING")
    waiting = asyncio.ensure_future(own.command("BLPOP", "never", 0))
    await asyncio.sleep(0.05)
    await own.close()
    with pytest.raises(ApiError, match="unavailable"):
        await waiting


@pytest.mark.parametrize("code", ["READONLY x", "MISCONF x", "LOADING x", "NOREPLICAS x", "BUSY Redis is busy"])
async def test_these_error_codes_mean_unavailable(link: RedisClient, code: str) -> None:
    with pytest.raises(ApiError, match="unavailable"):
        await link.command("EVAL", "return redis.error_reply(ARGV[1])", 0, code)
