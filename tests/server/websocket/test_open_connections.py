import asyncio
import platform
import subprocess
import sys

import pytest

from protocol.errors import ApiError, Close
from server.websocket import open_connections
from server.websocket.heartbeat import Heartbeat
from server.websocket.open_connections import OpenConnections
from tests.server.support import make_settings


class Counted:
    def __init__(self, address: str) -> None:
        self.address = address

    def ping(self) -> int:
        return 0

    def take_activity(self) -> bool:
        return True

    def close_now(self, close: Close) -> None:
        raise AssertionError(close)


def test_one_address_has_its_limit_and_gets_its_place_back() -> None:
    heartbeat = Heartbeat(20)
    sockets = OpenConnections(make_settings(sockets_per_address=2), heartbeat)
    first, second = Counted("10.0.0.1"), Counted("10.0.0.1")
    for socket in (first, second):
        sockets.check_limit("10.0.0.1")
        sockets.add(socket)
    with pytest.raises(ApiError, match="too_many_connections"):
        sockets.check_limit("10.0.0.1")
    sockets.check_limit("10.0.0.2")
    assert set(heartbeat.sockets()) == {first, second}
    sockets.remove(first)
    sockets.check_limit("10.0.0.1")
    sockets.remove(second)
    assert heartbeat.sockets() == []
    assert sockets._sockets_of == {}


def test_zero_means_no_limit() -> None:
    sockets = OpenConnections(make_settings(sockets_per_address=0), Heartbeat(20))
    for _ in range(1000):
        sockets.check_limit("10.0.0.1")
        sockets.add(Counted("10.0.0.1"))


async def test_when_many_are_gone_their_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "TRIM_AFTER", 4)
    monkeypatch.setattr(open_connections, "TRIM_DELAY_SECONDS", 0.0)
    given: list[int] = []
    monkeypatch.setattr(open_connections, "trim_memory", lambda: given.append(1))
    sockets = OpenConnections(make_settings(), Heartbeat(20))
    there = [Counted("10.0.0.1") for _ in range(20)]
    for socket in there:
        sockets.add(socket)
    steps = []
    for socket in there:
        sockets.remove(socket)
        await asyncio.sleep(0.001)
        steps.append(len(given))
    assert steps.index(1) == 6  # the seventh is half of the thirteen that are left, and more
    assert [steps.index(number) + 1 for number in range(1, steps[-1] + 1)] == [7, 11, 15, 19]


def test_of_ipv6_a_whole_64_has_the_limit_of_one_address() -> None:
    sockets = OpenConnections(make_settings(sockets_per_address=2), Heartbeat(20))
    first, second = Counted("2001:db8:1:2::1"), Counted("2001:db8:1:2:ffff::2")
    sockets.add(first)
    sockets.add(second)
    with pytest.raises(ApiError, match="too_many_connections"):
        sockets.check_limit("2001:db8:1:2::3")
    sockets.check_limit("2001:db8:1:3::3")
    sockets.remove(first)
    sockets.check_limit("2001:db8:1:2::3")
    sockets.remove(second)
    assert sockets._sockets_of == {}


def test_connections_that_are_no_sockets_are_counted_by_address() -> None:
    sockets = OpenConnections(make_settings(rate_limits="on", connections_per_address=2), Heartbeat(20))
    assert [sockets.add_pending(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert sockets.add_pending("2001:db8:0:1::1")
    sockets.remove_pending("2001:db8::1")
    assert sockets.add_pending("2001:db8::9")
    for address in ("2001:db8::2", "2001:db8::9", "2001:db8:0:1::1"):
        sockets.remove_pending(address)
    assert sockets._pending_of == {}


@pytest.mark.parametrize(
    "knobs", [{"rate_limits": "off"}, {"proxies": 1}, {"connections_per_address": 0}], ids=["off", "proxies", "0"]
)
def test_they_are_not_counted_where_that_would_say_nothing(knobs: dict[str, object]) -> None:
    sockets = OpenConnections(
        make_settings(**{"rate_limits": "on", "connections_per_address": 1} | knobs), Heartbeat(20)
    )
    for _ in range(10):
        assert sockets.add_pending("10.0.0.1")
    sockets.remove_pending("10.0.0.1")


def test_a_unix_socket_has_no_address_and_no_limit() -> None:
    sockets = OpenConnections(make_settings(rate_limits="on", connections_per_address=1), Heartbeat(20))
    assert all(sockets.add_pending("") for _ in range(10))


# In a process of its own: what a test run has taken would hide it.
ACCOUNT = """
import ctypes, gc, os
from server.websocket.open_connections import trim_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
gc.disable()

class Circle:
    def __init__(self):
        self.me, self.buffer = self, bytearray(2048)

crowd = [Circle() for _ in range(20_000)]
last = libc.malloc(2048)  # glibc gives back by itself what is free behind everything
full = resident()
del crowd
left = resident()
trim_memory()
print(full, left, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_of_many_that_are_gone_goes_back_to_the_operating_system() -> None:
    run = subprocess.run([sys.executable, "-c", ACCOUNT], capture_output=True, text=True, check=True)
    full, left, now = map(int, run.stdout.split())
    taken = 20_000 * 2048
    assert full - left < taken / 10, "circles stay"
    assert left - now > taken * 0.8
