"""One connection between a socket made by hand and a real Redis: its beginning, its ends, and what it waits for."""

import asyncio
import gc
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.connection.acks import Acks
from delivery.connection.carrier import Carrier
from delivery.connection.confirmations import Confirmations
from delivery.connection.connection import Connection
from delivery.connection.ear import Ear
from delivery.connection.handover import Handover
from delivery.connection.inbound import Inbound
from delivery.connection.lease import Lease
from delivery.connection.sends import Sends
from delivery.connection.settles import Settles
from delivery.presence import Claimed, Holder
from delivery.redis.client import RedisClient
from protocol.dialects import V1, Seed
from protocol.errors import LOGGED_OUT, REPLACED
from tests.delivery.connection.by_hand import LEASES, Line, Who, pending
from tests.delivery.desk import CallGate, Gate
from tests.delivery.one_server import ASHA, RAVI, until
from tests.delivery.test_messenger import mailbox_of, receipts
from tools.devstack.valkey import Valkey


async def test_the_greeting_comes_first_then_the_backlog_then_the_rest(redis: "Redis") -> None:
    line = Line(redis)
    for n in range(3):
        await line.server.send(ASHA, RAVI, f"m-{n}")
    await line.begin()
    await line.hear("m-3")
    assert [frame["type"] for frame in line.socket.frames] == ["hello", "chat", "chat", "chat", "synced", "chat"]
    assert [frame["mode"] for frame in line.socket.of("chat")] == ["offline"] * 3 + ["online"]
    hello = line.socket.frames[0]
    assert (hello["serverId"], hello["deviceId"], hello["mobileNo"]) == ("s1", "primary", RAVI)
    assert hello["connectionId"] == line.connection.connection_id
    assert (line.connection.mobile, line.connection.session_id) == (RAVI, "session-1")
    assert line.server.hub.members() == [line.connection]
    assert line.events == [("connect", "")]


async def test_after_its_end_it_is_freed_without_the_collector(redis: "Redis") -> None:
    ours = (Connection, Acks, Carrier, Confirmations, Ear, Handover, Inbound, Lease, Sends, Settles)

    def there() -> int:
        return sum(isinstance(each, ours) for each in gc.get_objects())

    gc.collect()
    before = there()  # some of other tests
    line = await Line(redis).begin()
    line.say("m-1")
    await line.hear("m-2")
    assert there() == before + len(ours)
    gc.disable()
    try:
        line.ear.handle_lost(1006, "")
        await line.over()
        del line.connection, line.ear
        await until(lambda: there() == before)
    finally:
        gc.enable()


async def test_a_socket_that_waits_for_its_client_holds_no_more_than_an_ear(redis: "Redis") -> None:
    line = await Line(redis).begin()
    await line.hear("m-1")
    line.connection.close(REPLACED)
    await line.over()
    parts = ("_acks", "_confirmations", "_inbound", "_lease", "_sends")
    await until(lambda: not any(hasattr(line.ear, part) for part in parts))


async def test_after_its_end_whoever_still_calls_it_finds_it_silent(redis: "Redis") -> None:
    """Answers of Redis come late, and the socket waits for its client's goodbye."""
    line = await Line(redis).begin()
    ended, ear = line.connection, line.ear
    ended.close(REPLACED)
    await line.over()
    await until(lambda: not hasattr(ended, "_carrier"))
    frames, pings = list(line.socket.frames), line.socket.pings
    line.say("m-1")
    ear.handle_sign_of_life()
    ear.handle_pong(1)
    ended.ring("")
    ended.confirm(["1-1"])
    ended.lease_gone()
    await ended.reclaimed(Claimed("another epoch", None, ""), storage_lost=False)
    ended.drain(0.1)
    await ended._drain(0.1)  # one that was under way
    assert not ear.is_full  # what was read before its end is thrown away
    ended.done()
    ear.handle_lost(1000, "")
    await asyncio.sleep(0.05)
    assert (line.socket.frames, line.socket.pings, line.socket.codes()) == (frames, pings, [4508])


async def test_the_hub_is_entered_before_anything_is_awaited(redis: "Redis") -> None:
    line = Line(redis)
    line.connection.start()
    assert line.server.hub.members() == [line.connection]
    assert line.socket.frames == []


async def test_what_waits_for_a_client_that_does_not_read_stays_in_the_mailbox(redis: "Redis") -> None:
    line = await Line(redis).begin()
    line.socket.stop_reading()
    for n in range(3):
        await line.server.send(ASHA, RAVI, f"m-{n}")
        await asyncio.sleep(0.05)
    assert line.socket.of("chat") == []
    assert await pending(redis) == 1, "no more than one read is taken into our own hands"
    line.socket.reading.set()
    await until(lambda: len(line.socket.of("chat")) == 3)


@pytest.mark.parametrize(
    ("end", "reason", "closes"),
    [
        (lambda one: one.ear.handle_lost(1000, "bye"), "1000 bye", []),
        (lambda one: one.ear.handle_lost(1006, ""), "1006", []),
        (lambda one: one.close(REPLACED), REPLACED.reason, [4508]),
    ],
    ids=["the client", "the network", "the server"],
)
async def test_an_end_is_told_once_with_its_reason(
    redis: "Redis", end: Callable[[Connection], None], reason: str, closes: list[int]
) -> None:
    tasks = len(asyncio.all_tasks())
    line = await Line(redis).begin()
    end(line.connection)
    assert line.connection.ended
    line.connection.close(LOGGED_OUT)
    line.ear.handle_lost(1000, "later")
    await line.over()
    assert line.events == [("connect", ""), ("disconnect", reason)]
    assert line.socket.codes() == closes
    assert isinstance(await line.server.presence.last_seen(RAVI, ASHA), int)
    assert not await redis.exists("people:s1")
    await until(lambda: len(asyncio.all_tasks()) == tasks)


async def test_what_was_received_before_the_end_is_worked_through_and_nothing_after_it(redis: "Redis") -> None:
    line = await Line(redis).begin()
    for n in range(2):
        line.say(f"m-{n}")
    chat = {"type": "chat", "to": ASHA, "messageId": "m-2", "message": "hello"}
    line.ear.handle_message(json.dumps(chat))  # and before there is time to do it:
    line.connection.close(REPLACED)
    line.say("m-3")
    await line.over()
    assert len(await mailbox_of(line.server, ASHA)) == 3


async def test_after_the_end_nothing_more_is_collected(redis: "Redis") -> None:
    line = await Line(redis).begin()
    line.ear.handle_lost(1000, "")
    await line.over()
    await line.server.send(ASHA, RAVI, "m-1")
    line.connection.ring("")
    await asyncio.sleep(0.1)
    assert line.socket.of("chat") == []
    assert await pending(redis) == 0


async def test_who_is_refused_the_lease_is_closed_and_never_was_connected(redis: "Redis", away: RedisClient) -> None:
    crowded = Line(redis, max_devices=1)
    await crowded.server.messenger.connect(Holder(RAVI, "phone", "s2", "c2"), Who.account_id)
    stranger = Who()
    stranger.account_id = "another account"
    for line, code in ((crowded, 4504), (Line(redis, who=stranger), 4509), (Line(away), 4004)):
        line.connection.start()
        line.say("m-1")
        await line.over()
        assert (line.socket.codes(), line.socket.frames, line.events) == ([code], [], [])
    assert not await redis.exists(f"mailbox:{{{ASHA}}}")


async def test_a_drain_waits_for_the_work_in_hand_and_answers_nothing_that_comes_later(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await Line(redis).begin()
    ids = [await line.hear("x-1")]
    chats = CallGate(monkeypatch, line.server.messenger, "send_soon")
    acks = CallGate(monkeypatch, line.server.messenger, "acknowledge_soon")
    for n in range(3):
        line.say(f"m-{n}")
    line.ear.handle_message(json.dumps({"type": "ack", "ackType": "delivered", "streamIds": ids}))
    line.connection.drain(0.75)
    line.say("m-3")
    line.ear.handle_message("no frame at all")
    chats.open()
    await until(lambda: len(line.socket.of("sent")) == 3)
    await asyncio.sleep(0.05)
    assert line.socket.codes() == [], "the ack is in hand"
    acks.open()
    await line.over()
    assert [frame["type"] for frame in line.socket.frames[-4:]] == ["sent"] * 3 + ["error"]
    assert (line.socket.frames[-1]["code"], line.socket.frames[-1]["retryAfter"]) == ("draining", 0.75)
    assert line.socket.codes() == [4012]
    assert [entry.sender for entry in await mailbox_of(line.server, ASHA)] == [RAVI] * 4, "three chats and a receipt"
    assert await mailbox_of(line.server, RAVI) == [], "what was acked is settled before the end"


async def test_a_drain_before_the_lease_is_claimed_waits_for_it(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(redis)
    gate = Gate(monkeypatch, line.server.messenger, "connect")
    line.connection.start()
    line.say("m-1")
    line.connection.drain(0.5)
    await asyncio.sleep(0.05)
    assert line.socket.closes == []
    gate.open()
    await line.over()
    assert line.socket.codes() == [4012]
    assert [frame["messageId"] for frame in line.socket.of("sent")] == ["m-1"]


async def test_no_task_lives_as_long_as_a_connection(redis: "Redis") -> None:
    tasks = len(asyncio.all_tasks())
    line = await Line(redis).begin()
    await line.hear("m-1")
    await until(lambda: len(asyncio.all_tasks()) == tasks)
    assert not line.connection.ended


async def test_who_has_ended_is_not_drained(redis: "Redis") -> None:
    line = await Line(redis).begin()
    line.ear.handle_lost(1000, "")
    line.connection.drain(0.5)
    await line.over()
    assert (line.socket.of("error"), line.socket.closes) == ([], [])


async def test_an_expired_token_ends_the_connection(redis: "Redis") -> None:
    line = await Line(redis).begin()
    line.connection.tick(time.monotonic())
    assert line.socket.closes == []
    line.who.expires_at = int(time.time())
    line.connection.tick(time.monotonic())
    await line.over()
    assert line.socket.codes() == [4501]


async def changed(redis: "Redis", before: bytes) -> bool:
    return bool(await redis.hget(LEASES, "primary") != before)  # type: ignore[misc]


async def test_a_sign_of_life_carries_the_lease_on_and_silence_does_not(redis: "Redis") -> None:
    line = await Line(redis).begin()
    before = await redis.hget(LEASES, "primary")  # type: ignore[misc]
    await asyncio.sleep(0.01)
    line.connection.tick(time.monotonic() + 100)
    await asyncio.sleep(0.1)
    assert await redis.hget(LEASES, "primary") == before  # type: ignore[misc]
    line.renew()
    async with asyncio.timeout(5):
        while await redis.hget(LEASES, "primary") == before:  # type: ignore[misc]
            await asyncio.sleep(0.01)


async def test_a_ring_that_was_lost_heals_with_the_next_renewal(redis: "Redis") -> None:
    line = await Line(redis).begin()
    await line.server.mailbox.deposit(RAVI, ASHA, [("m-1", "hello")])
    await asyncio.sleep(0.1)
    assert line.socket.of("chat") == []
    line.renew()
    await until(lambda: line.socket.of("chat"))


async def test_a_newer_connection_is_found_at_the_next_renewal(redis: "Redis") -> None:
    line = await Line(redis).begin()
    newer = Holder(RAVI, "primary", "s2", "c2")
    await line.server.presence.claim(newer, Who.account_id, mode="proven")
    line.renew()
    await line.over()
    assert line.socket.codes() == [4508]
    assert (await line.server.presence.renew(newer, 0))[0] == "ok"


async def test_a_lease_that_ran_out_is_claimed_again_without_a_word(redis: "Redis") -> None:
    line = await Line(redis).begin()
    await redis.delete(LEASES)
    line.renew()
    async with asyncio.timeout(5):
        while not await redis.exists(LEASES):
            await asyncio.sleep(0.01)
    await line.hear("m-1")
    assert [frame["type"] for frame in line.socket.frames] == ["hello", "synced", "chat"]


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_a_storage_that_lost_everything_is_told_and_what_comes_then_arrives(
    redis: "Redis", dialect: V1 | Seed
) -> None:
    line = await Line(redis, dialect).begin()
    before = await redis.hget(f"person:{{{RAVI}}}", "epoch")  # type: ignore[misc]
    await redis.flushall()
    line.renew()
    kind, field = ("resync", "reason") if dialect.joins_frames else ("system", "message")
    await until(lambda: [frame for frame in line.socket.of(kind) if frame.get("epoch")])
    told = line.socket.of(kind)[-1]
    after = await redis.hget(f"person:{{{RAVI}}}", "epoch")  # type: ignore[misc]
    assert (told["epoch"], told[field]) == (after.decode(), "storage lost something: send unanswered chats again")
    assert told.get("code") == (None if dialect.joins_frames else "resync")
    assert before != after
    await line.hear("m-1")
    assert line.socket.closes == []


async def test_a_loss_is_found_at_the_next_ring_too(redis: "Redis") -> None:
    line = await Line(redis).begin()
    await redis.flushall()
    line.connection.ring("")
    await until(lambda: line.socket.of("resync"))


async def test_receipts_of_a_seed_client_leave_when_a_pong_answers_a_later_ping(redis: "Redis") -> None:
    line = await Line(redis, Seed()).begin()
    deposits = []
    for n in range(2):
        deposits.append(await line.server.mailbox.deposit_receipt(RAVI, ASHA, "delivered", [f"x-{n}"]))
        line.connection.ring("")
        await until(lambda n=n: len(line.socket.of("ack")) == n + 1)  # type: ignore[misc]
    assert line.socket.pings == 1, "one such ping at a time"
    line.ear.handle_pong(0)
    await asyncio.sleep(0.1)
    assert len(await mailbox_of(line.server, RAVI)) == 2, "that pong answers an earlier ping"
    line.ear.handle_pong(1)
    await until(lambda: line.socket.pings == 2)
    async with asyncio.timeout(5):
        while len(await mailbox_of(line.server, RAVI)) > 1:
            await asyncio.sleep(0.01)
    assert deposits[1] is not None
    assert [entry.stream_id for entry in await mailbox_of(line.server, RAVI)] == [deposits[1].stream_id]
    line.ear.handle_pong(2)
    async with asyncio.timeout(5):
        while await mailbox_of(line.server, RAVI):
            await asyncio.sleep(0.01)
    assert line.socket.pings == 2
    assert await receipts(line.server, ASHA) == []


async def test_a_v1_client_acks_its_receipts_itself(redis: "Redis") -> None:
    line = await Line(redis).begin()
    await line.server.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["x-1"])
    line.connection.ring("")
    await until(lambda: line.socket.of("ack"))
    line.ear.handle_pong(5)
    await asyncio.sleep(0.1)
    assert line.socket.pings == 0
    assert len(await mailbox_of(line.server, RAVI)) == 1


async def test_receipts_that_could_not_be_settled_are_settled_when_redis_is_back(
    own_link: RedisClient, own_valkey: Valkey
) -> None:
    line = await Line(own_link, Seed()).begin()
    await line.server.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["x-1"])
    line.connection.ring("")
    await until(lambda: line.socket.pings == 1)
    await asyncio.to_thread(own_valkey.kill)
    with capture_logs() as logs:
        line.ear.handle_pong(1)
        await until(lambda: "acked entries could not be settled" in [entry["event"] for entry in logs])
    await asyncio.to_thread(own_valkey.start)
    await until(lambda: line.has_waiting(0))
    assert line.socket.closes == []
    line.ear.handle_lost(1000, "")
    await line.over()


async def test_a_failure_of_a_deposit_ends_it_too_and_holds_up_no_end(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await Line(redis).begin()

    def fail(*args: Any) -> None:
        asyncio.get_running_loop().call_soon(args[-1], ValueError("a bug"))

    monkeypatch.setattr(line.server.messenger, "send_soon", fail)
    with capture_logs() as logs:
        line.say("m-1")
        await line.over()
    assert line.socket.codes() == [1011]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("a connection failed", "error")]
    assert not await redis.exists(LEASES)
