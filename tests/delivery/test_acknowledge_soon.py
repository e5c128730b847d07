"""Receipts told as answers come in, on a real Redis."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from delivery.mailbox import Unloaded
from delivery.messenger import MOST
from delivery.notifications import Notifications
from delivery.presence import Holder
from delivery.redis.client import RedisClient
from protocol.errors import ApiError
from tests.delivery.one_server import ASHA, RAVI, OneServer, until
from tests.delivery.test_messenger import HOLDER, locked, receipts


async def told(server: OneServer, message_ids: list[str]) -> Exception | None:
    """What whoever asked is told; exactly once."""
    heard: list[Exception | None] = []
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def then(error: Exception | None) -> None:
        heard.append(error)
        if not answer.done():
            answer.set_result(None)

    server.messenger.acknowledge_soon(HOLDER, ASHA, message_ids, then)
    assert heard == [], "never before it returns"
    await answer
    await asyncio.sleep(0.02)
    (error,) = heard
    return error


async def test_each_part_of_thousands_is_a_receipt_and_all_are_told_of_once(redis: "Redis") -> None:
    server = OneServer(redis)
    await server.people.load(ASHA)
    names = [f"m-{n}" for n in range(2 * MOST + 1)]
    assert await told(server, names) is None
    parts = [ids for _, _, ids in await receipts(server)]
    assert [len(ids) for ids in parts] == [MOST, MOST, 1]
    assert [name for ids in parts for name in ids] == names


async def test_a_sender_whom_redis_does_not_know_is_left_to_the_slow_way(redis: "Redis") -> None:
    server = OneServer(redis)
    assert isinstance(await told(server, ["m-1"]), Unloaded)
    assert await receipts(server) == []
    await server.messenger.acknowledge(HOLDER, ASHA, ["m-1"])
    assert await receipts(server) == [(RAVI, "delivered", ["m-1"])]


async def test_a_note_that_failed_is_told_also_of_a_sender_whom_redis_does_not_know(redis: "Redis") -> None:
    server = OneServer(redis)
    async with locked(redis, f"~*{{{ASHA}}}*"):
        assert isinstance(await told(server, ["m-1"]), ResponseError)


@pytest.mark.parametrize("asks", [1, 2 * MOST])
async def test_without_redis_it_is_refused_once(away: RedisClient, asks: int) -> None:
    answer = await told(OneServer(away), [f"m-{n}" for n in range(asks)])
    assert isinstance(answer, ApiError)
    assert answer.code == "unavailable"


async def test_a_ring_that_fails_leaves_nobody_waiting(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    server = OneServer(redis)
    await server.messenger.connect(Holder(ASHA, "primary", "s1", "c2"), f"account of {ASHA}")

    def fail(mobile: str, stream_id: str) -> None:
        raise ValueError(mobile)

    monkeypatch.setattr(server, "_ring", fail)
    server.messenger = server.with_notifications(Notifications(server.link, "s1", server.settings, server.handlers()))
    with capture_logs() as logs:
        assert await told(server, ["m-1"]) is None
        sent: list[Any] = []
        server.messenger.send_soon(RAVI, ASHA, [("m-2", "hello")], sent.append)
        await until(lambda: sent)
    assert isinstance(sent[0], list)
    assert [each["event"] for each in logs] == ["the callback of a Redis reply failed"] * 2
