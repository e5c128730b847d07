import asyncio
import time
from itertools import pairwise

import pytest
from websockets.asyncio.client import connect

from protocol.errors import UNREACHABLE, Close
from server.websocket.heartbeat import BUCKETS, LATE_PART, Heartbeat
from tests.server.support import CLOSE, PING, PONG, TEXT, RawClient, serving, until
from tests.support.processes import patient
from tests.support.skipped_time import loop_now, run_skipping

PERIOD = 0.25


async def test_two_pings_without_a_pong_end_the_connection_and_not_earlier() -> None:
    async with serving(ping_seconds=PERIOD, lease_seconds=10) as local:
        started = time.monotonic()
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        pings = []
        while (answer := await client.receive())[0] != CLOSE:
            assert answer[0] == PING
            pings.append(time.monotonic())
        lasted = time.monotonic() - started
        assert len(pings) == 2
        assert time.monotonic() - pings[0] > 1.8 * PERIOD  # each had its period
        assert lasted < patient(3.5 * PERIOD + 2)  # a busy machine may be late, never early
        assert int.from_bytes(answer[1][:2], "big") == UNREACHABLE.code
        await until(lambda: bool(echo.ends))  # without any help of the client: TCP is cut
        assert echo.ends == [(UNREACHABLE.code, UNREACHABLE.reason)]
        client.vanish()


@pytest.mark.parametrize("sign", [TEXT, PONG, PING])
async def test_one_missed_ping_is_forgiven_after_any_frame(sign: int) -> None:
    async with serving(ping_seconds=PERIOD, lease_seconds=10) as local:
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        seen = 0
        while seen < 6:
            opcode, _ = await client.receive()
            if opcode == PING:
                seen += 1
                if seen % 2 == 0:  # every other ping goes unanswered
                    client.send(sign, b"x")
        assert echo.ends == []
        client.vanish()


async def test_pings_of_the_connection_are_not_counted_as_missed() -> None:
    async with serving(ping_seconds=PERIOD, lease_seconds=10) as local:
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        for _ in range(20):
            echo.socket.ping()
        marks = []
        while len(marks) < 21:
            opcode, payload = await client.receive()
            assert opcode == PING
            marks.append(int.from_bytes(payload, "big"))
        assert marks == sorted(set(marks))
        assert echo.ends == []
        client.vanish()


async def test_a_client_whose_reading_we_stopped_is_not_called_unreachable() -> None:
    async with serving(ping_seconds=PERIOD, lease_seconds=10) as local:
        client = await RawClient.connect(local.port)
        echo = await local.echo()
        echo.has_room = False
        for _ in range(100):
            client.send(TEXT, b"x")
        await asyncio.sleep(4 * PERIOD)
        assert echo.ends == []
        echo.make_room()
        await until(lambda: len(echo.messages) == 100)
        client.vanish()


async def test_an_ordinary_client_stays() -> None:
    async with serving(ping_seconds=0.1, lease_seconds=10) as local, connect(local.url(), ping_interval=None) as client:
        await asyncio.sleep(1)
        await client.send("still here")
        assert await client.recv() == "still here"
        assert (await local.echo()).signs >= 5


class Quiet:
    """A socket whose client always answers; it notes when it was pinged, in seconds of the loop."""

    def __init__(self) -> None:
        self.pinged: list[float] = []

    def ping(self) -> int:
        self.pinged.append(asyncio.get_running_loop().time())
        return len(self.pinged)

    def take_activity(self) -> bool:
        return True

    def close_now(self, close: Close) -> None:
        raise AssertionError(close)


def gaps(socket: Quiet) -> list[float]:
    return [later - earlier for earlier, later in pairwise(socket.pinged)]


def started(period: float, sockets: list[Quiet]) -> Heartbeat:
    heart = Heartbeat(period)
    for socket in sockets:
        heart.add(socket)
    heart.start()
    return heart


def test_a_busy_loop_does_not_slow_the_pings_down() -> None:
    async def busy() -> None:
        while True:
            loop_now().stand_still(0.025)
            await asyncio.sleep(0)

    async def watch() -> Quiet:
        socket = Quiet()
        heart, work = started(0.4, [socket]), asyncio.create_task(busy())
        await asyncio.sleep(40)
        heart.stop()
        work.cancel()
        return socket

    pinged = gaps(run_skipping(watch()))
    assert len(pinged) >= 98
    assert min(pinged) > 0.35
    assert max(pinged) < 0.45


@pytest.mark.parametrize("still", [0.09, 0.11, 0.35, 1.0, 60.0])
def test_after_a_standstill_no_ping_hurries(still: float) -> None:
    async def watch() -> list[Quiet]:
        sockets = [Quiet() for _ in range(BUCKETS)]
        heart = started(0.4, sockets)
        await asyncio.sleep(0.5)
        loop_now().stand_still(still)
        await asyncio.sleep(1.0)
        heart.stop()
        return sockets

    sockets = run_skipping(watch())
    assert min(min(gaps(socket)) for socket in sockets) > 0.4 * (1 - LATE_PART) - 0.02
    assert max(max(gaps(socket)) for socket in sockets) < 0.4 + still + 0.02


def test_others_get_their_turn_however_long_pinging_takes() -> None:
    class Slow(Quiet):
        def ping(self) -> int:
            loop_now().stand_still(0.02)
            return super().ping()

    async def watch() -> float:
        heart = started(0.4, [Slow() for _ in range(BUCKETS)])
        waited = 0.0
        for _ in range(50):
            since = loop_now().time()
            await asyncio.sleep(0.001)
            waited = max(waited, loop_now().time() - since)
        heart.stop()
        return waited

    # One round makes up for a quarter of a period, ten steps, each in twice the time; a timer costs up to three rounds.
    assert run_skipping(watch()) < 3 * (10 + 2) * 0.02


def test_pings_are_spread_over_the_period_and_come_once_in_each() -> None:
    async def watch() -> list[Quiet]:
        sockets = [Quiet() for _ in range(BUCKETS)]
        heart = started(0.8, sockets)
        await asyncio.sleep(8.01)
        heart.stop()
        assert heart.sockets() == sockets
        heart.remove(sockets[0])
        heart.remove(sockets[0])
        assert heart.sockets() == sockets[1:]
        return sockets

    sockets = run_skipping(watch())
    firsts = sorted(socket.pinged[0] for socket in sockets)
    assert [round(first, 6) for first in firsts] == [round(0.02 * (i + 1), 6) for i in range(BUCKETS)]
    assert all(len(socket.pinged) == 10 for socket in sockets)
    assert all(gap == pytest.approx(0.8) for socket in sockets for gap in gaps(socket))


class Broken(Quiet):
    """Fails at its first pings."""

    def ping(self) -> int:
        if len(self.pinged) < 2:
            self.pinged.append(time.monotonic())
            raise KeyError("broken")
        return super().ping()


async def test_a_socket_that_fails_takes_no_other_along_nor_the_pings_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.websocket.heartbeat.BUCKETS", 1)
    heart, broken, socket = Heartbeat(0.05), Broken(), Quiet()
    heart.add(broken)
    heart.add(socket)
    heart.start()
    await until(lambda: len(broken.pinged) > 2)
    heart.stop()
    assert len(socket.pinged) > 2
