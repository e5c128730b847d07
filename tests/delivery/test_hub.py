"""Who is connected here, and who hears what."""

import asyncio
from dataclasses import dataclass, field

import pytest

from delivery import hub as module
from delivery.hub import Hub
from protocol.errors import LEASE_LOST, LOGGED_OUT, REPLACED, Close


@dataclass(eq=False)
class Noted:
    """A member that writes down what it is told."""

    hub: Hub
    mobile: str = "9100000001"
    connection_id: str = "c1"
    session_id: str = "session-1"
    expected: int = 0
    rings: list[str] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    drains: list[float] = field(default_factory=list)

    def expect(self) -> None:
        self.expected += 1

    def ring(self, stream_id: str) -> None:
        self.rings.append(stream_id)

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def tick(self, now: float) -> None:
        self.ticks.append(now)

    def drain(self, retry_after: float) -> None:
        self.drains.append(retry_after)
        self.hub.leave(self)


def entered(hub: Hub, **what: str) -> Noted:
    member = Noted(hub, **what)  # type: ignore[arg-type]
    hub.enter(member)
    return member


def test_a_person_is_rung_on_all_his_connections_and_nobody_else() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, connection_id="c2")
    other = entered(hub, mobile="9100000002")
    hub.ring("9100000001", "5-0")
    hub.ring("9100000009", "5-0")
    assert (one.rings, two.rings, other.rings) == (["5-0"], ["5-0"], [])
    hub.ring_all()
    assert [each.rings[-1] for each in (one, two, other)] == ["", "", ""]


def test_what_a_person_is_to_expect_all_his_connections_are_told_and_nobody_else() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, connection_id="c2")
    other = entered(hub, mobile="9100000002")
    hub.expect("9100000001")
    hub.expect("9100000009")
    assert [each.expected for each in (one, two, other)] == [1, 1, 0]


def test_leaving_tells_whether_it_was_the_last_and_twice_is_no_harm() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, connection_id="c2")
    assert hub.leave(one) is False
    assert hub.leave(one) is False
    assert len(hub) == 1
    assert hub.leave(two) is True
    assert hub.leave(two) is True
    assert len(hub) == 0
    assert hub.members() == []


def test_only_the_named_connection_is_replaced() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, connection_id="c2")
    hub.replaced("9100000001", "c2")
    hub.replaced("9100000001", "c9")
    hub.replaced("9100000009", "c1")
    assert (one.closes, two.closes) == ([], [REPLACED])


def test_a_session_ends_wherever_it_is() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, mobile="9100000002", session_id="session-2")
    hub.close_session("session-2")
    assert (one.closes, two.closes) == ([], [LOGGED_OUT])


async def test_draining_waits_until_all_have_left() -> None:
    hub = Hub(60)
    hub.start()
    members = [entered(hub, connection_id=f"c{n}") for n in range(3)]
    await asyncio.wait_for(hub.drain(), 2)
    assert all(len(each.drains) == 1 and 0.2 <= each.drains[0] <= 1.0 for each in members)


async def test_everybody_ticks_and_a_process_that_stood_still_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.01)
    patient, hasty = Hub(60), Hub(0.0)
    ticking, frozen = entered(patient), entered(hasty)
    patient.start()
    hasty.start()
    await asyncio.sleep(0.1)
    assert len(ticking.ticks) > 2
    assert ticking.closes == []
    assert frozen.ticks == []
    assert frozen.closes[0] == LEASE_LOST
    for hub in (patient, hasty):
        await hub.drain()


async def test_a_member_that_fails_takes_no_other_along_nor_the_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.01)
    hub = Hub(60)
    broken, other = entered(hub), entered(hub, connection_id="c2")
    fails: list[float] = []

    def tick(now: float) -> None:
        fails.append(now)
        raise KeyError("broken")

    monkeypatch.setattr(broken, "tick", tick)
    hub.start()
    async with asyncio.timeout(5):
        while len(fails) < 3 or len(other.ticks) < 3:
            await asyncio.sleep(0.01)
    await hub.drain()


async def test_work_lives_on_without_whoever_asked_for_it() -> None:
    hub, done = Hub(60), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    hub.spawn(work())
    await asyncio.wait_for(done.wait(), 1)
