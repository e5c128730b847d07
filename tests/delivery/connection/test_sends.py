"""Chats on their way into mailboxes of a real Redis: order, company, and one answer each."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.connection import sends as module
from delivery.connection.sends import MOST, Sends
from delivery.redis.client import RedisClient
from delivery.user_records import Record
from protocol.dialects import V1, Seed
from tests.delivery.desk import CallGate, Desk, Gate
from tests.delivery.one_server import ASHA, EVE, RAVI, OneServer, until

NOBODY = "9999999999"


class Scene:
    """What Ravi says, and where it goes."""

    def __init__(self, redis: "Redis | RedisClient", dialect: V1 | Seed | None = None, **knobs: Any) -> None:
        self.server = OneServer(redis, **knobs)
        self.desk = Desk()
        self.sends = Sends(self.desk, RAVI, dialect or V1(), self.server.messenger)

    def put(self, to: str, *message_ids: str) -> None:
        for message_id in message_ids:
            self.sends.put(to, message_id, "hello")
        self.sends.go()

    async def idle(self) -> None:
        await until(lambda: self.sends.pending == 0)
        await self.desk.idle()

    async def waits(self, mobile: str) -> list[str]:
        """The messageIds in a mailbox, oldest first."""
        stream = await self.server.link.command("XRANGE", f"mailbox:{{{mobile}}}", "-", "+")
        return [fields[5].decode() for _, fields in stream]

    def answers(self) -> list[tuple[str, str]]:
        return [(frame["type"], frame["messageId"]) for frame in self.desk.frames]


def names(count: int) -> list[str]:
    return [f"m-{n}" for n in range(count)]


def batches(gate: CallGate) -> list[tuple[str, int]]:
    """To whom, and how many chats, of each deposit asked for."""
    return [(to, len(chats)) for _, to, chats, _ in gate.calls]


async def test_a_chat_is_stored_and_answered_with_its_time(redis: "Redis") -> None:
    scene = Scene(redis)
    scene.put(ASHA, "m-1")
    assert scene.sends.pending == 1
    await scene.idle()
    ((stream_id, _),) = await redis.xrange(f"mailbox:{{{ASHA}}}")
    timestamp = int(stream_id.partition(b"-")[0])
    assert scene.desk.frames == [{"type": "sent", "messageId": "m-1", "to": ASHA, "timestamp": timestamp}]
    assert scene.sends.pending == 0


async def test_a_pair_stays_in_order_when_the_first_deposit_is_slow_and_the_rest_goes_together(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(redis)
    gate = CallGate(monkeypatch, scene.server.messenger, "send_soon")
    for name in names(10):
        scene.put(ASHA, name)
        await asyncio.sleep(0)
    assert batches(gate) == [(ASHA, 1)], "one deposit at a time"
    assert scene.sends.pending == 10
    gate.open()
    await scene.idle()
    assert batches(gate) == [(ASHA, 1), (ASHA, 9)]
    assert await scene.waits(ASHA) == names(10)
    assert scene.answers() == [("sent", name) for name in names(10)]
    assert scene.sends.pending == 0


async def test_a_pair_stays_in_order_when_the_recipient_must_be_loaded_first(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(redis)
    gate = Gate(monkeypatch, scene.server.people, "load")
    scene.put(ASHA, "m-0")
    await until(lambda: gate.calls)  # Redis has said that it does not know Asha
    scene.put(ASHA, *names(3)[1:])
    await scene.server.people.replace_blocks(ASHA, f"account of {ASHA}", 1, [])  # meanwhile somebody else loads her
    await asyncio.sleep(0.05)
    assert await scene.waits(ASHA) == []
    gate.open()
    await scene.idle()
    assert await scene.waits(ASHA) == names(3)
    assert scene.answers() == [("sent", name) for name in names(3)]


async def test_recipients_do_not_wait_for_each_other(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(redis)
    opened = asyncio.Event()
    find = scene.server.people.find

    async def slow_for_asha(mobile: str) -> Record | None:
        if mobile == ASHA:
            await opened.wait()
        return await find(mobile)

    monkeypatch.setattr(scene.server.people, "find", slow_for_asha)
    scene.put(ASHA, "m-0")
    scene.put(EVE, "m-1", "m-2")
    await until(lambda: len(scene.answers()) == 2)
    assert scene.answers() == [("sent", "m-1"), ("sent", "m-2")]
    assert (await scene.waits(ASHA), scene.sends.pending) == ([], 1)
    opened.set()
    await scene.idle()
    assert await scene.waits(ASHA) == ["m-0"]


async def test_no_more_than_so_many_go_together(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(redis)
    gate = CallGate(monkeypatch, scene.server.messenger, "send_soon")
    count = 2 * MOST + 3
    scene.put(ASHA, *names(count))
    gate.open()
    await scene.idle()
    assert batches(gate) == [(ASHA, MOST), (ASHA, MOST), (ASHA, 3)]
    assert await scene.waits(ASHA) == names(count)
    assert scene.answers() == [("sent", name) for name in names(count)]


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_every_chat_is_answered_once_also_the_same_one_twice(redis: "Redis", dialect: V1 | Seed) -> None:
    scene = Scene(redis, dialect)
    scene.put(ASHA, "m-0", "m-1", "m-0")
    await asyncio.sleep(0)
    scene.put(ASHA, "m-1", "m-2")
    scene.put(EVE, "m-0")
    await scene.idle()
    assert Counter(frame["messageId"] for frame in scene.desk.frames) == {"m-0": 3, "m-1": 2, "m-2": 1}
    assert (await scene.waits(ASHA), await scene.waits(EVE)) == (names(3), ["m-0"])
    assert scene.sends.pending == 0


async def test_a_full_mailbox_refuses_by_name_those_it_has_no_room_for(redis: "Redis") -> None:
    scene = Scene(redis, mailbox_limit=2)
    scene.put(ASHA, *names(4), "m-0")
    await scene.idle()
    assert scene.answers() == [("sent", "m-0"), ("sent", "m-1"), ("error", "m-2"), ("error", "m-3"), ("sent", "m-0")]
    refused = [frame for frame in scene.desk.frames if frame["type"] == "error"]
    assert [(frame["code"], frame["component"], frame["retryable"]) for frame in refused] == [
        ("mailbox_full", "chat", True)
    ] * 2
    assert scene.sends.pending == 0


async def test_chats_to_nobody_are_refused_by_name_and_spoil_no_others(redis: "Redis") -> None:
    scene = Scene(redis)
    scene.put(NOBODY, *names(3))
    scene.put(ASHA, "m-9")
    await scene.idle()
    refused = [frame for frame in scene.desk.frames if frame["type"] == "error"]
    assert [(frame["code"], frame["messageId"]) for frame in refused] == [("no_such_person", name) for name in names(3)]
    assert await scene.waits(ASHA) == ["m-9"]
    assert scene.sends.pending == 0


async def test_without_redis_every_chat_is_refused_by_name_and_one_that_comes_later_is_tried(
    away: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    scene = Scene(away)
    scene.put(ASHA, *names(3))
    await scene.idle()
    scene.put(ASHA, "m-3")
    await scene.idle()
    assert [(frame["code"], frame["messageId"]) for frame in scene.desk.frames] == [
        ("unavailable", name) for name in names(4)
    ]
    assert scene.sends.pending == 0


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_another_text_under_a_known_message_id_is_refused_by_name(redis: "Redis", dialect: V1 | Seed) -> None:
    scene = Scene(redis, dialect)
    for message_id, message in (("1", "first"), ("1", "second"), ("2", "other")):
        scene.sends.put(ASHA, message_id, message)
    scene.sends.go()
    await scene.idle()
    scene.sends.put(ASHA, "1", "third")
    scene.sends.put(ASHA, "1", "first")
    scene.sends.go()
    await scene.idle()
    refused = [frame for frame in scene.desk.frames if frame["type"] == "error"]
    assert [(frame["code"], frame["messageId"], frame["retryable"]) for frame in refused] == [
        ("message_id_reused", "1", False)
    ] * 2
    assert [frame["messageId"] for frame in scene.desk.frames if frame["type"] != "error"] == ["1", "2", "1"]
    assert await scene.waits(ASHA) == ["1", "2"]
    assert scene.sends.pending == 0


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
@pytest.mark.parametrize("broken", ["mailbox", "tally", "seen", "leases", "blockedUser"])
async def test_a_broken_key_of_one_person_is_a_refusal_of_what_is_for_them(
    redis: "Redis", dialect: V1 | Seed, broken: str
) -> None:
    scene = Scene(redis, dialect)
    scene.put(ASHA, "m-0")
    scene.put(EVE, "m-0")
    await scene.idle()
    scene.desk.frames.clear()
    key = f"{broken}:{{{ASHA}}}"
    await redis.delete(key)
    await redis.rpush(key, "oops")
    with capture_logs() as logs:
        for name in names(MOST + 5)[1:]:
            scene.sends.put(ASHA, name, "hello")
            scene.sends.put(EVE, name, "hello")
        scene.sends.go()
        await scene.idle()
    refused = [frame for frame in scene.desk.frames if frame["type"] == "error"]
    assert [(frame["code"], frame["messageId"], frame["retryable"]) for frame in refused] == [
        ("internal", name, True) for name in names(MOST + 5)[1:]
    ]
    assert await scene.waits(EVE) == names(MOST + 5)
    assert (scene.desk.errors, scene.sends.pending) == ([], 0)
    assert len([line for line in logs if line["log_level"] == "error"]) == 1, "once, not once for each chat"
    await redis.delete(key)
    scene.desk.frames.clear()
    scene.put(ASHA, "m-99")
    await scene.idle()
    assert scene.answers()[0][0] != "error"


@pytest.mark.parametrize("unloaded", [True, False], ids=["on the road through PostgreSQL", "on the short one"])
async def test_nothing_is_pending_after_a_failure_of_our_own_and_the_next_chat_goes(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch, unloaded: bool
) -> None:
    scene = Scene(redis)
    if not unloaded:
        scene.put(ASHA, "m-0")
        await scene.idle()
        scene.desk.frames.clear()
    bug = ValueError("a bug")

    async def fail(*_: Any) -> None:
        raise bug

    def fail_soon(*args: Any) -> None:
        asyncio.get_running_loop().call_soon(args[-1], bug)

    with monkeypatch.context() as broken:
        if unloaded:
            broken.setattr(scene.server.messenger, "send", fail)
        else:
            broken.setattr(scene.server.messenger, "send_soon", fail_soon)
        scene.put(ASHA, *names(MOST + 5))
        await scene.idle()
    assert scene.desk.errors == [bug], "the connection ends by it"
    assert (scene.sends.pending, scene.desk.frames) == (0, [])
    scene.put(ASHA, "m-1")
    await scene.idle()
    assert scene.answers() == [("sent", "m-1")]
    assert scene.sends.pending == 0


async def test_nothing_leaves_before_it_is_told_to_go(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(redis)
    gate = CallGate(monkeypatch, scene.server.messenger, "send_soon")
    for name in names(3):
        scene.sends.put(ASHA, name, "hello")
    assert gate.calls == []
    scene.sends.go()
    scene.sends.go()
    assert batches(gate) == [(ASHA, 3)]


async def test_what_is_dropped_is_neither_stored_nor_answered(redis: "Redis") -> None:
    scene = Scene(redis)
    scene.put(ASHA, "m-0")
    scene.sends.put(ASHA, "m-1", "hello")
    scene.sends.put(EVE, "m-2", "hello")
    scene.sends.drop()
    scene.sends.go()
    await scene.idle()
    assert scene.answers() == [("sent", "m-0")]
    assert (await scene.waits(ASHA), await scene.waits(EVE)) == (["m-0"], [])
    assert (scene.sends.pending, scene.sends.characters) == (0, 0)
