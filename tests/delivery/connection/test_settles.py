"""What is through leaves the mailbox with the next read, or soon by itself; and what could not leave is tried again."""

import asyncio

import pytest
from redis.asyncio import Redis

from delivery.connection import settles as module
from delivery.connection.settles import Settles
from delivery.in_flight import Flights, Landed
from delivery.presence import Holder
from protocol.errors import ApiError
from tests.delivery.desk import Desk, Gate
from tests.delivery.one_server import ASHA, RAVI, OneServer, landed, until
from tests.delivery.test_messenger import mailbox_of

HOLDER = Holder(RAVI, "primary", "s1", "c1")


class Scene:
    """Ravi has so many chats of Asha's in hand."""

    def __init__(self, redis: "Redis") -> None:
        self.server, self.desk, self.flights = OneServer(redis), Desk(), Flights(100)
        self.settles = Settles(self.desk, HOLDER, self.server.messenger, self.flights)

    async def through(self, count: int) -> list[Landed]:
        await self.server.messenger.connect(HOLDER, f"account of {RAVI}")
        for n in range(count):
            await self.server.send(ASHA, RAVI, f"m-{n}")
        entries = (await self.server.mailbox.collect(HOLDER, "new", 100)).entries
        for entry in entries:
            self.flights.start(entry, 0.0)
        found = self.flights.land(entry.stream_id for entry in entries)
        assert found == landed(*entries)
        return found

    async def waits(self, count: int) -> bool:
        return len(await mailbox_of(self.server, RAVI)) == count


@pytest.fixture
def scene(redis: "Redis") -> Scene:
    return Scene(redis)


async def test_by_itself_it_leaves_soon_and_together(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = await scene.through(2)
    gate = Gate(monkeypatch, scene.server.messenger, "settle")
    gate.open()
    scene.settles.put([one])
    scene.settles.put([two])
    await until(lambda: scene.waits(0))
    assert gate.calls == [(HOLDER, [one, two])]
    await until(lambda: one.stream_id not in scene.flights)


async def test_what_was_taken_along_is_settled_by_nobody_else(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    all_three = await scene.through(3)
    gate = Gate(monkeypatch, scene.server.messenger, "settle")
    scene.settles.put(all_three)
    assert scene.settles.take() == all_three
    assert scene.settles.take() == []
    await asyncio.sleep(module.SETTLE_SECONDS + 0.1)
    assert gate.calls == []
    assert all(entry.stream_id in scene.flights for entry in all_three), "known until it is settled"
    scene.settles.gone(all_three)
    assert not any(entry.stream_id in scene.flights for entry in all_three)


async def test_what_was_taken_and_put_back_is_tried_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    both = await scene.through(2)
    scene.settles.put(both)
    scene.settles.put_back(scene.settles.take())
    await until(lambda: scene.waits(0))


async def test_no_more_than_so_many_are_taken_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    five = await scene.through(5)
    gate = Gate(monkeypatch, scene.server.messenger, "settle")
    gate.open()
    scene.settles.put(five)
    assert scene.settles.take() == five[:2]
    scene.settles.put_back(five[:2])
    await scene.settles.finish()
    assert [entries for _, entries in gate.calls] == [five[:2], five[2:4], five[4:]]
    assert await scene.waits(0)


async def test_the_end_gives_up_what_cannot_be_settled(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise ApiError("unavailable")

    scene.settles.put(await scene.through(1))
    monkeypatch.setattr(scene.server.messenger, "settle", fail)
    await scene.settles.finish()
    assert await scene.waits(1), "pending, for the next connection"
