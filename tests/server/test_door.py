"""Who is let in without a request, and that all others are served as ever."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server import door
from server.door import JUDGED_AT_ONCE, Door, Judged
from server.upgrade import Upgrade
from server.websocket.accepted_socket import AcceptedSocket
from tests.server.support import TEXT, Echo, House, RawClient, frame, serving, until
from tests.server.test_handshake import HEAD


class Porter:
    """Judges: at once, or when told to."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.asked: list[Upgrade] = []
        self.addresses: list[str] = []
        self.waiting: list[Judged] = []
        self.thinks = False

    def judge(self, upgrade: Upgrade, address: str, judged: Judged) -> None:
        self.asked.append(upgrade)
        self.addresses.append(address)
        if self.thinks:
            self.waiting.append(judged)
        else:
            judged(None if "sanic" in upgrade.query else self.enter)

    def enter(self, socket: AcceptedSocket) -> None:
        echo = Echo(socket, None)  # type: ignore[arg-type]
        self.house.echoes.append(echo)
        socket.attach(echo)


@contextlib.asynccontextmanager
async def guarded(**knobs: Any) -> AsyncIterator[tuple[House, Porter]]:
    porters: list[Porter] = []

    def prepare(house: House) -> None:
        porters.append(Porter(house))
        house.app.ctx.judge = porters[0].judge

    async with serving(prepare=prepare, **knobs) as house:
        yield house, porters[0]


async def _raw(house: House, data: bytes) -> RawClient:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(data)
    return RawClient(reader, writer)


def _doors(house: House) -> list[Door]:
    return [each for each in house.protocols if isinstance(each, Door)]


async def test_who_is_let_in_never_was_a_request() -> None:
    async with guarded() as (house, _), connect(house.url(), subprotocols=["wm.v1"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "wm.v1"
        await client.send("hello")
        assert await client.recv() == "hello"
        assert (await house.echo()).request is None
        assert {type(each) for each in house.protocols} == {AcceptedSocket}
        assert len(house.app.ctx.heartbeat.sockets()) == 1


async def test_of_whom_the_judge_says_nothing_good_sanic_sees_the_request() -> None:
    async with guarded() as (house, _), connect(house.url("/?sanic=1")) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        assert (await house.echo()).request.args.get("sanic") == "1"
        assert not _doors(house)


@pytest.mark.parametrize("pieces", [1, 2, 60])
async def test_however_a_request_comes_it_is_answered(pieces: int) -> None:
    async with guarded() as (house, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        data = (HEAD + "\r\n").encode() + frame(TEXT, b"early")
        step = -(-len(data) // pieces)
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await asyncio.sleep(0.002)
        assert b" 101 " in (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]
        client = RawClient(reader, writer)
        assert await client.receive() == (TEXT, b"early")
        client.vanish()


async def test_frames_that_come_while_he_is_judged_are_not_lost() -> None:
    async with guarded() as (house, porter):
        porter.thinks = True
        client = await _raw(house, (HEAD + "\r\n").encode() + frame(TEXT, b"one") + frame(TEXT, b"two")[:4])
        await until(lambda: bool(porter.waiting))
        client.writer.write(frame(TEXT, b"two")[4:])
        await asyncio.sleep(0.05)
        porter.waiting[0](porter.enter)
        await client.reader.readuntil(b"\r\n\r\n")
        assert [await client.receive(), await client.receive()] == [(TEXT, b"one"), (TEXT, b"two")]
        client.vanish()


async def test_who_says_too_much_before_he_is_in_is_left_to_sanic() -> None:
    async with guarded() as (house, porter):
        porter.thinks = True
        client = await _raw(house, (HEAD + "\r\n").encode() + frame(TEXT, b"x" * 60_000))
        await client.reader.readuntil(b"\r\n\r\n")
        porter.waiting[0](porter.enter)  # comes too late
        assert await client.receive() == (TEXT, b"x" * 60_000)
        assert (await house.echo()).request is not None
        assert len(house.echoes) == 1
        client.vanish()


async def test_a_judge_that_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 0.1)
    async with guarded() as (house, porter):
        porter.thinks = True
        async with connect(house.url()) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            porter.waiting[0](porter.enter)
            await client.send("still here")
            assert await client.recv() == "still here"
            assert len(house.echoes) == 1


async def test_who_says_nothing_is_sanics_and_under_its_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 0.05)
    async with guarded() as (house, _):
        client = await _raw(house, b"")
        await until(lambda: bool(_doors(house)))
        await until(lambda: bool(house.protocols) and not _doors(house))
        client.vanish()
        await until(lambda: not house.protocols)


async def test_who_leaves_while_he_is_judged_does_not_come_in() -> None:
    async with guarded() as (house, porter):
        porter.thinks = True
        client = await _raw(house, (HEAD + "\r\n").encode())
        await until(lambda: bool(porter.waiting))
        client.vanish()
        await until(lambda: not house.protocols)
        porter.waiting[0](porter.enter)
        assert house.echoes == []
        assert house.app.ctx.open_connections._sockets_of == {}


def _raise(_socket: AcceptedSocket) -> None:
    raise RuntimeError("the house is broken")


@pytest.mark.parametrize("enter", [_raise, lambda _socket: None])
async def test_who_finds_nobody_inside_is_told_1011(enter: Callable[[AcceptedSocket], None]) -> None:
    async with guarded() as (house, porter):
        porter.enter = enter  # type: ignore[method-assign]
        client = await _raw(house, (HEAD + "\r\n").encode())
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.close_code() == 1011
        client.vanish()
        await until(lambda: not house.protocols)


async def test_the_door_counts_like_the_house() -> None:
    async with guarded(sockets_per_address=2) as (house, porter), connect(house.url()), connect(house.url("/?sanic")):
        with pytest.raises(InvalidStatus) as caught:
            await connect(house.url())
        assert caught.value.response.status_code == 429
        assert len(porter.asked) == 3


def _through(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_the_door_counts_whom_a_proxy_brings_by_their_own_address() -> None:
    async with guarded(sockets_per_address=1, proxies=1) as (house, porter):
        async with connect(house.url(), additional_headers=_through("6.6.6.6, 10.0.0.1")):
            assert house.app.ctx.open_connections._sockets_of == {"10.0.0.1": 1}
            async with connect(house.url(), additional_headers=_through("2001:DB8::1")):
                assert house.app.ctx.open_connections._sockets_of == {"10.0.0.1": 1, "2001:db8::/64": 1}
            with pytest.raises(InvalidStatus) as caught:
                await connect(house.url(), additional_headers=_through("10.0.0.1"))
            assert caught.value.response.status_code == 429
        assert porter.addresses == ["10.0.0.1", "2001:DB8::1", "10.0.0.1"]


@pytest.mark.parametrize("headers", [{}, _through("10.0.0.1"), _through("unknown, 10.0.0.1"), _through(" , ")])
async def test_where_the_proxies_do_not_say_who_comes_sanic_is_asked(headers: dict[str, str]) -> None:
    async with guarded(proxies=2) as (house, porter):
        async with connect(house.url(), additional_headers=headers):
            assert house.app.ctx.open_connections._sockets_of == {"127.0.0.1": 1}
        assert porter.asked == []


@pytest.mark.parametrize(
    "said",
    ["10.0.0.1", "1.1.1.1,10.0.0.2", "2001:DB8::1", "[2001:db8::1]", "_Hidden", "10.0.0.1:80", "::ffff:10.0.0.1"],
)
async def test_both_ways_in_read_the_same_address(said: str) -> None:
    async with guarded(proxies=1) as (house, porter):
        counted = []
        for path in ("/", "/?sanic"):
            async with connect(house.url(path), additional_headers=_through(said)):
                counted.append(dict(house.app.ctx.open_connections._sockets_of))
            await until(lambda: not house.app.ctx.open_connections._sockets_of)
        assert counted[0] == counted[1]
        assert len(porter.asked) == 2


async def test_while_the_house_shuts_nobody_comes_in() -> None:
    async with guarded() as (house, porter):
        porter.thinks = True
        client = await _raw(house, (HEAD + "\r\n").encode())
        await until(lambda: bool(porter.waiting))
        house.app.ctx.open_connections.refuse_new()
        porter.waiting[0](porter.enter)
        assert b" 503 " in await client.reader.readline()
        client.vanish()


async def test_a_stopping_server_sends_away_who_stands_at_the_door() -> None:
    async with guarded() as (house, porter):
        porter.thinks = True
        client = await _raw(house, (HEAD + "\r\n").encode())
        await until(lambda: bool(porter.waiting))
    porter.waiting[0](porter.enter)
    assert await client.reader.read() == b""
    assert house.echoes == []


async def test_pages_are_served_as_ever() -> None:
    async with guarded() as (house, porter), httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/")).status_code == 200
        assert porter.asked == []


async def test_few_are_judged_at_once_and_all_come_in() -> None:
    async with guarded() as (house, porter):
        porter.thinks = True
        clients = [await _raw(house, (HEAD + "\r\n").encode()) for _ in range(JUDGED_AT_ONCE + 20)]
        await until(lambda: len(porter.waiting) == JUDGED_AT_ONCE)
        clients[0].vanish()
        await until(lambda: len(porter.waiting) == JUDGED_AT_ONCE + 1)
        clients[-1].vanish()  # waits, and leaves
        await until(lambda: len(house.protocols) == JUDGED_AT_ONCE + 18)
        porter.thinks = False
        for judged in list(porter.waiting):
            judged(porter.enter)
        await until(lambda: len(house.echoes) == JUDGED_AT_ONCE + 18)
        for client in clients:
            client.vanish()
        await until(lambda: not house.protocols)


async def test_when_one_waits_in_vain_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_SECONDS", 0.2)
    async with guarded() as (house, porter):
        porter.thinks = True
        clients = [await _raw(house, (HEAD + "\r\n").encode()) for _ in range(3 * JUDGED_AT_ONCE)]
        await until(lambda: len(house.echoes) == len(clients))
        assert len(porter.asked) <= 2 * JUDGED_AT_ONCE
        for client in clients:
            client.vanish()


async def _answer(house: House) -> bytes:
    """What a connection is told by and by; empty: nothing, for three seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    try:
        async with asyncio.timeout(3):
            return await reader.read()
    except TimeoutError:
        return b""
    finally:
        writer.close()


async def test_one_connection_too_many_is_told_so_and_closed() -> None:
    async with guarded(rate_limits="on", connections_per_address=3) as (house, _):
        idle = [await _raw(house, data) for data in (b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
        await asyncio.sleep(0.1)
        said = await _answer(house)
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 2" in head.lower()
        assert json.loads(body)["code"] == "too_many_connections"
        for client in idle:
            client.writer.close()
        await until(lambda: house.app.ctx.open_connections._pending_of == {})
        assert await _answer(house) == b"", "it may wait, as ever"


@pytest.mark.parametrize("way", ["", "?sanic=1"])
async def test_who_became_a_socket_is_not_counted_any_more(way: str) -> None:
    async with guarded(rate_limits="on", connections_per_address=1) as (house, _):
        for _ in range(3):
            async with connect(house.url(f"/{way}")) as first, connect(house.url(f"/{way}")) as second:
                for client in (first, second):
                    await client.send("hello")
                    assert await client.recv() == "hello"
                assert house.app.ctx.open_connections._pending_of == {}
        await until(lambda: not house.app.ctx.heartbeat.sockets())
        assert house.app.ctx.open_connections._pending_of == {}


async def test_a_refused_upgrade_and_a_request_give_their_places_back() -> None:
    async with guarded(rate_limits="on", connections_per_address=1, sockets_per_address=1) as (house, _):
        async with connect(house.url()):
            with pytest.raises(InvalidStatus):
                await connect(house.url())
        async with httpx.AsyncClient() as client:
            await client.get(f"http://127.0.0.1:{house.port}/nowhere", headers={"Connection": "close"})
        await until(lambda: house.app.ctx.open_connections._pending_of == {})
