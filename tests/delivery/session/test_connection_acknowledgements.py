"""Chats and acknowledgements on a real Redis: what is left there when it breaks in between."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.mailbox import Mailbox
from delivery.redis.client import RedisClient
from protocol.dialects import V1, Seed
from tests.support.messaging import (
    ASHA,
    EVE,
    RAVI,
    HandConnection,
    Held,
    OneServer,
    Row,
    Who,
    ashas_connection,
    locked,
    until,
)
from tools.devstack.valkey import Valkey

LEASES, DEAD_LETTERS = f"leases:{{{RAVI}}}", f"parked:{{{RAVI}}}"
DIALECTS = pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])


@DIALECTS
@pytest.mark.parametrize("broken", ["mailbox", "tally", "seen", "leases", "blockedUser"])
async def test_a_broken_key_of_one_user_is_an_error_for_what_is_for_them_and_nothing_else(
    redis: "Redis", dialect: V1 | Seed, broken: str
) -> None:
    one = await HandConnection(redis, dialect).begin()
    for to in (ASHA, EVE):
        one.put("m-0", to=to)
    one.end_batch()
    await until(lambda: one.server.waiting(EVE))
    key = f"{broken}:{{{ASHA}}}"
    await redis.delete(key)
    await redis.rpush(key, "oops")
    names = [f"m-{n}" for n in range(1, 70)]
    with capture_logs() as logs:
        for name in names:
            one.put(name)
            one.put(name, to=EVE)
        one.end_batch()
        await until(lambda: len(one.socket.of("error")) == len(names))
    errors = [(frame["code"], frame["messageId"], frame["retryable"]) for frame in one.socket.of("error")]
    assert errors == [("internal", name, True) for name in names]
    await until(lambda: one.connection.is_full is False)
    assert await one.server.waiting(EVE) == ["m-0", *names]
    assert one.socket.closes == []
    assert len([line for line in logs if line["log_level"] == "error"]) == 1, "once, not once for each chat"


async def test_an_acknowledgement_that_fails_counts_again_when_redis_is_back(
    own_link: RedisClient, own_valkey: Valkey
) -> None:
    one = await HandConnection(own_link).begin()
    ids = [await one.hear(f"m-{n}") for n in range(2)]
    await asyncio.to_thread(own_valkey.kill)
    one.ack(*ids)
    one.read("m-0")
    await until(lambda: len(one.socket.of("error")) == 2)
    assert [(frame["code"], frame["component"]) for frame in one.socket.of("error")] == [("unavailable", "ack")] * 2
    await asyncio.to_thread(own_valkey.start)
    one.ack(*ids)
    await until(lambda: one.has_waiting(0))
    assert await one.server.receipts() == [(RAVI, "delivered", ["m-0", "m-1"])]
    one.connection.handle_lost(1000, "")
    await one.over()


async def test_redis_killed_between_receipt_and_settling_loses_neither(
    own_link: RedisClient, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await HandConnection(own_link).begin()
    await one.server.people.load(ASHA)
    ids = [await one.hear(f"m-{n}") for n in range(2)]
    store = Mailbox.store_receipt

    def and_then_killed(mailbox: Mailbox, *args: Any) -> None:
        *given, then = args

        def stored(result: Any) -> None:
            own_valkey.kill()
            then(result)

        store(mailbox, *given, stored)

    monkeypatch.setattr(Mailbox, "store_receipt", and_then_killed)
    with capture_logs() as logs:
        one.ack(*ids)
        await until(lambda: "entries could not be settled" in [line["event"] for line in logs])
    await asyncio.to_thread(own_valkey.start)
    await until(lambda: one.has_waiting(0))
    assert await one.server.receipts() == [(RAVI, "delivered", ["m-0", "m-1"])]
    assert one.chats() == ["m-0", "m-1"], "pending in Redis, and not to be sent again"


async def test_a_script_that_fails_refuses_the_acknowledgement_and_settles_nothing(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    ids = [await one.hear(f"m-{n}") for n in range(2)]
    async with locked(redis, f"~*{{{RAVI}}}*"):
        one.ack(*ids)
        one.read("m-0")
        await until(lambda: len(one.socket.of("error")) == 2)
    assert [(frame["code"], frame["component"]) for frame in one.socket.of("error")] == [("internal", "ack")] * 2
    assert one.socket.closes == [], "that is no reason to end the connection"
    assert await one.has_waiting(2)
    assert await one.server.receipts() == []


async def test_a_break_between_receipt_and_settling_repeats_the_receipt_and_loses_none(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    ids = [await one.hear(f"m-{n}") for n in range(2)]
    async with locked(redis, f"~*{{{ASHA}}}* ~seen:{{{RAVI}}}* ~parked:{{{RAVI}}} ~phantoms:{{{RAVI}}}"):
        one.ack(*ids)
        await until(one.server.receipts)
        one.connection.handle_lost(1006, "")
        await one.over()
    assert await one.has_waiting(2)
    await redis.delete(LEASES)  # it could not be released either
    again = await HandConnection(OneServer(redis, "s2")).begin()
    assert again.chats() == ["m-0", "m-1"]
    again.ack(*ids)
    await until(lambda: again.has_waiting(0))
    assert await one.server.receipts() == [(RAVI, "delivered", ["m-0", "m-1"])] * 2


async def test_the_sender_is_notified_of_a_receipt_though_its_note_failed(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    asha = await ashas_connection(one)
    (stream_id,) = [await one.hear("m-1")]
    async with locked(redis, f"~*{{{ASHA}}}*"):
        one.ack(stream_id)
        await until(lambda: asha.socket.of("ack"))


async def test_an_acknowledgement_of_a_chat_whose_sender_is_gone_settles_it_all_the_same(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    stream_id = await one.hear("m-1")
    del one.server.rows[ASHA]
    await redis.delete(f"person:{{{ASHA}}}")
    one.ack(stream_id)
    await until(lambda: one.has_waiting(0))
    assert await one.server.entries(ASHA) == []


async def test_a_read_is_told_once_and_settles(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    for n in range(3):
        await one.hear(f"m-{n}")
    for _ in range(2):
        one.read("m-0", "m-1", "unknown")
        await until(lambda: one.has_waiting(1))
    one.read("m-2", sender=EVE)
    await asyncio.sleep(0.1)
    assert await one.server.receipts() == [(RAVI, "read", ["m-0", "m-1"])]
    assert await one.server.receipts(EVE) == [], "they are not Eve's"


async def test_a_break_between_the_receipt_of_a_reading_and_its_mark_repeats_the_receipt(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    await one.hear("m-1")
    words = ("seen", "blockedUser", "person", "mailbox", "parked", "answered")  # all but the tally
    async with locked(redis, f"~*{{{ASHA}}}* " + " ".join(f"~{word}:*" for word in words)):
        one.read("m-1")
        await until(lambda: one.socket.of("error"))
    one.read("m-1")
    await until(lambda: one.has_waiting(0))
    assert await one.server.receipts() == [(RAVI, "read", ["m-1"])] * 2


async def test_a_blocked_sender_is_told_of_no_reading(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    await one.hear("m-1")
    await one.server.people.replace_rules(RAVI, Row(Who.account_id, 1, {ASHA: 1}))
    one.read("m-1")
    await asyncio.sleep(0.1)
    assert await one.server.receipts() == []


async def test_with_two_devices_a_tick_does_not_go_back(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    phone = await HandConnection(redis, who=Who("phone")).begin()
    tablet = await HandConnection(phone.server, who=Who("tablet")).begin()
    stream_id = await phone.hear("m-1")
    await until(lambda: tablet.chats() == ["m-1"])
    marks = Held(monkeypatch, "mark_read")
    phone.read("m-1")
    await until(lambda: marks.calls)
    tablet.ack(stream_id)
    await asyncio.sleep(0.1)
    marks.release()
    await until(lambda: tablet.socket.of("ownRead"))
    tablet.ack(tablet.socket.of("ownRead")[0]["streamId"])
    await until(lambda: phone.has_waiting(0))
    assert not phone.socket.of("ownRead")
    assert await phone.server.receipts() == [(RAVI, "read", ["m-1"])]
