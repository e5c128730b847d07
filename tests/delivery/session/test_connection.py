"""One connection between a socket made by hand and a real Redis: its beginning, its end, its bounds and its faults."""

import asyncio
import gc
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery import in_flight
from delivery.hub import Hub
from delivery.mailbox import Mailbox
from delivery.presence import Holder, Presence
from delivery.redis.client import RedisClient
from delivery.session import connection as module
from delivery.session import session
from delivery.session.connection import Connection
from delivery.session.session import IN_HAND
from protocol.dialects import V1, Seed
from protocol.entries import Receipt
from protocol.errors import LOGGED_OUT, REPLACED, ApiError
from tests.support.messaging import ASHA, EVE, RAVI, HandConnection, Held, HeldClaims, Who, until
from tools.devstack.valkey import Valkey

LEASES, DEAD_LETTERS = f"leases:{{{RAVI}}}", f"parked:{{{RAVI}}}"
DIALECTS = pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])


# ---- its beginning


async def test_the_hello_comes_first_then_the_backlog_then_new_entries(redis: "Redis") -> None:
    one = HandConnection(redis)
    for n in range(3):
        await one.server.send(ASHA, RAVI, f"m-{n}")
    await one.begin()
    await one.hear("m-3")
    assert [frame["type"] for frame in one.socket.frames] == ["hello", "chat", "chat", "chat", "synced", "chat"]
    assert [frame["mode"] for frame in one.socket.of("chat")] == ["offline"] * 3 + ["online"]
    hello = one.socket.frames[0]
    assert (hello["serverId"], hello["deviceId"], hello["mobileNo"]) == ("s1", "primary", RAVI)
    assert hello["connectionId"] == one.connection.connection_id
    assert (one.connection.mobile, one.connection.session_id) == (RAVI, "session-1")
    assert one.server.hub.connections() == [one.connection]
    assert one.events == [("connect", "")]


async def test_the_hub_is_entered_before_anything_is_awaited(redis: "Redis") -> None:
    one = HandConnection(redis)
    one.connection.start()
    assert one.server.hub.connections() == [one.connection]
    assert one.socket.frames == []


async def test_a_connection_that_is_refused_the_lease_is_closed_and_never_was_connected(
    redis: "Redis", away: RedisClient
) -> None:
    crowded = HandConnection(redis, max_devices=1)
    await crowded.server.presence.claim(Holder(RAVI, "phone", "s2", "c2"), Who.account_id)
    stranger = Who()
    stranger.account_id = "another account"
    for one, code in ((crowded, 4504), (HandConnection(redis, who=stranger), 4509), (HandConnection(away), 4004)):
        one.connection.start()
        one.say("m-1")
        await one.over()
        assert (one.socket.codes(), one.socket.frames, one.events) == ([code], [], [])
    assert not await redis.exists(f"mailbox:{{{ASHA}}}")


async def test_what_arrives_before_the_lease_is_claimed_is_stored_though_the_client_left(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one, claims = HandConnection(redis), HeldClaims(monkeypatch)
    one.connection.start()
    assert (one.connection.is_full, one.socket.resumes) == (True, 0)
    for n in range(32):
        one.say(f"m-{n}")
    one.connection.handle_lost(1006, "")
    claims.release()
    await one.over()
    assert len(await one.server.waiting(ASHA)) == 32


@pytest.mark.parametrize("proof", ["answers", "spoke", "leaves", "gone", "silent"])
async def test_a_live_connection_of_the_device_is_replaced_only_after_a_sign_of_life(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    monkeypatch.setattr("delivery.session.lease.PROOF_SECONDS", 0.2 if proof == "silent" else 10)
    one = HandConnection(redis)
    other = Holder(RAVI, "primary", "s2", "c2")
    await one.server.presence.claim(other, Who.account_id)
    one.socket.has_unread_messages = proof == "spoke"
    one.connection.start()
    await until(lambda: one.socket.pings == 1)
    if proof in ("answers", "leaves"):
        one.socket.is_closing = proof == "leaves"  # a close frame is no sign that somebody stays
        one.connection.handle_sign_of_life()
        await asyncio.sleep(0.05)
    if proof in ("gone", "leaves"):
        one.connection.handle_lost(1006, "")
    replaced = proof in ("answers", "spoke")
    await (until(lambda: one.socket.of("hello")) if replaced else one.over())
    assert (await one.server.presence.renew(other, 0)).verdict == ("replaced" if replaced else "ok")
    if proof == "silent":
        assert one.socket.codes() == [4003]


# ---- its end


@pytest.mark.parametrize(
    ("end", "reason", "closes"),
    [
        (lambda one: one.handle_lost(1000, "bye"), "1000 bye", []),
        (lambda one: one.handle_lost(1006, ""), "1006", []),
        (lambda one: one.close(REPLACED), REPLACED.reason, [4508]),
    ],
    ids=["the client", "the network", "the server"],
)
async def test_an_end_is_recorded_once_with_its_reason(
    redis: "Redis", end: Callable[[Connection], None], reason: str, closes: list[int]
) -> None:
    tasks = len(asyncio.all_tasks())
    one = await HandConnection(redis).begin()
    end(one.connection)
    one.connection.close(LOGGED_OUT)
    one.connection.handle_lost(1000, "later")
    await one.over()
    assert one.events == [("connect", ""), ("disconnect", reason)]
    assert one.socket.codes() == closes
    assert isinstance(await one.server.presence.last_seen(RAVI, ASHA), int)
    await until(lambda: len(asyncio.all_tasks()) == tasks)
    assert not await redis.exists("people:s1")


async def test_the_lease_is_released_before_the_hub_is_left(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    one = await HandConnection(redis).begin()
    order: list[str] = []
    release, leave = Presence.release, Hub.leave

    async def released(presence: Presence, *args: Any) -> Any:
        verdict = await release(presence, *args)
        order.append("released")
        return verdict

    def left(hub: Hub, connection: Any) -> bool:
        order.append("left")
        return leave(hub, connection)

    monkeypatch.setattr(Presence, "release", released)
    monkeypatch.setattr(Hub, "leave", left)
    one.connection.handle_lost(1000, "")
    await one.over()
    assert order == ["released", "left"], "the other way round, an entry stored in between would find nobody"


async def test_without_redis_a_connection_ends_all_the_same(own_link: RedisClient, own_valkey: Valkey) -> None:
    one = await HandConnection(own_link).begin()
    stream_id = await one.hear("m-1")
    one.ack(stream_id)
    await until(one.server.receipts)
    await asyncio.to_thread(own_valkey.kill)
    with capture_logs() as logs:
        one.connection.handle_lost(1000, "")
        await one.over()
        await until(lambda: "a user stays listed on this server until the sweep" in [line["event"] for line in logs])
    assert "a lease could not be released and ends by itself" in [line["event"] for line in logs]


async def test_what_arrived_before_the_end_is_worked_through_and_nothing_after_it(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    for n in range(2):
        one.say(f"m-{n}")
    one.put("m-2")  # and before its batch ends:
    one.connection.close(REPLACED)
    one.say("m-3")
    await one.over()
    assert await one.server.waiting(ASHA) == ["m-0", "m-1", "m-2"]


async def test_acknowledgements_under_way_are_settled_before_the_end(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "SETTLE_SECONDS", 60)
    one = await HandConnection(redis).begin()
    ids = [await one.hear(f"m-{n}") for n in range(2)]
    receipts = Held(monkeypatch, "store_receipt")
    one.ack(*ids)
    one.connection.handle_lost(1000, "")
    await asyncio.sleep(0.05)
    assert one.connection in one.server.hub.connections(), "their sender is not told yet"
    receipts.release()
    await one.over()
    assert await one.has_waiting(0)


async def test_a_drain_waits_for_what_is_in_hand_and_answers_nothing_that_comes_later(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await HandConnection(redis).begin()
    stream_id = await one.hear("x-1")
    chats, receipts = Held(monkeypatch, "store_chats"), Held(monkeypatch, "store_receipt")
    for n in range(3):
        one.say(f"m-{n}")
    one.ack(stream_id)
    one.connection.drain(0.75)
    one.say("m-3")
    one.connection.handle_message("no frame at all")
    chats.release()
    await until(lambda: len(one.socket.of("sent")) == 3)
    await asyncio.sleep(0.05)
    assert one.socket.codes() == [], "the acknowledgement is in hand"
    receipts.release()
    await one.over()
    assert [frame["type"] for frame in one.socket.frames[-4:]] == ["sent"] * 3 + ["error"]
    assert (one.socket.frames[-1]["code"], one.socket.frames[-1]["retryAfter"]) == ("draining", 0.75)
    assert one.socket.codes() == [4012]
    assert (len(await one.server.waiting(ASHA)), len(await one.server.receipts())) == (3, 1)
    assert await one.has_waiting(0), "what was acknowledged is settled before the end"


async def test_a_drain_before_the_lease_is_claimed_waits_for_what_arrived(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one, claims = HandConnection(redis), HeldClaims(monkeypatch)
    one.connection.start()
    one.say("m-1")
    one.connection.drain(0.5)
    await asyncio.sleep(0.05)
    assert one.socket.closes == []
    claims.release()
    await one.over()
    assert one.socket.codes() == [4012]
    assert [frame["messageId"] for frame in one.socket.of("sent")] == ["m-1"]


async def test_a_connection_that_has_ended_is_not_drained(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    one.connection.handle_lost(1000, "")
    one.connection.drain(0.5)
    await one.over()
    assert (one.socket.of("error"), one.socket.closes) == ([], [])


async def test_an_expired_token_ends_the_connection(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    one.connection.tick(time.monotonic())
    assert one.socket.closes == []
    one.who.expires_at = int(time.time())
    one.connection.tick(time.monotonic())
    await one.over()
    assert one.socket.codes() == [4501]


async def test_after_its_end_a_connection_is_silent(redis: "Redis") -> None:
    """Replies of Redis come late, and the socket waits for its client's close frame."""
    one = await HandConnection(redis).begin()
    one.connection.close(REPLACED)
    await one.over()
    frames, pings, resumes = list(one.socket.frames), one.socket.pings, one.socket.resumes
    one.say("m-1")
    one.connection.handle_pong(1)
    one.connection.notify("")
    one.connection.tick(time.monotonic() + 100)
    one.connection.drain(0.1)
    one.connection.handle_violation()
    assert not one.connection.is_full, "what was read before its end is thrown away"
    one.connection.handle_lost(1000, "")
    await asyncio.sleep(0.05)
    assert (one.socket.frames, one.socket.pings, one.socket.codes()) == (frames, pings, [4508])
    assert one.socket.resumes == resumes
    assert one.server.hub.penalty.seconds_left(RAVI) == 0


async def test_after_its_end_it_is_freed_without_the_collector(redis: "Redis") -> None:
    def there() -> int:
        ours = ("delivery.session.", "delivery.in_flight")
        found = [each for each in gc.get_objects() if str(type(each).__module__).startswith(ours)]
        return sum(not isinstance(each, module.Messaging) for each in found)

    gc.collect()
    before = there()
    one = await HandConnection(redis).begin()
    one.say("m-1")
    one.ack(await one.hear("m-2"))
    await until(lambda: one.has_waiting(0))
    assert there() > before + 5
    gc.disable()
    try:
        one.connection.handle_lost(1006, "")
        await one.over()
        del one.connection
        await until(lambda: there() == before)
    finally:
        gc.enable()


async def test_no_task_lives_as_long_as_a_connection(redis: "Redis") -> None:
    tasks = len(asyncio.all_tasks())
    one = await HandConnection(redis).begin()
    await one.hear("m-1")
    await until(lambda: len(asyncio.all_tasks()) == tasks)
    assert one.connection in one.server.hub.connections()


# ---- bounds and faults


async def test_with_much_in_hand_the_connection_is_full_until_it_is_worked_on(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await HandConnection(redis).begin()
    chats = Held(monkeypatch, "store_chats")
    before = one.socket.resumes
    for n in range(IN_HAND - 1):
        one.say(f"m-{n}")
    assert not one.connection.is_full
    one.say(f"m-{IN_HAND - 1}")
    assert one.connection.is_full
    chats.release()
    await until(lambda: one.socket.resumes > before)
    assert not one.connection.is_full
    await until(lambda: len(one.socket.of("sent")) == IN_HAND)
    assert [frame["messageId"] for frame in one.socket.of("sent")] == [f"m-{n}" for n in range(IN_HAND)]


async def test_a_debt_is_the_persons_and_waits_for_their_next_connection(redis: "Redis") -> None:
    one = await HandConnection(redis, data_frames_per_second=100, data_frames_burst=100).begin()
    one.frame(type="ack", ackType="delivered", streamIds=["1-1"] * 1000)
    bucket = one.server.hub.work.bucket(RAVI, 100, 100)
    assert bucket.left(time.monotonic()) < -100
    one.connection.close(REPLACED)
    await one.over()
    assert one.server.hub.work.bucket(RAVI, 100, 100) is bucket


@pytest.mark.parametrize("useful", [False, True], ids=["nothing comes of it", "chats"])
async def test_a_client_that_floods_for_long_is_closed_only_if_nothing_comes_of_it(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch, useful: bool
) -> None:
    monkeypatch.setattr(session, "OVER_SECONDS", 0.1)
    limits = {"data_frames_per_second": 100, "data_frames_burst": 10, "cooldown_seconds": 10}
    one = await HandConnection(redis, **limits).begin()
    for n in range(4):
        for k in range(20 if useful else 1):
            if useful:
                one.say(f"m-{n}-{k}")
            else:
                one.frame(type="ack", ackType="delivered", streamIds=["1-1"] * 1000)
        await asyncio.sleep(0.05)
    assert one.socket.codes() == ([] if useful else [1008])
    assert (one.server.hub.penalty.seconds_left(RAVI) > 0) is not useful


async def test_a_client_that_broke_the_protocol_has_to_wait_before_they_come_again(redis: "Redis") -> None:
    one = await HandConnection(redis, cooldown_seconds=10).begin()
    for _ in range(2):
        one.connection.handle_violation()
    one.connection.handle_lost(1002, "reserved bits are set")
    await one.over()
    assert 9 < one.server.hub.penalty.seconds_left(RAVI) <= 10
    assert one.server.hub.penalty.seconds_left(ASHA) == 0


async def test_a_client_that_is_unread_though_there_is_room_is_ended_and_reported(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    now = time.monotonic()
    one.socket.waits_for_handler = True
    with capture_logs() as logs:
        for seconds in (0, 5, 9.9):
            one.connection.tick(now + seconds)
        assert one.socket.codes() == []
        one.socket.waits_for_handler = False
        one.connection.tick(now + 10)
        one.socket.waits_for_handler = True
        one.connection.tick(now + 11)
        one.connection.tick(now + 20)
        assert one.socket.codes() == [], "it was read in between"
        one.connection.tick(now + 21.1)
    assert one.socket.codes() == [4004]
    assert [entry["log_level"] for entry in logs] == ["error"]


@pytest.mark.parametrize("operation", ["store_chats", "store_receipt", "fetch", "find_unread"])
@pytest.mark.parametrize("at_once", [True, False], ids=["raised", "as the reply"])
async def test_a_failure_of_our_own_ends_the_connection_and_holds_up_no_end(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch, operation: str, at_once: bool
) -> None:
    one = await HandConnection(redis).begin()
    stream_id = await one.hear("m-0")

    def fail(_mailbox: Mailbox, *args: Any) -> None:
        if at_once:
            raise ValueError("a bug")
        asyncio.get_running_loop().call_soon(args[-1], ValueError("a bug"))

    monkeypatch.setattr(Mailbox, operation, fail)
    with capture_logs() as logs:
        for name in ("m-1", "m-2"):
            one.put(name)
        one.put("m-1", to=EVE)
        one.end_batch()
        one.ack(stream_id)
        one.read("m-0")
        one.connection.notify("")
        await one.over()
    assert one.socket.codes() == [1011]
    assert {"a connection failed"} == {line["event"] for line in logs if line["log_level"] == "error"}
    assert not await redis.exists(LEASES)


async def test_a_frame_that_our_own_code_fails_on_ends_the_connection(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    one.bug = ValueError("a bug")
    with capture_logs() as logs:
        one.say("m-1")
        await one.over()
    assert one.socket.codes() == [1011]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("a frame could not be handled", "error")]
    assert not await redis.exists(LEASES)


async def test_a_broken_key_of_the_users_own_closes_with_a_code_to_come_back(redis: "Redis") -> None:
    one = await HandConnection(redis).begin()
    await redis.delete(LEASES)
    await redis.rpush(LEASES, "oops")
    one.renew()
    await one.over()
    assert one.socket.codes() == [4004]


def test_every_effect_can_be_run() -> None:
    effects = {
        kind for kind in vars(module.do).values() if isinstance(kind, type) and issubclass(kind, module.do.Effect)
    }
    assert effects - {module.do.Effect} == module._RUN.keys()


async def test_an_error_that_is_raised_by_the_session_itself_ends_the_connection(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await HandConnection(redis).begin()
    monkeypatch.setattr(one.server.mailbox, "fetch", lambda *args: args[-1](Receipt("1-0", ASHA, "read", [])))
    monkeypatch.setattr(session.Session, "_renew_lease", lambda _self: json.loads("x"))
    monkeypatch.setattr(session, "Fetched", Receipt)
    with capture_logs() as logs:
        one.connection.notify("")
        await one.over()
    assert one.socket.codes() == [1011]
    assert "a connection failed" in [line["event"] for line in logs]
    assert not isinstance(one.bug, ApiError)
