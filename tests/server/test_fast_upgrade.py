"""Which upgrades are accepted without a request of Sanic's, and that all others are served as ever."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server import fast_upgrade
from server.fast_upgrade import CONCURRENT_UPGRADES, ConcurrencyLimiter, FastUpgradeProtocol
from server.upgrade_request import UpgradeRequest
from server.websocket.accepted_socket import AcceptedSocket
from tests.server.support import NO_TLS, TEXT, UPGRADE_HEAD, Attach, LocalServer, RawClient, frame, serving, until


def _not_accepted_yet(local: LocalServer) -> list[FastUpgradeProtocol]:
    return [each for each in local.protocols if isinstance(each, FastUpgradeProtocol)]


async def test_an_upgrade_that_is_accepted_never_was_a_request() -> None:
    async with serving() as local, connect(local.url(), subprotocols=["wm.v1"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "wm.v1"
        await client.send("hello")
        assert await client.recv() == "hello"
        assert (await local.echo()).fast
        assert {type(each) for each in local.protocols} == {AcceptedSocket}
        assert len(local.app.ctx.heartbeat.sockets()) == 1


async def test_what_the_authenticator_refuses_sanic_sees() -> None:
    async with serving() as local, connect(local.url("/?sanic=1")) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        assert not (await local.echo()).fast
        assert not _not_accepted_yet(local)


@pytest.mark.parametrize("pieces", [1, 2, 60])
async def test_however_a_request_comes_it_is_answered(pieces: int) -> None:
    async with serving() as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
        data = (UPGRADE_HEAD + "\r\n").encode() + frame(TEXT, b"early")
        step = -(-len(data) // pieces)
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await asyncio.sleep(0.002)
        assert b" 101 " in (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]
        client = RawClient(reader, writer)
        assert await client.receive() == (TEXT, b"early")
        client.vanish()


async def test_frames_that_come_during_the_authentication_are_not_lost() -> None:
    async with serving() as local:
        local.holds = True
        client = await local.send((UPGRADE_HEAD + "\r\n").encode() + frame(TEXT, b"one") + frame(TEXT, b"two")[:4])
        await until(lambda: bool(local.held))
        client.writer.write(frame(TEXT, b"two")[4:])
        await asyncio.sleep(0.05)
        local.held[0].set_result(None)
        await client.reader.readuntil(b"\r\n\r\n")
        assert [await client.receive(), await client.receive()] == [(TEXT, b"one"), (TEXT, b"two")]
        client.vanish()


async def test_a_client_that_sends_too_much_before_it_is_accepted_is_left_to_sanic() -> None:
    async with serving() as local:
        local.holds = True
        client = await local.send((UPGRADE_HEAD + "\r\n").encode() + frame(TEXT, b"x" * 60_000))
        await client.reader.readuntil(b"\r\n\r\n")
        assert local.held[0].cancelled()
        assert await client.receive() == (TEXT, b"x" * 60_000)
        assert not (await local.echo()).fast
        assert len(local.echoes) == 1
        client.vanish()


async def test_an_authenticator_without_an_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_upgrade, "TIMEOUT_SECONDS", 0.1)
    async with serving() as local:
        local.holds = True
        async with connect(local.url()) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            assert local.held[0].cancelled()
            await client.send("still here")
            assert await client.recv() == "still here"
            assert len(local.echoes) == 1


async def test_a_silent_client_is_left_to_sanic_and_its_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_upgrade, "TIMEOUT_SECONDS", 0.05)
    async with serving() as local:
        client = await local.send(b"")
        await until(lambda: bool(_not_accepted_yet(local)))
        await until(lambda: bool(local.protocols) and not _not_accepted_yet(local))
        client.vanish()
        await until(lambda: not local.protocols)


async def test_a_client_that_leaves_during_the_authentication_is_not_accepted() -> None:
    async with serving() as local:
        local.holds = True
        client = await local.send((UPGRADE_HEAD + "\r\n").encode())
        await until(lambda: bool(local.held))
        client.vanish()
        await until(lambda: not local.protocols)
        assert local.held[0].cancelled()
        assert local.echoes == []
        assert local.app.ctx.open_connections._sockets_of == {}


async def test_a_bug_of_the_authenticator_is_logged_and_sanic_answers() -> None:
    def prepare(local: LocalServer) -> None:
        async def broken(upgrade: UpgradeRequest, address: str, *, fast: bool) -> Attach:
            if fast:
                raise KeyError("a bug")
            return await local.authenticate(upgrade, address, fast=fast)

        local.app.ctx.authenticate = broken

    async with serving(prepare=prepare) as local, connect(local.url()) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        assert not (await local.echo()).fast


def _raise(_socket: AcceptedSocket) -> None:
    raise RuntimeError("the local is broken")


@pytest.mark.parametrize("enter", [_raise, lambda _socket: None])
async def test_a_socket_without_a_handler_is_closed_with_1011(enter: Callable[[AcceptedSocket], None]) -> None:
    async with serving() as local:
        local.attach = enter
        client = await local.send((UPGRADE_HEAD + "\r\n").encode())
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.close_code() == 1011
        client.vanish()
        await until(lambda: not local.protocols)


async def test_both_ways_count_the_sockets_of_an_address() -> None:
    async with serving(sockets_per_address=2) as local, connect(local.url()), connect(local.url("/?sanic")):
        with pytest.raises(InvalidStatus) as caught:
            await connect(local.url())
        assert caught.value.response.status_code == 429
        assert len(local.asked) == 3


def _through(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


async def test_clients_behind_a_proxy_are_counted_by_their_own_address() -> None:
    async with serving(sockets_per_address=1, proxies=1) as local:
        async with connect(local.url(), additional_headers=_through("6.6.6.6, 10.0.0.1")):
            assert local.app.ctx.open_connections._sockets_of == {"10.0.0.1": 1}
            async with connect(local.url(), additional_headers=_through("2001:DB8::1")):
                assert local.app.ctx.open_connections._sockets_of == {"10.0.0.1": 1, "2001:db8::/64": 1}
            with pytest.raises(InvalidStatus) as caught:
                await connect(local.url(), additional_headers=_through("10.0.0.1"))
            assert caught.value.response.status_code == 429
        assert local.addresses == ["10.0.0.1", "2001:DB8::1", "10.0.0.1"]


@pytest.mark.parametrize("headers", [{}, _through("10.0.0.1"), _through("unknown, 10.0.0.1"), _through(" , ")])
async def test_where_the_proxies_do_not_say_the_address_sanic_is_asked(headers: dict[str, str]) -> None:
    async with serving(proxies=2) as local:
        async with connect(local.url(), additional_headers=headers):
            assert local.app.ctx.open_connections._sockets_of == {"127.0.0.1": 1}
        assert local.asked == []


@pytest.mark.parametrize(
    "said",
    ["10.0.0.1", "1.1.1.1,10.0.0.2", "2001:DB8::1", "[2001:db8::1]", "_Hidden", "10.0.0.1:80", "::ffff:10.0.0.1"],
)
async def test_both_ways_in_read_the_same_address(said: str) -> None:
    async with serving(proxies=1) as local:
        counted = []
        for path in ("/", "/?sanic"):
            async with connect(local.url(path), additional_headers=_through(said)):
                counted.append(dict(local.app.ctx.open_connections._sockets_of))
            await until(lambda: not local.app.ctx.open_connections._sockets_of)
        assert counted[0] == counted[1]
        assert len(local.asked) == 2


async def test_while_the_server_drains_nobody_is_accepted() -> None:
    async with serving() as local:
        local.holds = True
        client = await local.send((UPGRADE_HEAD + "\r\n").encode())
        await until(lambda: bool(local.held))
        local.app.ctx.open_connections.refuse_new()
        local.held[0].set_result(None)
        assert b" 503 " in await client.reader.readline()
        client.vanish()


async def test_a_stopping_server_ends_connections_that_are_not_accepted_yet() -> None:
    async with serving() as local:
        local.holds = True
        client = await local.send((UPGRADE_HEAD + "\r\n").encode())
        await until(lambda: bool(local.held))
    await until(local.held[0].cancelled)
    assert await client.reader.read() == b""
    assert local.echoes == []


async def test_pages_are_served_as_ever() -> None:
    async with (
        serving() as local,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{local.port}", verify=NO_TLS) as client,
    ):
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/")).status_code == 200
        assert local.asked == []


async def test_few_are_authenticated_at_once_and_all_are_accepted() -> None:
    async with serving() as local:
        local.holds = True
        clients = [await local.send((UPGRADE_HEAD + "\r\n").encode()) for _ in range(CONCURRENT_UPGRADES + 20)]
        await until(lambda: len(local.held) == CONCURRENT_UPGRADES)
        clients[0].vanish()
        await until(lambda: len(local.held) == CONCURRENT_UPGRADES + 1)
        clients[-1].vanish()  # waits, and leaves
        await until(lambda: len(local.protocols) == CONCURRENT_UPGRADES + 18)
        local.holds = False
        for held in list(local.held):
            if not held.done():  # the client that left is not waited for any more
                held.set_result(None)
        await until(lambda: len(local.echoes) == CONCURRENT_UPGRADES + 18)
        for client in clients:
            client.vanish()
        await until(lambda: not local.protocols)


async def test_when_one_waits_in_vain_no_other_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_upgrade, "TIMEOUT_SECONDS", 0.2)
    async with serving() as local:
        local.holds = True
        clients = [await local.send((UPGRADE_HEAD + "\r\n").encode()) for _ in range(3 * CONCURRENT_UPGRADES)]
        await until(lambda: len(local.echoes) == len(clients))
        assert len(local.asked) < len(clients), "some were handed on without being authenticated here"
        for client in clients:
            client.vanish()


async def _answer(local: LocalServer) -> bytes:
    """The answer to a connection that sends nothing; empty: none, for three seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    try:
        async with asyncio.timeout(3):
            return await reader.read()
    except TimeoutError:
        return b""
    finally:
        writer.close()


async def test_one_connection_too_many_gets_an_answer_and_is_closed() -> None:
    async with serving(rate_limits="on", connections_per_address=3) as local:
        idle = [await local.send(data) for data in (b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
        await asyncio.sleep(0.1)
        said = await _answer(local)
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 2" in head.lower()
        assert json.loads(body)["code"] == "too_many_connections"
        for client in idle:
            client.writer.close()
        await until(lambda: local.app.ctx.open_connections._pending_of == {})
        assert await _answer(local) == b"", "it may wait as ever"


@pytest.mark.parametrize("way", ["", "?sanic=1"])
async def test_a_connection_that_became_a_socket_is_not_counted_as_pending(way: str) -> None:
    async with serving(rate_limits="on", connections_per_address=1) as local:
        for _ in range(3):
            async with connect(local.url(f"/{way}")) as first, connect(local.url(f"/{way}")) as second:
                for client in (first, second):
                    await client.send("hello")
                    assert await client.recv() == "hello"
                assert local.app.ctx.open_connections._pending_of == {}
        await until(lambda: not local.app.ctx.heartbeat.sockets())
        assert local.app.ctx.open_connections._pending_of == {}


async def test_a_refused_upgrade_and_a_request_give_their_places_back() -> None:
    async with serving(rate_limits="on", connections_per_address=1, sockets_per_address=1) as local:
        async with connect(local.url()):
            with pytest.raises(InvalidStatus):
                await connect(local.url())
        async with httpx.AsyncClient(verify=NO_TLS) as client:
            await client.get(f"http://127.0.0.1:{local.port}/nowhere", headers={"Connection": "close"})
        await until(lambda: local.app.ctx.open_connections._pending_of == {})


# ---- the limiter


class Waiter:
    """Notes when it is called; passes at once, or stays."""

    def __init__(self, limiter: ConcurrencyLimiter, name: int, notes: list[str], *, stays: bool = True) -> None:
        self.limiter, self.name, self.notes, self.stays = limiter, name, notes, stays

    def begin(self) -> None:
        self.notes.append(f"in {self.name}")
        if not self.stays:
            self.limiter.release(self)

    def give_up(self) -> None:
        self.notes.append(f"away {self.name}")


def _many(limiter: ConcurrencyLimiter, count: int, notes: list[str], *, stays: bool = True) -> list[Waiter]:
    waiters = [Waiter(limiter, name, notes, stays=stays) for name in range(count)]
    for waiter in waiters:
        limiter.acquire(waiter)
    return waiters


def test_so_many_are_under_way_and_the_next_comes_when_one_is_through() -> None:
    limiter, notes = ConcurrencyLimiter(2), list[str]()
    waiters = _many(limiter, 4, notes)
    assert notes == ["in 0", "in 1"]
    limiter.release(waiters[1])
    limiter.release(waiters[1])  # once counts
    assert notes == ["in 0", "in 1", "in 2"]
    limiter.release(waiters[3])  # who waits cannot be through
    assert len(notes) == 3
    limiter.release(waiters[0])
    assert notes[3:] == ["in 3"]


def test_thousands_who_are_through_at_once_do_not_pile_up() -> None:
    limiter, notes = ConcurrencyLimiter(1), list[str]()
    first = Waiter(limiter, -1, notes)
    limiter.acquire(first)
    _many(limiter, 5000, notes, stays=False)
    assert notes == ["in -1"]
    limiter.release(first)
    assert notes[1:] == [f"in {name}" for name in range(5000)]


def test_who_waits_can_be_sent_another_way_and_the_limiter_goes_on() -> None:
    limiter, notes = ConcurrencyLimiter(1), list[str]()
    waiters = _many(limiter, 3, notes)
    limiter.reject_waiting()
    assert notes == ["in 0", "away 1", "away 2"]
    limiter.release(waiters[0])
    limiter.acquire(Waiter(limiter, 9, notes))
    assert notes[3:] == ["in 9"]
