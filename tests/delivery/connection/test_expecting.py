"""Reads that leave behind what is being stored, instead of waiting to be rung for it."""

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.connection.carrier import Carrier
from delivery.mailbox import Mailbox
from delivery.presence import Holder
from delivery.redis.client import RedisClient, resolve
from tests.delivery.connection.by_hand import Line
from tests.delivery.one_server import ASHA, EVE, RAVI, until
from tools.devstack.valkey import Valkey

ASHAS = Holder(ASHA, "primary", "s1", "c-asha")


class Deaf(Line):
    """Nobody rings: what arrives was read because it was expected."""

    async def begin(self) -> "Deaf":
        await self.server.people.load(RAVI)
        # A script that Redis does not know yet is given to it, and run behind the read that was to follow it.
        await self.server.send(RAVI, ASHA, "m-0")
        await self.server.messenger.acknowledge(ASHAS, EVE, ["m-0"])
        await super().begin()
        self.server.hub.ring = lambda mobile, stream_id: None  # type: ignore[method-assign]
        return self

    def deposit(self, *message_ids: str, sender: str = ASHA) -> "asyncio.Future[Any]":
        """Chats for Ravi are on their way; their streamIds."""
        stored: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        chats = [(message_id, "hello") for message_id in message_ids]
        self.server.messenger.send_soon(sender, RAVI, chats, lambda answer: resolve(stored, answer))
        return stored

    def heard(self) -> list[str]:
        return [frame["messageId"] for frame in self.socket.of("chat")]


class Reads:
    """Counts how often new entries are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        collect = Mailbox.collect_soon

        def counting(mailbox: Mailbox, *args: Any) -> None:
            self.count += 1
            collect(mailbox, *args)

        monkeypatch.setattr(Mailbox, "collect_soon", counting)


async def test_a_chat_for_somebody_who_is_here_comes_with_its_own_storing(redis: "Redis") -> None:
    line = await Deaf(redis).begin()
    (stream_id,) = await line.deposit("m-1")
    await until(lambda: line.heard() == ["m-1"])
    assert line.socket.of("chat")[0]["streamId"] == stream_id


async def test_a_receipt_for_somebody_who_is_here_comes_with_its_own_storing(redis: "Redis") -> None:
    line = await Deaf(redis).begin()
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    line.server.messenger.acknowledge_soon(ASHAS, RAVI, ["m-1", "m-2"], lambda error: resolve(told, error))
    await told
    await until(lambda: line.socket.of("ack"))
    assert line.socket.of("ack")[0]["messageIds"] == ["m-1", "m-2"]


async def test_what_is_stored_while_a_read_is_on_its_way_is_read_after_it(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line, reads = await Deaf(redis).begin(), Reads(monkeypatch)
    first, second, third = line.deposit("m-1"), line.deposit("m-2"), line.deposit("m-3", sender=EVE)
    assert reads.count == 1
    await asyncio.gather(first, second, third)
    await until(lambda: line.heard() == ["m-1", "m-2", "m-3"])
    await asyncio.sleep(0.05)
    assert reads.count == 2


async def test_a_ring_for_what_was_expected_reads_nothing_more(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    line = await Line(redis).begin()
    await line.hear("m-0")  # Redis knows the scripts
    line.server.rung.clear()
    reads = Reads(monkeypatch)
    line.server.messenger.send_soon(ASHA, RAVI, [("m-1", "hello")], lambda answer: None)
    await until(lambda: len(line.socket.of("chat")) == 2)
    await asyncio.sleep(0.05)
    assert [mobile for mobile, _ in line.server.rung] == [RAVI]
    assert reads.count == 1


async def test_what_was_expected_of_a_blocked_sender_is_read_for_in_vain_and_once(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line, reads = await Line(redis).begin(), Reads(monkeypatch)
    await line.server.people.replace_blocks(RAVI, f"account of {RAVI}", 1, [ASHA])
    line.server.messenger.send_soon(ASHA, RAVI, [("m-1", "hello")], lambda answer: None)
    await asyncio.sleep(0.1)
    assert (line.socket.of("chat"), reads.count) == ([], 1)
    await line.hear("m-2", EVE)


async def test_nothing_is_read_ahead_of_what_waited(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    line, reads = Line(redis), Reads(monkeypatch)
    for n in range(3):
        await line.server.send(ASHA, RAVI, f"old-{n}")
    begin = Carrier.begin

    def begin_and_expect(carrier: Carrier, newest: str) -> None:
        begin(carrier, newest)
        carrier.expect()

    monkeypatch.setattr(Carrier, "begin", begin_and_expect)
    line.connection.start()
    line.connection.expect()
    await until(lambda: line.socket.of("synced"))
    assert [frame["mode"] for frame in line.socket.of("chat")] == ["offline"] * 3
    assert line.socket.frames[-1]["type"] == "synced"
    assert reads.count == 0


async def test_a_full_window_expects_nothing_until_there_is_room(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await Deaf(redis, window=2).begin()
    await line.deposit("m-1", "m-2")
    await until(lambda: len(line.heard()) == 2)
    reads = Reads(monkeypatch)
    await line.deposit("m-3")
    await asyncio.sleep(0.05)
    assert reads.count == 0
    ids = [frame["streamId"] for frame in line.socket.of("chat")]
    line.ear.handle_message(json.dumps({"type": "ack", "ackType": "delivered", "streamIds": ids[:1]}))
    await until(lambda: line.heard() == ["m-1", "m-2", "m-3"])


async def test_after_the_end_nothing_is_expected(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    line, reads = await Line(redis).begin(), Reads(monkeypatch)
    line.ear.handle_lost(1006, "")
    line.connection.expect()
    await line.over()
    line.connection.expect()
    assert reads.count == 0


async def test_without_redis_nothing_is_expected(
    own_link: RedisClient, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, reads = await Line(own_link).begin(), Reads(monkeypatch)
    await asyncio.to_thread(own_valkey.kill)
    await until(lambda: not line.server.mailbox.is_healthy)
    told: list[Any] = []
    line.server.messenger.send_soon(ASHA, RAVI, [("m-1", "hello")], told.append)
    line.server.messenger.acknowledge_soon(ASHAS, RAVI, ["m-2"], told.append)
    assert reads.count == 0
    await until(lambda: len(told) == 2)
    assert reads.count == 0


async def test_who_fails_as_he_expects_is_no_business_of_whoever_sends(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await Line(redis).begin()
    await line.hear("m-0")

    def fail() -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Carrier, "expect", lambda carrier: fail())
    with capture_logs() as logs:
        await line.hear("m-1")  # it was rung for
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        line.server.messenger.send_soon(ASHA, RAVI, [("m-2", "hello")], lambda answer: resolve(told, answer))
        assert len(await told) == 1
    assert [each["event"] for each in logs] == ["somebody could not expect anything"]
    await until(lambda: len(line.socket.of("chat")) == 3)
