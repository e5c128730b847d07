"""Acks on a real Redis: receipts in company and before settling, and what is left when it breaks in between."""

import asyncio
import time
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from delivery.connection import acks as module
from delivery.connection import settles
from delivery.connection.acks import Acks
from delivery.connection.settles import Settles
from delivery.in_flight import Flights
from delivery.presence import Holder
from delivery.redis.client import RedisClient
from protocol.dialects import V1
from tests.delivery.desk import CallGate, Desk, Gate
from tests.delivery.one_server import ASHA, EVE, RAVI, OneServer, until
from tests.delivery.test_messenger import locked, mailbox_of, receipts
from tools.devstack.valkey import Valkey

HOLDER = Holder(RAVI, "primary", "s1", "c1")
UNSETTLED = "acked entries could not be settled"


class Scene:
    """What Ravi acks; nobody carries, so that entries are in flight as the test says."""

    def __init__(self, redis: "Redis | RedisClient") -> None:
        self.server = OneServer(redis)
        self.desk = Desk()
        self.flights = Flights(100)
        self.landings = 0
        self.settles = Settles(self.desk, HOLDER, self.server.messenger, self.flights)
        self.acks = Acks(self.desk, HOLDER, V1(), self.server.messenger, self.flights, self.settles, self)

    def landed(self) -> None:
        self.landings += 1

    async def fly(self, count: int, sender: str = ASHA) -> list[str]:
        """So many chats of this sender, named m-0, m-1, ... and in flight; their streamIds."""
        await self.server.messenger.connect(HOLDER, f"account of {RAVI}")
        for n in range(count):
            await self.server.send(sender, RAVI, f"m-{n}")
        return await self.collect()

    async def collect(self) -> list[str]:
        """What is new for Ravi is in flight from now on."""
        entries = (await self.server.mailbox.collect(HOLDER, "new", 100)).entries
        for entry in entries:
            self.flights.start(entry, time.monotonic())
        return [entry.stream_id for entry in entries]

    async def finish(self) -> None:
        await self.acks.finish()
        await self.settles.finish()

    async def waits(self, count: int) -> bool:
        return len(await mailbox_of(self.server, RAVI)) == count

    async def told(self) -> bool:
        return self.acks.pending == 0

    def errors(self) -> list[tuple[str, str]]:
        return [(frame["code"], frame["component"]) for frame in self.desk.frames]


@pytest.fixture
def scene(redis: "Redis") -> Scene:
    return Scene(redis)


def names(*numbers: int) -> list[str]:
    return [f"m-{n}" for n in numbers]


async def test_an_ack_is_told_and_makes_room_and_is_settled(scene: Scene) -> None:
    ids = await scene.fly(3)
    scene.acks.delivered(ids[:2])
    assert scene.acks.pending == 2
    await until(scene.told)
    assert (len(scene.flights), scene.landings) == (1, 1)
    await until(lambda: scene.waits(1))
    await until(lambda: ids[0] not in scene.flights)
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0, 1))]
    assert [entry.stream_id for entry in await mailbox_of(scene.server, RAVI)] == [ids[2]]
    assert scene.desk.frames == []


async def test_what_is_acked_while_a_receipt_is_on_its_way_goes_together_in_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await scene.fly(10)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    for stream_id in ids:
        scene.acks.delivered([stream_id])
        await asyncio.sleep(0)
    assert len(gate.calls) == 1
    assert scene.acks.pending == 10
    gate.open()
    await until(scene.told)
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0)), (RAVI, "delivered", names(*range(1, 10)))]
    await until(lambda: scene.waits(0))


async def test_after_a_round_of_receipts_the_next_waits_the_longer_the_longer_it_took(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTS", 20)
    monkeypatch.setattr(module, "LONGEST_REST", 60)
    ids = await scene.fly(3)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    scene.acks.delivered(ids[:1])
    await until(lambda: gate.calls)
    await asyncio.sleep(0.05)
    gate.open()
    await until(scene.told)
    ended = time.monotonic()
    for stream_id in ids[1:]:
        scene.acks.delivered([stream_id])
        await asyncio.sleep(0.05)
    await until(scene.told)
    assert time.monotonic() - ended > 0.5
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0)), (RAVI, "delivered", names(1, 2))]


async def test_a_rest_ends_when_there_is_enough_to_tell(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTS", 10**9)
    monkeypatch.setattr(module, "LONGEST_REST", 60)
    count = module.ENOUGH
    ids = await scene.fly(1 + 2 * count + 1)
    scene.acks.delivered(ids[:1])
    await until(scene.told)
    for stream_id in ids[1:count]:
        scene.acks.delivered([stream_id])
    await asyncio.sleep(0.05)
    assert scene.acks.pending == count - 1, "they rest"
    scene.acks.delivered(ids[count : 2 * count])
    await until(scene.told)
    scene.acks.delivered(ids[2 * count :])
    await asyncio.sleep(0.05)
    assert scene.acks.pending == 2
    assert await receipts(scene.server) == [
        (RAVI, "delivered", names(0)),
        (RAVI, "delivered", names(*range(1, 2 * count))),
    ]


async def test_enough_that_came_while_a_round_was_under_way_does_not_rest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESTS", 10**9)
    monkeypatch.setattr(module, "LONGEST_REST", 60)
    ids = await scene.fly(1 + module.ENOUGH)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    scene.acks.delivered(ids[:1])
    await until(lambda: gate.calls)
    scene.acks.delivered(ids[1:])
    gate.open()
    await until(scene.told)
    assert [len(told) for _, _, told in await receipts(scene.server)] == [1, module.ENOUGH]


async def test_each_sender_gets_his_own_receipt_and_none_waits_for_another(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await scene.fly(2) + await scene.fly(3, EVE)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    scene.acks.delivered(ids)
    await until(lambda: len(gate.calls) == 2)
    gate.open()
    await until(scene.told)
    assert await receipts(scene.server, ASHA) == [(RAVI, "delivered", names(0, 1))]
    assert await receipts(scene.server, EVE) == [(RAVI, "delivered", names(0, 1, 2))]


async def test_the_same_ack_twice_is_one_receipt_at_every_moment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await scene.fly(1)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    scene.acks.delivered([ids[0], ids[0]])
    await until(lambda: gate.calls)
    scene.acks.delivered(ids)  # on its way
    assert scene.acks.pending == 1
    gate.open()
    await until(scene.told)
    scene.acks.delivered(ids)  # told and not settled
    await until(lambda: scene.waits(0))
    scene.acks.delivered(ids)  # settled
    await scene.finish()
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0))]


async def test_an_ack_of_what_is_not_in_flight_is_no_work(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    await scene.fly(0)
    waiting = await scene.server.send(ASHA, RAVI, "m-1")
    scene.acks.delivered([waiting, "5-0"])
    await scene.finish()
    assert (scene.acks.pending, gate.calls) == (0, [])
    assert await scene.waits(1)
    assert await receipts(scene.server) == []


async def test_a_receipt_is_settled_and_begets_none(scene: Scene) -> None:
    await scene.fly(0)
    await scene.server.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["x-1"])
    scene.acks.delivered(await scene.collect())
    assert (scene.acks.pending, len(scene.flights), scene.landings) == (0, 0, 1)
    await until(lambda: scene.waits(0))
    assert await receipts(scene.server) == []


async def test_the_ack_of_a_chat_whose_sender_is_gone_is_settled_all_the_same(scene: Scene) -> None:
    ids = await scene.fly(1)
    del scene.server.rows[ASHA]
    await scene.server.link.command("DEL", f"person:{{{ASHA}}}")
    scene.acks.delivered(ids)
    await scene.finish()
    assert await scene.waits(0)
    assert await mailbox_of(scene.server, ASHA) == []


# ---- what breaks


async def test_an_ack_that_could_not_be_told_is_refused_and_counts_again(
    own_link: RedisClient, own_valkey: Valkey
) -> None:
    scene = Scene(own_link)
    ids = await scene.fly(2)
    await asyncio.to_thread(own_valkey.kill)
    scene.acks.delivered(ids)
    await until(scene.told)
    assert scene.errors() == [("unavailable", "ack")]
    assert (len(scene.flights), scene.landings) == (2, 0), "they are in flight as before"
    await asyncio.to_thread(own_valkey.start)
    await scene.finish()
    assert await scene.waits(2)
    scene.acks.delivered(ids)
    await scene.finish()
    assert await scene.waits(0)
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0, 1))]


async def test_redis_killed_between_receipt_and_settling_loses_neither(
    own_link: RedisClient, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(own_link)
    ids = await scene.fly(2)
    await scene.server.people.load(ASHA)
    acknowledge = scene.server.messenger.acknowledge_soon

    def and_then_killed(holder: Holder, sender: str, message_ids: list[str], then: Any) -> None:
        def told(error: Exception | None) -> None:
            own_valkey.kill()
            then(error)

        acknowledge(holder, sender, message_ids, told)

    monkeypatch.setattr(scene.server.messenger, "acknowledge_soon", and_then_killed)
    with capture_logs() as logs:
        scene.acks.delivered(ids)
        await until(lambda: UNSETTLED in [line["event"] for line in logs])
    assert all(stream_id in scene.flights for stream_id in ids), "pending in Redis, and not to be sent again"
    await asyncio.to_thread(own_valkey.start)
    await until(lambda: scene.waits(0))
    await until(lambda: ids[0] not in scene.flights)
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0, 1))]


async def test_a_script_that_fails_refuses_the_ack_and_settles_nothing(scene: Scene, redis: "Redis") -> None:
    ids = await scene.fly(2)
    async with locked(redis, f"~*{{{RAVI}}}*"):
        scene.acks.delivered(ids)
        scene.acks.read(ASHA, names(0))
        await until(scene.told)
        await scene.finish()
    assert scene.errors() == [("internal", "ack")] * 2
    assert scene.desk.errors == [], "that is no reason to end the connection"
    assert len(scene.flights) == 0, "what cannot be acked takes no room in the window"
    assert scene.acks.pending == 0, "nobody waits for it at the end"
    assert await scene.waits(2)
    assert await receipts(scene.server) == []


async def test_a_break_between_receipt_and_settling_repeats_the_receipt_and_loses_none(
    scene: Scene, redis: "Redis"
) -> None:
    ids = await scene.fly(2)
    async with locked(redis, f"~*{{{ASHA}}}* ~seen:{{{RAVI}}}*"):
        scene.acks.delivered(ids)
        await scene.finish()
    assert await scene.waits(2)
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0, 1))]
    later = Scene(redis)  # the next connection finds them pending
    found = await later.server.mailbox.collect(HOLDER, "pending", 10)
    assert [entry.stream_id for entry in found.entries] == ids
    for entry in found.entries:
        later.flights.start(entry, time.monotonic())
    later.acks.delivered(ids)
    await later.finish()
    assert await scene.waits(0)
    assert await receipts(scene.server) == [(RAVI, "delivered", names(0, 1))] * 2


async def test_after_a_failure_of_our_own_nothing_is_pending_and_the_next_ack_is_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await scene.fly(4)
    with monkeypatch.context() as broken:
        gate = CallGate(broken, scene.server.messenger, "acknowledge_soon")
        scene.acks.delivered(ids[:1])
        await until(lambda: gate.calls)
        scene.acks.delivered(ids[1:3])  # waits for the next round, which never comes
        scene.acks.read(ASHA, ["m-2"])
        then = gate.calls[0][-1]
        then(ValueError("a bug"))
    assert [str(error) for error in scene.desk.errors] == ["a bug"]
    assert scene.acks.pending == 0
    scene.acks.delivered(ids[3:])  # heard before the connection is closed
    async with asyncio.timeout(5):
        await scene.finish()
    assert scene.acks.pending == 0
    assert await receipts(scene.server) == [(RAVI, "delivered", names(3))]
    assert [entry.stream_id for entry in await mailbox_of(scene.server, RAVI)] == ids[:3], "for the next connection"


async def test_a_failure_of_one_receipt_ends_the_round_whatever_becomes_of_the_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await scene.fly(1) + await scene.fly(1, EVE)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    scene.acks.delivered(ids)
    await until(lambda: len(gate.calls) == 2)
    (*_, fail), (*_, tell) = gate.calls
    fail(ValueError("a bug"))
    assert scene.acks.pending == 0
    tell(None)
    assert scene.acks.pending == 0
    fail(None)  # all have answered
    assert scene.acks.pending == 0
    async with asyncio.timeout(5):
        await scene.finish()
    assert [str(error) for error in scene.desk.errors] == ["a bug"]


# ---- reads


async def test_a_read_is_told_once_and_settles_and_makes_room(scene: Scene) -> None:
    ids = await scene.fly(2)
    for _ in range(2):
        scene.acks.read(ASHA, names(0, 1))
        assert scene.acks.pending == 1
        await until(scene.told)
    assert await receipts(scene.server) == [(RAVI, "read", names(0, 1))]
    assert await scene.waits(0)
    assert (len(scene.flights), ids[0] in scene.flights) == (0, False)
    assert scene.landings == 2


async def test_reads_are_told_after_the_deliveries_before_them(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await scene.fly(3)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    scene.acks.delivered(ids[:1])
    await until(lambda: gate.calls)
    scene.acks.delivered(ids[1:2])
    scene.acks.read(ASHA, names(0, 1))
    scene.acks.delivered(ids[2:])
    scene.acks.read(ASHA, names(2))
    gate.open()
    await scene.finish()
    assert [(kind, told) for _, kind, told in await receipts(scene.server)] == [
        ("delivered", names(0)),
        ("delivered", names(1, 2)),
        ("read", names(0, 1, 2)),
    ]
    assert await scene.waits(0)


async def test_a_read_that_could_not_be_told_is_refused(own_link: RedisClient, own_valkey: Valkey) -> None:
    scene = Scene(own_link)
    await scene.fly(1)
    await asyncio.to_thread(own_valkey.kill)
    scene.acks.read(ASHA, names(0))
    await until(scene.told)
    assert scene.errors() == [("unavailable", "ack")]
    assert len(scene.flights) == 1
    await asyncio.to_thread(own_valkey.start)
    await scene.finish()
    assert await scene.waits(1)
    scene.acks.read(ASHA, names(0))
    await scene.finish()
    assert await receipts(scene.server) == [(RAVI, "read", names(0))]
    assert await scene.waits(0)


# ---- settling


async def test_settling_waits_for_company(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settles, "SETTLE_SECONDS", 0.2)
    ids = await scene.fly(3)
    gate = Gate(monkeypatch, scene.server.messenger, "settle")
    gate.open()
    for stream_id in ids:
        scene.acks.delivered([stream_id])
        await until(scene.told)
    assert gate.calls == []
    await until(lambda: scene.waits(0))
    assert [[entry.stream_id for entry in landed] for _, landed in gate.calls] == [ids]


async def test_what_could_not_be_settled_is_tried_again_with_what_came_since(
    own_link: RedisClient, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settles, "SETTLE_SECONDS", 0.5)
    scene = Scene(own_link)
    ids = await scene.fly(1)
    await scene.server.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["x-1"])
    receipt = await scene.collect()
    scene.acks.delivered(ids)
    await until(scene.told)
    await asyncio.to_thread(own_valkey.kill)
    gate = Gate(monkeypatch, scene.server.messenger, "settle")
    gate.open()
    with capture_logs() as logs:
        await until(lambda: UNSETTLED in [line["event"] for line in logs])
    scene.acks.delivered(receipt)
    await asyncio.to_thread(own_valkey.start)
    await until(lambda: scene.waits(0))
    assert [entry.stream_id for entry in gate.calls[-1][1]] == ids + receipt


async def test_the_end_settles_at_once_what_was_acked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settles, "SETTLE_SECONDS", 60)
    ids = await scene.fly(2)
    gate = CallGate(monkeypatch, scene.server.messenger, "acknowledge_soon")
    scene.acks.delivered(ids)
    finishing = asyncio.create_task(scene.finish())
    await asyncio.sleep(0.05)
    assert not finishing.done(), "their sender is not told yet"
    gate.open()
    await asyncio.wait_for(finishing, 5)
    assert await scene.waits(0)


async def test_an_end_without_redis_waits_for_nobody(
    own_link: RedisClient, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settles, "SETTLE_SECONDS", 60)
    scene = Scene(own_link)
    ids = await scene.fly(1)
    scene.acks.delivered(ids)
    await until(scene.told)
    await asyncio.to_thread(own_valkey.kill)
    with capture_logs() as logs:
        await asyncio.wait_for(scene.finish(), 3)
        await asyncio.sleep(settles.RETRY_SECONDS + 0.3)
    told = [line for line in logs if line["event"] == UNSETTLED]
    assert [(line["entries"], line["again"]) for line in told] == [(1, False)], "and tries no more"
    await asyncio.to_thread(own_valkey.start)
    assert await scene.waits(1)
