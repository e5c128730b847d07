"""The carrier on a real Redis, with a road that notes what it is asked to do."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from delivery.connection import carrier as module
from delivery.connection.carrier import Carrier
from delivery.connection.settles import Settles
from delivery.in_flight import Flights, Landed
from delivery.mailbox import Collected, Mailbox, Mode
from delivery.presence import Holder, Presence
from delivery.user_records import UserRecords
from protocol.dialects import V1, Dialect, Seed
from protocol.errors import SLOW_CONSUMER, ApiError, Close
from settings import Settings
from tests.delivery.connection.test_handover import Clumsy
from tests.delivery.desk import Desk
from tests.delivery.one_server import OneServer
from tests.delivery.test_mailbox import ASHA, RAVI, Row
from tests.support.links import link_to

HOLDER = Holder(RAVI, "primary", "s1", "c1")
OTHER = Holder(RAVI, "primary", "s2", "c2")


@dataclass
class Road:
    """What a connection would do."""

    frames: list[dict[str, Any]] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)
    lost: int = 0
    ended: bool = False
    slow: bool = False
    carried: int = 0
    errors: list[BaseException] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    def say(self, frames: Sequence[bytes]) -> None:
        self.frames += [msgspec.json.decode(frame) for frame in frames]

    async def carry(self, frames: Sequence[bytes]) -> None:
        self.carried += 1
        self.say(frames)

    def done(self, error: BaseException | None = None) -> None:
        self.errors += [] if error is None else [error]

    def confirm(self, receipts: Sequence[str]) -> None:
        self.confirmed += receipts

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def lease_gone(self) -> None:
        self.lost += 1

    def chats(self) -> list[str]:
        return [frame["messageId"] for frame in self.frames if frame["type"] == "chat"]


@dataclass
class Scene:
    """Ravi's carrier, and what stands around it."""

    carrier: Carrier
    road: Road
    mailbox: Mailbox
    presence: Presence
    flights: Flights
    settles: Settles

    async def send(self, message_id: str) -> None:
        self.carrier.ring((await self.mailbox.deposit(RAVI, ASHA, [(message_id, "hello")])).newest)

    async def ack(self, *message_ids: str) -> None:
        ids = [frame["streamId"] for frame in self.road.frames if frame.get("messageId") in message_ids]
        settled = [chat.stream_id for chat in self.flights.ack(ids)[0]]
        await self.mailbox.settle(RAVI, "primary", [Landed(stream_id, ASHA, len("hello")) for stream_id in settled])
        self.flights.forget(settled)
        self.carrier.landed()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not done():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def carrying(redis: "Redis", dialect: Dialect | None = None, **knobs: Any) -> AsyncIterator[Scene]:
    async def find(mobile: str) -> Row:
        return Row(f"account of {mobile}")

    settings = Settings(
        redis_url="unix://unused",
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
        **knobs,
    )
    link = link_to(redis)
    people = UserRecords(link, find)
    mailbox, presence, road = Mailbox(link, people, settings), Presence(link, people, settings), Road()
    flights = Flights(settings.window)
    settles = Settles(Desk(), HOLDER, OneServer(redis).messenger, flights)
    carrier = Carrier(road, HOLDER, mailbox, dialect or V1(), flights, settles, settings)
    scene = Scene(carrier, road, mailbox, presence, flights, settles)
    scene.carrier.begin((await presence.claim(HOLDER, f"account of {RAVI}")).newest)
    try:
        yield scene
    finally:
        road.ended = True
        for task in road.tasks:
            task.cancel()
        await asyncio.gather(*road.tasks, return_exceptions=True)


async def test_what_is_rung_is_carried_once_and_in_order(redis: "Redis") -> None:
    async with carrying(redis) as scene:
        for n in range(50):
            await scene.send(f"m-{n}")
        await until(lambda: len(scene.road.chats()) == 50)
        assert scene.road.chats() == [f"m-{n}" for n in range(50)]
        scene.carrier.ring("")
        await asyncio.sleep(0.1)
        assert len(scene.road.chats()) == 50


async def test_no_more_than_a_window_is_in_flight(redis: "Redis") -> None:
    async with carrying(redis, window=4) as scene:
        for n in range(10):
            await scene.send(f"m-{n}")
        await until(lambda: len(scene.road.chats()) == 4)
        await scene.ack("m-0")
        await asyncio.sleep(0.1)
        assert len(scene.road.chats()) == 4  # it waits until half the window is free
        await scene.ack("m-1")
        await until(lambda: len(scene.road.chats()) == 6)


class Reads:
    """Which reads of the mailbox were done; from :meth:`hold` to :meth:`release` their answers are kept back."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        self.modes: list[str] = []
        self._free = asyncio.Event()
        self._free.set()
        self._real = scene.mailbox.collect
        self._real_soon = scene.mailbox.collect_soon
        self._kept: list[Callable[[], None]] = []
        monkeypatch.setattr(scene.mailbox, "collect", self._collect)
        monkeypatch.setattr(scene.mailbox, "collect_soon", self._collect_soon)

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()
        while self._kept:
            self._kept.pop(0)()

    def _collect_soon(self, holder: Holder, count: int, landed: Any, then: Callable[[Any], None]) -> None:
        def keep(found: Any) -> None:
            self.modes.append("new")
            if self._free.is_set():
                then(found)
            else:
                self._kept.append(lambda: then(found))

        self._real_soon(holder, count, landed, keep)

    async def _collect(self, holder: Holder, mode: Mode, *args: Any) -> Collected:
        found = await self._real(holder, mode, *args)
        self.modes.append(mode)
        await self._free.wait()
        return found


async def at_rest(scene: Scene) -> Scene:
    """The backlog is through."""
    await until(lambda: scene.road.frames != [] and all(task.done() for task in scene.road.tasks))
    return scene


async def test_a_ring_for_what_was_read_already_reads_nothing(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    async with carrying(redis) as scene:
        reads = Reads(await at_rest(scene), monkeypatch)
        ids = (await scene.mailbox.deposit(RAVI, ASHA, [(f"m-{n}", "hello") for n in range(5)])).stream_ids
        for stream_id in ids:  # one ring after the other, before the first read
            scene.carrier.ring(stream_id or "")
        await until(lambda: len(scene.road.chats()) == 5)
        await at_rest(scene)
        assert reads.modes == ["new"]
        for stream_id in ids:
            scene.carrier.ring(stream_id or "")
            await asyncio.sleep(0.01)
        assert reads.modes == ["new"]
        await scene.ack(*scene.road.chats())
        await at_rest(scene)
        assert reads.modes == ["new"], "nor does an ack, with nothing left to read"


async def test_rings_during_a_read_lead_to_exactly_one_more(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    async with carrying(redis) as scene:
        reads = Reads(await at_rest(scene), monkeypatch)
        reads.hold()
        await scene.send("m-0")
        await until(lambda: reads.modes == ["new"])
        for n in range(1, 4):
            await scene.send(f"m-{n}")
        reads.release()
        await until(lambda: len(scene.road.chats()) == 4)
        await at_rest(scene)
        assert reads.modes == ["new", "new"]
        assert scene.road.chats() == [f"m-{n}" for n in range(4)]


async def test_a_ring_during_the_read_that_brings_its_entry_leads_to_none(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with carrying(redis) as scene:
        reads = Reads(await at_rest(scene), monkeypatch)
        first, second = (await scene.mailbox.deposit(RAVI, ASHA, [("m-0", "hello"), ("m-1", "hello")])).stream_ids
        reads.hold()
        scene.carrier.ring(first or "")
        await until(lambda: reads.modes == ["new"])
        scene.carrier.ring(second or "")
        reads.release()
        await until(lambda: scene.road.chats() == ["m-0", "m-1"])
        await at_rest(scene)
        assert reads.modes == ["new"]


async def test_a_full_window_is_not_read_for_until_half_of_it_is_free(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with carrying(redis, window=4) as scene:
        for n in range(4):
            await scene.send(f"m-{n}")
        await until(lambda: len(scene.road.chats()) == 4)
        reads = Reads(await at_rest(scene), monkeypatch)
        for n in range(4, 8):
            await scene.send(f"m-{n}")
        await scene.ack("m-3")
        await asyncio.sleep(0.05)
        assert reads.modes == []
        await scene.ack("m-0")
        await until(lambda: len(scene.road.chats()) == 6)
        await at_rest(scene)
        assert reads.modes == ["new"]
        await scene.ack(*scene.road.chats())
        await until(lambda: scene.road.chats() == [f"m-{n}" for n in range(8)])


async def test_a_window_nobody_empties_ends_the_connection(redis: "Redis") -> None:
    async with carrying(redis, window=2, stuck_window_seconds=5, redeliver_seconds=60) as scene:
        for n in range(3):
            await scene.send(f"m-{n}")
        await until(lambda: len(scene.road.chats()) == 2)
        scene.carrier.tick(time.monotonic() + 4)
        assert scene.road.closes == []
        scene.carrier.tick(time.monotonic() + 6)
        assert scene.road.closes == [SLOW_CONSUMER]


async def test_what_stays_unacked_comes_again_so_many_times_and_then_rests(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with carrying(redis, redeliver_seconds=0.1, redeliver_times=2) as scene:
        await scene.send("m-1")
        await until(lambda: scene.road.chats() == ["m-1"])
        while len(scene.road.chats()) < 3:
            scene.carrier.tick(time.monotonic())
            await asyncio.sleep(0.02)
        assert len({frame["streamId"] for frame in scene.road.frames if frame["type"] == "chat"}) == 1
        await asyncio.sleep(0.2)
        asked: list[str] = []
        monkeypatch.setattr(scene.mailbox, "collect", lambda _holder, mode, *_: asked.append(mode))
        for _ in range(5):
            scene.carrier.tick(time.monotonic())
            await asyncio.sleep(0.02)
        assert asked == []  # nothing is due: Redis is left alone
        assert len(scene.road.chats()) == 3


async def test_what_is_acked_while_it_is_fetched_again_is_not_said_again(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with carrying(redis, redeliver_seconds=0.05) as scene:
        for name in ("m-0", "m-1", "m-2"):
            await scene.send(name)
        await until(lambda: len(scene.road.chats()) == 3)
        reads = Reads(await at_rest(scene), monkeypatch)
        ids = [frame["streamId"] for frame in scene.road.frames if frame["type"] == "chat"]
        await asyncio.sleep(0.1)
        reads.hold()
        scene.carrier.tick(time.monotonic())
        await until(lambda: reads.modes == ["again"])
        scene.flights.ack(ids[:2])
        scene.flights.land(ids[:1])  # its sender was told; the other one's is being told
        reads.release()
        await until(lambda: len(scene.road.chats()) > 3)
        await at_rest(scene)
        assert scene.road.chats()[3:] == ["m-2"]
        assert len(scene.flights) == 2
        assert scene.flights.ack(ids[:2]) == ([], []), "one ack is one receipt"


async def test_a_lease_lost_and_found_again_does_not_end_the_carrying(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    async with carrying(redis) as scene:
        await scene.presence.claim(OTHER, f"account of {RAVI}", mode="proven")
        await scene.send("m-1")
        await until(lambda: scene.road.lost > 0)
        assert scene.road.chats() == []
        await scene.presence.release(OTHER, 0)
        scene.carrier.begin((await scene.presence.claim(HOLDER, f"account of {RAVI}")).newest)
        await until(lambda: scene.road.chats() == ["m-1"])


async def test_a_storage_that_lost_everything_and_is_behind_in_time_is_listened_to(redis: "Redis") -> None:
    async with carrying(redis) as scene:
        await at_rest(scene)
        tomorrow = f"{int((time.time() + 86_400) * 1000)}-0"
        scene.carrier.ring(tomorrow)  # of an entry that is lost with the rest
        await at_rest(scene)
        await redis.flushall()
        scene.carrier.begin((await scene.presence.claim(HOLDER, f"account of {RAVI}", mode="again")).newest)
        await at_rest(scene)
        await scene.send("m-1")
        await until(lambda: scene.road.chats() == ["m-1"])


async def test_what_is_through_leaves_with_the_next_read(redis: "Redis") -> None:
    async with carrying(redis) as scene:
        await scene.send("m-1")
        await until(lambda: scene.road.chats() == ["m-1"])
        ids = [frame["streamId"] for frame in scene.road.frames if frame["type"] == "chat"]
        scene.flights.ack(ids)
        scene.settles.put(scene.flights.land(ids))
        await scene.send("m-2")
        await until(lambda: scene.road.chats() == ["m-1", "m-2"])
        assert await redis.xlen(f"mailbox:{{{RAVI}}}") == 1
        assert ids[0] not in scene.flights


async def test_what_is_through_is_kept_when_the_read_is_refused(redis: "Redis") -> None:
    async with carrying(redis) as scene:
        await scene.send("m-1")
        await until(lambda: scene.road.chats() == ["m-1"])
        ids = [frame["streamId"] for frame in scene.road.frames if frame["type"] == "chat"]
        scene.flights.ack(ids)
        landed = scene.flights.land(ids)
        scene.settles.put(landed)
        await scene.presence.claim(OTHER, f"account of {RAVI}", mode="proven")
        await scene.send("m-2")
        await until(lambda: scene.road.lost > 0)
        scene.road.ended = True
        assert await redis.xlen(f"mailbox:{{{RAVI}}}") == 2
        assert scene.settles.take() == landed


async def test_what_another_consumer_left_is_claimed(redis: "Redis") -> None:
    async with carrying(redis) as scene:
        await scene.presence.claim(OTHER, f"account of {RAVI}", mode="proven")
        await scene.mailbox.deposit(RAVI, ASHA, [("m-1", "hello")])
        assert (await scene.mailbox.collect(OTHER, "new", 10)).read == 1
        scene.carrier.begin((await scene.presence.claim(HOLDER, f"account of {RAVI}", mode="proven")).newest)
        await until(lambda: scene.road.chats() == ["m-1"])


async def test_an_entry_our_own_code_fails_on_is_counted_and_holds_up_none_behind_it(redis: "Redis") -> None:
    async with carrying(redis, Clumsy()) as scene:
        await scene.send("poison")
        await scene.send("fine")
        await until(lambda: scene.road.chats() == ["fine"])
        failures = await redis.hgetall(f"parked:{{{RAVI}}}")  # type: ignore[misc]
        assert list(failures.values()) == [b"1"]
        assert await redis.xlen(f"mailbox:{{{RAVI}}}") == 2


async def test_the_same_on_the_short_road(redis: "Redis") -> None:
    async with carrying(redis, Clumsy()) as scene:
        await at_rest(scene)
        for message_id in ("poison", "fine", "poison", "finer"):
            await scene.send(message_id)
        await until(lambda: scene.road.chats() == ["fine", "finer"])
        assert list((await redis.hgetall(f"parked:{{{RAVI}}}")).values()) == [b"1"]  # type: ignore[misc]


async def test_a_slow_reader_is_waited_for_also_on_the_short_road(redis: "Redis") -> None:
    async with carrying(redis) as scene:
        await at_rest(scene)
        scene.road.slow = True
        carried = scene.road.carried
        for n in range(3):
            await scene.send(f"m-{n}")
        await until(lambda: scene.road.chats() == ["m-0", "m-1", "m-2"])
        assert scene.road.carried > carried


async def test_after_a_refused_round_what_may_be_pending_comes_first(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with carrying(redis, redeliver_seconds=0.1) as scene:
        await scene.send("m-1")
        await until(lambda: scene.road.chats() == ["m-1"])
        await at_rest(scene)
        modes: list[str] = []
        collect = scene.mailbox.collect

        async def refused_once(holder: Holder, mode: Mode, *args: Any) -> Collected:
            modes.append(mode)
            if len(modes) == 1:
                raise ApiError("unavailable")
            return await collect(holder, mode, *args)

        monkeypatch.setattr(scene.mailbox, "collect", refused_once)
        await asyncio.sleep(0.15)
        scene.carrier.tick(time.monotonic())
        await until(lambda: "pending" in modes)
        assert modes[0] == "again"


async def test_a_bug_on_the_short_road_ends_the_connection(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    async with carrying(redis) as scene:
        await at_rest(scene)
        bug = ValueError("a bug")
        monkeypatch.setattr(scene.mailbox, "collect_soon", lambda *args: args[-1](bug))
        await scene.send("m-1")
        assert scene.road.errors == [bug]


async def test_receipts_of_a_seed_client_are_to_be_confirmed(redis: "Redis") -> None:
    async with carrying(redis, Seed()) as scene:
        deposit = await scene.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["m-1", "m-2"])
        assert deposit is not None
        scene.carrier.ring(deposit.stream_id)
        await until(lambda: scene.road.confirmed == [deposit.stream_id])
        assert [frame["messageId"] for frame in scene.road.frames] == ["m-1", "m-2"]


async def test_a_gap_in_the_rings_during_a_read_is_looked_into_after_it(
    redis: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    async with carrying(redis) as scene:
        await until(lambda: any(frame["type"] == "synced" for frame in scene.road.frames))
        held: list[Callable[[], None]] = []
        collect = scene.mailbox.collect_soon

        def holding(holder: Holder, count: int, landed: Sequence[Landed], then: Callable[..., None]) -> None:
            collect(holder, count, landed, lambda found: held.append(lambda: then(found)))

        monkeypatch.setattr(scene.mailbox, "collect_soon", holding)
        scene.carrier.expect()
        await until(lambda: bool(held))  # it found nothing
        await scene.mailbox.deposit(RAVI, ASHA, [("m-1", "hello")])  # whose ring is lost
        scene.carrier.ring("")
        held.pop()()
        await until(lambda: scene.road.chats() == ["m-1"])


async def test_behind_a_read_that_brought_all_it_asked_for_there_may_be_more(redis: "Redis") -> None:
    async with carrying(redis, window=1) as scene:
        await until(lambda: any(frame["type"] == "synced" for frame in scene.road.frames))
        await scene.mailbox.deposit(RAVI, ASHA, [("m-1", "hello"), ("m-2", "hello")])  # whose ring is lost
        scene.carrier.expect()
        await until(lambda: scene.road.chats() == ["m-1"])
        await scene.ack("m-1")
        await until(lambda: scene.road.chats() == ["m-1", "m-2"])
