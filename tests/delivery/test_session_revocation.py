"""Sockets of closed sessions are closed: at once, after a lost notification, and when nobody can tell any more."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from delivery import session_revocation as module
from delivery.hub import Hub
from delivery.results import CommandFailed
from delivery.session_revocation import SessionRevocation
from protocol.errors import LOGGED_OUT, UNAVAILABLE, ApiError, Close
from tests.support.waiting import until


@dataclass(eq=False)
class Socket:
    """A connection of one session."""

    session_id: str
    closes: list[Close] = field(default_factory=list)
    mobile: str = "9100000001"

    @property
    def connection_id(self) -> str:
        return f"connection of {self.session_id}"

    def close(self, close: Close) -> None:
        self.closes.append(close)


@dataclass
class Sessions:
    """What the accounts know of sessions."""

    revoked: set[str] = field(default_factory=set)
    away: bool = False
    asked: list[set[str]] = field(default_factory=list)

    async def revoked_among(self, session_ids: list[str]) -> set[str]:
        self.asked.append(set(session_ids))
        if self.away:
            raise ApiError("unavailable")
        return self.revoked & set(session_ids)


class Fakes:
    """Notifications and devices that write down what they are told."""

    def __init__(self) -> None:
        self.notified: list[str] = []
        self.logged_out_devices: list[tuple[str, str]] = []
        self.fail: Exception | None = None

    async def closed(self, session_ids: list[str]) -> None:
        if self.fail is not None:
            raise self.fail
        self.notified += session_ids

    async def logged_out(self, mobile: str, device_id: str) -> None:
        self.logged_out_devices.append((mobile, device_id))


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
def hub() -> Hub:
    return Hub(15)


@pytest.fixture
def revocation(hub: Hub, fakes: Fakes) -> SessionRevocation:
    parts: Any = fakes
    return SessionRevocation(hub, parts, parts)


def connect(hub: Hub, session_id: str) -> Socket:
    socket = Socket(session_id)
    entering: Any = socket
    hub.enter(entering)
    return socket


async def test_a_check_closes_the_sockets_of_revoked_sessions_only(hub: Hub, revocation: SessionRevocation) -> None:
    one, other = connect(hub, "one"), connect(hub, "other")
    sessions = Sessions({"one", "of another server"})
    await revocation.check(sessions.revoked_among)
    assert (one.closes, other.closes) == ([LOGGED_OUT], [])
    assert sessions.asked == [{"one", "other"}]


async def test_without_sockets_nothing_is_looked_up(revocation: SessionRevocation) -> None:
    sessions = Sessions()
    await revocation.check(sessions.revoked_among)
    assert sessions.asked == []


async def test_sockets_are_closed_when_their_sessions_have_been_unknown_for_too_long(
    hub: Hub, revocation: SessionRevocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    socket, sessions = connect(hub, "one"), Sessions()
    await revocation.check(sessions.revoked_among)
    sessions.away = True
    now += module.MAX_UNKNOWN_SECONDS
    await revocation.check(sessions.revoked_among)
    assert socket.closes == []
    now += 1
    await revocation.check(sessions.revoked_among)
    assert socket.closes == [UNAVAILABLE]


async def test_checks_go_on_and_one_can_be_made_before_its_time(hub: Hub, revocation: SessionRevocation) -> None:
    connect(hub, "one")
    sessions = Sessions()
    revocation.check_soon()
    revocation.start(sessions.revoked_among, 0.02)
    await until(lambda: len(sessions.asked) >= 3)
    await revocation.stop()
    sessions.asked.clear()
    revocation.start(sessions.revoked_among, 60)
    await until(lambda: len(sessions.asked) == 1)
    revocation.check_soon()
    await until(lambda: len(sessions.asked) == 2)
    await revocation.stop()


def closed(session_id: str, device_id: str = "phone") -> Any:
    return SimpleNamespace(session_id=session_id, mobile="9100000001", device_id=device_id)


async def test_closed_sessions_are_announced_to_sockets_servers_and_devices(
    hub: Hub, revocation: SessionRevocation, fakes: Fakes
) -> None:
    one, two, other = (connect(hub, name) for name in ("one", "two", "other"))
    await revocation.announce([closed("one"), closed("two"), closed("three", "tablet")])
    assert (one.closes, two.closes, other.closes) == ([LOGGED_OUT], [LOGGED_OUT], [])
    assert fakes.notified == ["one", "two", "three"]
    await until(lambda: fakes.logged_out_devices == [("9100000001", "phone"), ("9100000001", "tablet")])


@pytest.mark.parametrize("error", [ApiError("unavailable"), CommandFailed("NOPERM")])
async def test_an_announcement_that_did_not_reach_the_others_fails(
    hub: Hub, revocation: SessionRevocation, fakes: Fakes, error: Exception
) -> None:
    fakes.fail = error
    socket = connect(hub, "one")
    with pytest.raises(ApiError, match="unavailable"):
        await revocation.announce([closed("one")])
    assert socket.closes == [LOGGED_OUT], "here the sockets are closed all the same"
    await asyncio.sleep(0)
