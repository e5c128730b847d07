import asyncio

import pytest

import server.sockets
from protocol.errors import ApiError, Close
from server.heartbeat import Heartbeat
from server.sockets import Sockets
from tests.server.support import make_settings


class Counted:
    def __init__(self, address: str) -> None:
        self.address = address

    def ping(self) -> int:
        return 0

    def take_evidence(self) -> bool:
        return True

    def end(self, close: Close) -> None:
        raise AssertionError(close)


def test_one_address_has_its_limit_and_gets_its_place_back() -> None:
    heartbeat = Heartbeat(20)
    sockets = Sockets(make_settings(sockets_per_address=2), heartbeat)
    first, second = Counted("10.0.0.1"), Counted("10.0.0.1")
    for socket in (first, second):
        sockets.admit("10.0.0.1")
        sockets.opened(socket)
    with pytest.raises(ApiError, match="too_many_connections"):
        sockets.admit("10.0.0.1")
    sockets.admit("10.0.0.2")
    assert set(heartbeat.sockets()) == {first, second}
    sockets.closed(first)
    sockets.admit("10.0.0.1")
    sockets.closed(second)
    assert heartbeat.sockets() == []
    assert sockets._of_address == {}


def test_zero_means_no_limit() -> None:
    sockets = Sockets(make_settings(sockets_per_address=0), Heartbeat(20))
    for _ in range(1000):
        sockets.admit("10.0.0.1")
        sockets.opened(Counted("10.0.0.1"))


async def test_when_many_are_gone_their_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.sockets, "CROWD", 4)
    monkeypatch.setattr(server.sockets, "LEFT_SECONDS", 0.0)
    given: list[int] = []
    monkeypatch.setattr(server.sockets, "give_back", lambda: given.append(1))
    sockets = Sockets(make_settings(), Heartbeat(20))
    there = [Counted("10.0.0.1") for _ in range(20)]
    for socket in there:
        sockets.opened(socket)
    steps = []
    for socket in there:
        sockets.closed(socket)
        await asyncio.sleep(0.001)
        steps.append(len(given))
    assert steps.index(1) == 6  # the seventh is half of the thirteen that are left, and more
    assert [steps.index(number) + 1 for number in range(1, steps[-1] + 1)] == [7, 11, 15, 19]


def test_of_ipv6_a_whole_64_has_the_limit_of_one_address() -> None:
    sockets = Sockets(make_settings(sockets_per_address=2), Heartbeat(20))
    first, second = Counted("2001:db8:1:2::1"), Counted("2001:db8:1:2:ffff::2")
    sockets.opened(first)
    sockets.opened(second)
    with pytest.raises(ApiError, match="too_many_connections"):
        sockets.admit("2001:db8:1:2::3")
    sockets.admit("2001:db8:1:3::3")
    sockets.closed(first)
    sockets.admit("2001:db8:1:2::3")
    sockets.closed(second)
    assert sockets._of_address == {}


def test_connections_that_are_no_sockets_are_counted_by_address() -> None:
    sockets = Sockets(make_settings(rate_limits="on", connections_per_address=2), Heartbeat(20))
    assert [sockets.knock(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert sockets.knock("2001:db8:0:1::1")
    sockets.settle("2001:db8::1")
    assert sockets.knock("2001:db8::9")
    for address in ("2001:db8::2", "2001:db8::9", "2001:db8:0:1::1"):
        sockets.settle(address)
    assert sockets._strangers == {}


@pytest.mark.parametrize(
    "knobs", [{"rate_limits": "off"}, {"proxies": 1}, {"connections_per_address": 0}], ids=["off", "proxies", "0"]
)
def test_they_are_not_counted_where_that_would_say_nothing(knobs: dict[str, object]) -> None:
    sockets = Sockets(make_settings(**{"rate_limits": "on", "connections_per_address": 1} | knobs), Heartbeat(20))
    for _ in range(10):
        assert sockets.knock("10.0.0.1")
    sockets.settle("10.0.0.1")


def test_a_unix_socket_has_no_address_and_no_limit() -> None:
    sockets = Sockets(make_settings(rate_limits="on", connections_per_address=1), Heartbeat(20))
    assert all(sockets.knock("") for _ in range(10))
