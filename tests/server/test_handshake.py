"""From HTTP to WebSocket: what is refused, what is handed over, and what Sanic lets go of."""

import asyncio
import gc
import weakref

import httpx
import pytest
from sanic import Request
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server.handshake import SocketProtocol
from server.websocket.accepted_socket import AcceptedSocket
from tests.server.support import TEXT, Echo, House, RawClient, frame, serving, until

HEAD = (
    "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


async def test_frames_that_come_with_the_request_are_not_lost() -> None:
    async with serving() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(HEAD.encode() + b"\r\n" + frame(TEXT, b"early") + frame(TEXT, b"bird")[:3])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(TEXT, b"bird")[3:])
        client = RawClient(reader, writer)
        assert [await client.receive(), await client.receive()] == [(TEXT, b"early"), (TEXT, b"bird")]
        client.vanish()


async def test_frames_that_come_while_the_handler_thinks_are_not_lost() -> None:
    thinking = asyncio.Event()

    async def slow(request: Request, socket: AcceptedSocket) -> None:
        await thinking.wait()
        socket.attach(Echo(socket, request))

    async with serving(slow) as house:
        client = await RawClient.connect(house.port)
        client.send(TEXT, b"hello?")
        await asyncio.sleep(0.05)
        thinking.set()
        assert await client.receive() == (TEXT, b"hello?")
        client.vanish()


async def test_a_handler_that_returns_without_a_connection_closes_with_1011() -> None:
    async def forgetful(_request: Request, _socket: AcceptedSocket) -> None:
        return

    async with serving(forgetful) as house:
        client = await RawClient.connect(house.port)
        assert await client.close_code() == 1011
        client.vanish()


async def test_an_exception_after_the_attaching_closes_with_1011_too() -> None:
    echoes: list[Echo] = []

    async def broken(request: Request, socket: AcceptedSocket) -> None:
        echoes.append(Echo(socket, request))
        socket.attach(echoes[0])
        raise RuntimeError("too late")

    async with serving(broken) as house:
        client = await RawClient.connect(house.port)
        assert await client.close_code() == 1011
        client.vanish()
        await until(lambda: bool(echoes[0].ends))
        assert [code for code, _ in echoes[0].ends] == [1011]


async def test_after_the_upgrade_sanic_keeps_neither_task_nor_request_nor_protocol() -> None:
    tasks: list[asyncio.Task[None]] = []
    requests: list[weakref.ref[Request]] = []

    async def handle(request: Request, socket: AcceptedSocket) -> None:
        house.echoes.append(Echo(socket, None))  # type: ignore[arg-type]
        requests.append(weakref.ref(request))
        tasks.append(asyncio.create_task(asyncio.sleep(60)))  # as a connection makes its own
        socket.attach(house.echoes[-1])

    async with serving(handle) as house:
        before = len(asyncio.all_tasks())
        client = await RawClient.connect(house.port)
        await house.echo()
        await until(lambda: len(asyncio.all_tasks()) <= before + 1)
        gc.collect()
        assert [request() for request in requests] == [None]
        assert not [each for each in gc.get_objects() if isinstance(each, SocketProtocol)]
        assert {type(each) for each in house.protocols} == {AcceptedSocket}
        tasks[0].cancel()
        client.vanish()


async def test_an_upgrade_that_says_it_has_no_body_is_one() -> None:
    async with serving() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write((HEAD + "Content-Length: 0\r\n\r\n").encode() + frame(TEXT, b"x"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        client = RawClient(reader, writer)
        assert await client.receive() == (TEXT, b"x")
        client.vanish()


@pytest.mark.parametrize(
    "more", ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"]
)
async def test_an_upgrade_with_a_body_is_refused(more: str) -> None:
    async with serving() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write((HEAD + more).encode() + frame(TEXT, b"x"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_an_address_with_its_full_number_is_refused_before_the_upgrade_and_served_again_later() -> None:
    async with serving(sockets_per_address=2) as house:
        async with connect(house.url()), connect(house.url()):
            with pytest.raises(InvalidStatus) as caught:
                await connect(house.url())
            assert caught.value.response.status_code == 429
            assert b'"too_many_connections"' in caught.value.response.body
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"http://127.0.0.1:{house.port}/")).status_code == 200
        await until(lambda: all(echo.ends for echo in house.echoes))
        async with connect(house.url()):
            assert len(house.echoes) == 3


@pytest.mark.parametrize(("proxies", "second"), [(0, 429), (1, 101)])
async def test_who_is_behind_a_trusted_proxy_is_counted_by_his_own_address(proxies: int, second: int) -> None:
    async def answer(house: House, address: str) -> tuple[int, object]:
        try:
            return 101, await connect(house.url(), additional_headers={"X-Forwarded-For": address})
        except InvalidStatus as refused:
            return refused.response.status_code, None

    async with serving(sockets_per_address=1, proxies=proxies) as house:
        assert (await answer(house, "10.0.0.1"))[0] == 101
        assert (await answer(house, "10.0.0.2"))[0] == second
        assert (await answer(house, "10.0.0.1"))[0] == 429


async def test_the_house_forgets_who_left() -> None:
    async with serving(sockets_per_address=100) as house:
        for _ in range(20):
            (await RawClient.connect(house.port)).vanish()
        await until(lambda: len(house.echoes) == 20 and all(echo.ends for echo in house.echoes))
        assert house.app.ctx.open_connections._sockets_of == {}
        assert isinstance(house, House)
