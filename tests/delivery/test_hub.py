"""Who is connected here, and which connection is told what."""

import asyncio
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from delivery import hub as module
from delivery.hub import LOOK_AGAIN, Hub
from protocol.errors import LEASE_LOST, LOGGED_OUT, REPLACED, Close

RAVI, ASHA = "9100000001", "9100000002"


@dataclass(eq=False)
class Recorder:
    """A connection that records what it is told."""

    hub: Hub
    mobile: str = RAVI
    connection_id: str = "c1"
    session_id: str = "session-1"
    told: list[str | None] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    drains: list[float] = field(default_factory=list)

    def prefetch(self) -> None:
        self.told.append(None)

    def notify(self, stream_id: str) -> None:
        self.told.append(stream_id)

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def tick(self, now: float) -> None:
        self.ticks.append(now)

    def drain(self, retry_after: float) -> None:
        self.drains.append(retry_after)
        self.hub.leave(self)


def entered(hub: Hub, **what: str) -> Recorder:
    connection = Recorder(hub, **what)  # type: ignore[arg-type]
    hub.enter(connection)
    return connection


async def test_all_connections_of_a_user_are_notified_and_no_others() -> None:
    hub = Hub(60)
    one, two, other = entered(hub), entered(hub, connection_id="c2"), entered(hub, mobile=ASHA)
    hub.prefetch(RAVI)
    hub.notify(RAVI, "5-0")
    for nobody in ("9100000009", ""):
        hub.prefetch(nobody)
        hub.notify(nobody, "5-0")
    assert one.told == [], "never on the stack of the caller"
    await asyncio.sleep(0)
    assert (one.told, two.told, other.told) == ([None, "5-0"], [None, "5-0"], [])
    hub.notify_all()
    await asyncio.sleep(0)
    assert [each.told[-1] for each in (one, two, other)] == [LOOK_AGAIN] * 3


async def test_what_is_queued_can_be_delivered_before_the_tick_ends_and_is_delivered_once() -> None:
    hub = Hub(60)
    one = entered(hub)
    hub.notify(RAVI, "5-0")
    hub.deliver()
    assert one.told == ["5-0"]
    await asyncio.sleep(0)
    assert one.told == ["5-0"]


async def test_a_connection_that_fails_keeps_nothing_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(60)
    broken, other = entered(hub), entered(hub, connection_id="c2")

    def fail(stream_id: str) -> None:
        raise ValueError(stream_id)

    monkeypatch.setattr(broken, "notify", fail)
    with capture_logs() as logs:
        hub.notify(RAVI, "5-0")
        await asyncio.sleep(0)
    assert other.told == ["5-0"]
    assert [line["event"] for line in logs] == ["a connection could not be notified"]


async def test_leaving_tells_whether_it_was_the_last_and_twice_is_no_harm() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, connection_id="c2")
    assert hub.leave(one) is False
    assert hub.leave(one) is False
    assert len(hub) == 1
    hub.notify(RAVI, "5-0")
    assert hub.leave(two) is True
    assert hub.leave(two) is True
    await asyncio.sleep(0)
    assert (len(hub), hub.connections(), two.told) == (0, [], [])


def test_only_the_named_connection_is_replaced() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, connection_id="c2")
    hub.replaced(RAVI, "c2")
    hub.replaced(RAVI, "c9")
    hub.replaced("9100000009", "c1")
    assert (one.closes, two.closes) == ([], [REPLACED])


def test_a_session_ends_wherever_it_is() -> None:
    hub = Hub(60)
    one, two = entered(hub), entered(hub, mobile=ASHA, session_id="session-2")
    hub.close_sessions({"session-2"})
    assert (one.closes, two.closes) == ([], [LOGGED_OUT])


async def test_a_connection_that_cannot_be_ended_keeps_no_other_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(60)
    broken, other = entered(hub), entered(hub, connection_id="c2")

    def fail(_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(broken, "close", fail)
    monkeypatch.setattr(broken, "drain", fail)
    with capture_logs() as logs:
        hub.close_sessions({"session-1"})
        hub.replaced(RAVI, "c1")
        draining = asyncio.create_task(hub.drain())
        await asyncio.sleep(0)
    assert (other.closes, len(other.drains)) == ([LOGGED_OUT], 1)
    assert [line["event"] for line in logs] == 3 * ["a connection could not be ended"]
    hub.leave(broken)
    await asyncio.wait_for(draining, 2)


async def test_draining_waits_until_all_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(60)
    hub.start()
    connections = [entered(hub, connection_id=f"c{n}") for n in range(3)]
    slow = entered(hub, mobile=ASHA)
    monkeypatch.setattr(slow, "drain", lambda _: None)
    draining = asyncio.create_task(hub.drain())
    await asyncio.sleep(0.05)
    assert not draining.done()
    assert all(len(each.drains) == 1 and 0.2 <= each.drains[0] <= 1.0 for each in connections)
    hub.leave(slow)
    await asyncio.wait_for(draining, 2)


async def test_everybody_ticks_and_a_process_that_stood_still_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.01)
    patient, hasty = Hub(60), Hub(0.0)
    ticking, frozen = entered(patient), entered(hasty)
    patient.start()
    hasty.start()
    async with asyncio.timeout(5):
        while len(ticking.ticks) < 3 or not frozen.closes:
            await asyncio.sleep(0.01)
    assert ticking.closes == []
    assert frozen.ticks == []
    assert frozen.closes[0] == LEASE_LOST
    for hub in (patient, hasty):
        await hub.drain()


async def test_a_connection_whose_tick_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_work_goes_on_without_its_caller() -> None:
    hub, done = Hub(60), asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    hub.spawn(work())
    await asyncio.wait_for(done.wait(), 1)
