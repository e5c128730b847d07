"""What a client says: kept, heard, or enough of it."""

import asyncio
import json
import time

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.connection import ear as module
from delivery.connection.ear import CHARACTERS_IN_HAND, IN_HAND
from protocol.dialects import V1, Seed
from protocol.errors import LOGGED_OUT, REPLACED
from tests.delivery.connection.by_hand import LEASES, Line
from tests.delivery.desk import CallGate, Gate
from tests.delivery.one_server import ASHA, RAVI, until
from tests.delivery.test_messenger import mailbox_of


async def held_up(line: Line, monkeypatch: pytest.MonkeyPatch, *, early: bool) -> Gate | CallGate:
    """A connection of which nothing that its client says is worked on: its lease waits, or each chat."""
    post = line.server.messenger
    gate = Gate(monkeypatch, post, "connect") if early else CallGate(monkeypatch, post, "send_soon")
    if early:
        line.connection.start()
    else:
        await line.begin()
    return gate


async def test_with_much_in_hand_there_is_no_room_until_it_was_worked_on(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(redis)
    gate = await held_up(line, monkeypatch, early=False)
    before = line.socket.resumes
    for n in range(IN_HAND - 1):
        line.say(f"m-{n}")
    assert not line.ear.is_full
    line.say(f"m-{IN_HAND - 1}")
    await asyncio.sleep(0.05)
    assert line.ear.is_full
    gate.open()
    await until(lambda: line.socket.resumes > before)
    assert not line.ear.is_full
    await until(lambda: len(line.socket.of("sent")) == IN_HAND)
    assert [frame["messageId"] for frame in line.socket.of("sent")] == [f"m-{n}" for n in range(IN_HAND)]


async def test_before_the_lease_is_claimed_there_is_no_room_and_then_the_socket_is_told(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(redis)
    gate = await held_up(line, monkeypatch, early=True)
    await asyncio.sleep(0.05)
    assert (line.ear.is_full, line.socket.resumes) == (True, 0)
    gate.open()
    await until(lambda: line.socket.resumes)
    assert not line.ear.is_full


async def test_acks_in_work_are_in_hand_too(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    line = await Line(redis).begin()
    gate = Gate(monkeypatch, line.server.messenger, "mark_read")
    before = line.socket.resumes
    for n in range(IN_HAND):
        line.read(f"x-{n}")
    await asyncio.sleep(0.05)
    assert line.ear.is_full
    gate.open()
    await until(lambda: line.socket.resumes > before)
    assert not line.ear.is_full


async def test_long_texts_in_hand_count_by_their_length(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    line = await Line(redis).begin()
    gate = CallGate(monkeypatch, line.server.messenger, "send_soon")
    before = line.socket.resumes
    for n in range(CHARACTERS_IN_HAND // 16_000):
        line.say(f"m-{n}", message="x" * 16_000)
        assert not line.ear.is_full
    line.say("last", message="x" * 16_000)
    assert line.ear.is_full
    gate.open()
    await until(lambda: line.socket.resumes > before)
    assert not line.ear.is_full


async def test_what_was_said_before_the_lease_was_claimed_is_stored_though_he_left(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(redis)
    gate = Gate(monkeypatch, line.server.messenger, "connect")
    line.connection.start()
    for n in range(32):
        line.say(f"m-{n}")
    await asyncio.sleep(0.05)
    assert line.ear.is_full
    line.ear.handle_lost(1006, "")
    gate.open()
    await line.over()
    assert len(await mailbox_of(line.server, ASHA)) == 32


@pytest.mark.parametrize("early", [True, False], ids=["before the lease is claimed", "after"])
async def test_who_may_speak_no_more_is_not_heard_though_he_spoke_before(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    line = Line(redis)
    gate = await held_up(line, monkeypatch, early=early)
    if not early:
        line.say("m-0")
        await until(lambda: gate.calls)
    line.say("m-1")
    line.connection.close(LOGGED_OUT)
    gate.open()
    await line.over()
    assert len(await mailbox_of(line.server, ASHA)) == (0 if early else 1), "one was on its way"


@pytest.mark.parametrize("early", [True, False], ids=["before the lease is claimed", "after"])
async def test_too_many_bad_frames_end_it_and_what_is_queued_behind_them_is_dropped(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch, early: bool
) -> None:
    line = Line(redis, bad_frames_per_minute=3, cooldown_seconds=10)
    gate = Gate(monkeypatch, line.server.messenger, "connect")
    if early:
        line.connection.start()
    else:
        gate.open()
        await line.begin()
    for _ in range(3):
        line.ear.handle_message("{x")
    line.say("m-1")
    gate.open()
    await until(lambda: line.socket.closes)
    assert 9 < line.server.hub.cooldown.seconds_left(RAVI) <= 10
    line.ear.handle_violation()  # what he writes behind it is no frame either: that is the same offence
    assert 9 < line.server.hub.cooldown.seconds_left(RAVI) <= 10
    await line.over()
    assert line.socket.codes() == [4503]
    assert len(line.socket.of("error")) == 3
    assert await mailbox_of(line.server, ASHA) == []


async def test_who_was_closed_for_another_reason_has_not_offended_by_what_comes_then(redis: "Redis") -> None:
    line = await Line(redis, cooldown_seconds=10).begin()
    line.connection.close(REPLACED)
    line.ear.handle_violation()
    assert line.server.hub.cooldown.seconds_left(RAVI) == 0
    await line.over()


async def test_a_full_one_that_has_ended_takes_what_is_left_to_throw_it_away(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await Line(redis).begin()
    gate = CallGate(monkeypatch, line.server.messenger, "send_soon")
    before = line.socket.resumes
    for n in range(IN_HAND):
        line.say(f"m-{n}")
    assert line.ear.is_full
    line.connection.close(REPLACED)
    assert not line.ear.is_full
    gate.open()
    await line.over()
    assert line.socket.resumes == before


async def test_a_pong_after_the_end_settles_nothing(redis: "Redis") -> None:
    line = await Line(redis, Seed()).begin()
    await line.server.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["x-1"])
    line.connection.ring("")
    await until(lambda: line.socket.pings)
    line.connection.close(REPLACED)
    line.ear.handle_pong(line.socket.pings)
    await line.over()
    assert len(await mailbox_of(line.server, RAVI)) == 1, "it is for the connection that replaced this one"


async def test_a_frame_is_a_sign_of_life_like_a_pong(redis: "Redis") -> None:
    line = await Line(redis).begin()
    before = await redis.hget(LEASES, "primary")  # type: ignore[misc]
    await asyncio.sleep(0.01)
    line.say("m-1")
    line.connection.tick(time.monotonic() + line.server.settings.ping_seconds)
    async with asyncio.timeout(5):
        while await redis.hget(LEASES, "primary") == before:  # type: ignore[misc]
            await asyncio.sleep(0.01)


async def test_who_broke_the_protocol_has_to_wait_before_he_comes_again_and_nobody_else(redis: "Redis") -> None:
    line = await Line(redis, cooldown_seconds=10).begin()
    for _ in range(2):
        line.ear.handle_violation()
    line.ear.handle_lost(1002, "reserved bits are set")
    await line.over()
    assert 9 < line.server.hub.cooldown.seconds_left(RAVI) <= 10
    assert line.server.hub.cooldown.seconds_left(ASHA) == 0


async def test_our_own_failure_ends_it_as_such_and_releases_the_lease(redis: "Redis") -> None:
    line = await Line(redis).begin()
    line.bug = ValueError("a bug")
    with capture_logs() as logs:
        line.say("m-1")
        await line.over()
    assert line.socket.codes() == [1011]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("a frame was not understood", "error")]
    assert not await redis.exists(LEASES)


UNKNOWN = json.dumps({"type": "ack", "ackType": "delivered", "streamIds": ["1-1"] * 1000})


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_work_beyond_what_is_allowed_is_a_pause(redis: "Redis", dialect: V1 | Seed) -> None:
    line = await Line(redis, dialect, data_frames_per_second=100, data_frames_burst=300).begin()
    assert line.ear.handle_message(UNKNOWN) == 0.0
    pause = line.ear.handle_message(UNKNOWN)
    assert 1.5 < pause < 2.5, "two times 251 units, of which 300 were there"
    assert line.ear.handle_message('{"type":"ping"}') > pause
    assert line.socket.codes() == []


@pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])
async def test_acks_of_entries_in_flight_are_free_and_only_once(redis: "Redis", dialect: V1 | Seed) -> None:
    line = await Line(redis, dialect, data_frames_per_second=1, data_frames_burst=1).begin()
    ids = [await line.hear(f"m-{n}") for n in range(5)]
    for stream_id in ids:
        assert (
            line.ear.handle_message(json.dumps({"type": "ack", "ackType": "delivered", "streamId": stream_id})) == 0.0
        )
    assert line.ear.handle_message(json.dumps({"type": "ack", "ackType": "delivered", "streamIds": ids})) > 0.0


async def test_acks_by_name_of_chats_in_flight_are_free_too(redis: "Redis") -> None:
    line = await Line(redis, data_frames_per_second=1, data_frames_burst=1).begin()
    await line.hear("m-1")
    ack = json.dumps({"type": "ack", "ackType": "delivered", "to": ASHA, "messageId": "m-1"})
    assert line.ear.handle_message(ack) == 0.0
    assert line.ear.handle_message(ack) > 0.0
    await until(lambda: line.has_waiting(0))


async def test_a_debt_is_the_persons_and_waits_for_their_next_connection(redis: "Redis") -> None:
    line = await Line(redis, data_frames_per_second=100, data_frames_burst=100).begin()
    line.ear.handle_message(UNKNOWN)
    bucket = line.server.hub.work.bucket(RAVI, 100, 100)
    assert bucket.left(time.monotonic()) < -100
    line.connection.close(REPLACED)
    await line.over()
    assert line.server.hub.work.bucket(RAVI, 100, 100) is bucket


@pytest.mark.parametrize("useful", [False, True], ids=["nothing comes of it", "chats"])
async def test_a_client_that_floods_for_long_is_closed_only_if_nothing_comes_of_it(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch, useful: bool
) -> None:
    monkeypatch.setattr(module, "OVER_SECONDS", 0.1)
    line = await Line(redis, data_frames_per_second=100, data_frames_burst=10, cooldown_seconds=10).begin()
    for n in range(4):
        for k in range(20 if useful else 1):
            if useful:
                line.say(f"m-{n}-{k}")
            else:
                line.ear.handle_message(UNKNOWN)
        await asyncio.sleep(0.05)
    if useful:
        assert line.socket.codes() == []
    else:
        assert line.socket.codes() == [1008]
        assert line.server.hub.cooldown.seconds_left(RAVI) > 0


async def test_a_client_that_stops_for_a_while_begins_anew(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OVER_SECONDS", 0.3)
    line = await Line(redis, data_frames_per_second=10_000, data_frames_burst=100).begin()
    for _ in range(5):
        line.ear.handle_message(UNKNOWN)
        await asyncio.sleep(0.15)
    assert line.socket.codes() == []


async def test_a_client_that_is_unread_though_there_is_room_is_ended_and_reported(redis: "Redis") -> None:
    line = await Line(redis).begin()
    now = time.monotonic()
    line.socket.unread = True
    with capture_logs() as logs:
        for seconds in (0, 5, 9.9):
            line.connection.tick(now + seconds)
        assert line.socket.codes() == []
        line.socket.unread = False
        line.connection.tick(now + 10)
        line.socket.unread = True
        line.connection.tick(now + 11)
        line.connection.tick(now + 20)
        assert line.socket.codes() == [], "it was read in between"
        line.connection.tick(now + 21.1)
    assert line.socket.codes() == [4004]
    assert [entry["log_level"] for entry in logs] == ["error"]
