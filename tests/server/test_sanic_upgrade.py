"""From Sanic's requests to WebSockets: what is refused, what is handed over, and what Sanic lets go of."""

import asyncio
import gc
import http.client
import weakref
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from sanic import Request
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from protocol.errors import ApiError
from server.sanic_upgrade import SOCKET_PATH, SanicUpgradeProtocol, UpgradedSocket
from server.upgrade_request import UpgradeRequest
from server.websocket.accepted_socket import AcceptedSocket
from tests.server.support import NO_TLS, TEXT, UPGRADE_HEAD, Attach, Echo, LocalServer, RawClient, frame, serving, until


async def test_frames_that_come_with_the_request_are_not_lost() -> None:
    async with serving(fast=False) as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
        writer.write(UPGRADE_HEAD.encode() + b"\r\n" + frame(TEXT, b"early") + frame(TEXT, b"bird")[:3])
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(TEXT, b"bird")[3:])
        client = RawClient(reader, writer)
        assert [await client.receive(), await client.receive()] == [(TEXT, b"early"), (TEXT, b"bird")]
        client.vanish()


async def test_a_handler_that_attaches_nothing_closes_with_1011() -> None:
    async with serving(lambda _socket: None, fast=False) as local:
        client = await RawClient.connect(local.port)
        assert await client.close_code() == 1011
        client.vanish()


@pytest.mark.parametrize("before", [True, False])
async def test_an_exception_before_or_after_the_attaching_closes_with_1011_too(before: bool) -> None:
    echoes: list[Echo] = []

    def broken(socket: AcceptedSocket) -> None:
        echoes.append(Echo(socket))
        if not before:
            socket.attach(echoes[0])
        raise RuntimeError("a bug")

    async with serving(broken, fast=False) as local:
        client = await RawClient.connect(local.port)
        assert await client.close_code() == 1011
        client.vanish()
        await until(lambda: before or bool(echoes[0].ends))
        assert [code for code, _ in echoes[0].ends] == ([] if before else [1011])


async def test_a_handler_that_a_stopping_sanic_cancels_before_it_began_says_4012() -> None:
    sockets: list[AcceptedSocket] = []

    def cancelled(socket: AcceptedSocket) -> None:
        sockets.append(socket)
        UpgradedSocket(socket).end_connection(1000)

    async with serving(cancelled, fast=False) as local:
        client = await RawClient.connect(local.port)
        assert await client.close_code() == 4012
        client.vanish()
        await sockets[0].wait_lost()


async def test_after_the_upgrade_sanic_keeps_neither_task_nor_request_nor_protocol() -> None:
    tasks: list[asyncio.Task[None]] = []
    requests: list[weakref.ref[Request]] = []

    async def note(request: Request) -> None:
        requests.append(weakref.ref(request))

    def attach(socket: AcceptedSocket) -> None:
        local.echoes.append(Echo(socket))
        tasks.append(asyncio.create_task(asyncio.sleep(60)))  # as a connection makes its own
        socket.attach(local.echoes[-1])

    async with serving(attach, prepare=lambda local: local.app.on_request(note), fast=False) as local:
        before = len(asyncio.all_tasks())
        client = await RawClient.connect(local.port)
        await local.echo()
        await until(lambda: len(asyncio.all_tasks()) <= before + 1)
        gc.collect()
        assert [request() for request in requests] == [None]
        assert not [each for each in gc.get_objects() if isinstance(each, SanicUpgradeProtocol)]
        assert {type(each) for each in local.protocols} == {AcceptedSocket}
        tasks[0].cancel()
        client.vanish()


async def test_an_upgrade_that_says_it_has_no_body_is_one() -> None:
    async with serving(fast=False) as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
        writer.write((UPGRADE_HEAD + "Content-Length: 0\r\n\r\n").encode() + frame(TEXT, b"x"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        client = RawClient(reader, writer)
        assert await client.receive() == (TEXT, b"x")
        client.vanish()


@pytest.mark.parametrize(
    "more", ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"]
)
async def test_an_upgrade_with_a_body_is_refused(more: str) -> None:
    async with serving(fast=False) as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
        writer.write((UPGRADE_HEAD + more).encode() + frame(TEXT, b"x"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_an_address_with_its_full_number_is_refused_before_the_upgrade_and_served_again_later() -> None:
    async with serving(fast=False, sockets_per_address=2) as local:
        async with connect(local.url()), connect(local.url()):
            with pytest.raises(InvalidStatus) as caught:
                await connect(local.url())
            assert caught.value.response.status_code == 429
            assert b'"too_many_connections"' in caught.value.response.body
            async with httpx.AsyncClient(verify=NO_TLS) as client:
                assert (await client.get(f"http://127.0.0.1:{local.port}/")).status_code == 200
        await until(lambda: all(echo.ends for echo in local.echoes))
        async with connect(local.url()):
            assert len(local.echoes) == 3


@pytest.mark.parametrize(("proxies", "second"), [(0, 429), (1, 101)])
async def test_a_client_behind_a_trusted_proxy_is_counted_by_its_own_address(proxies: int, second: int) -> None:
    async def answer(local: LocalServer, address: str) -> tuple[int, object]:
        try:
            return 101, await connect(local.url(), additional_headers={"X-Forwarded-For": address})
        except InvalidStatus as refused:
            return refused.response.status_code, None

    async with serving(fast=False, sockets_per_address=1, proxies=proxies) as local:
        assert (await answer(local, "10.0.0.1"))[0] == 101
        assert (await answer(local, "10.0.0.2"))[0] == second
        assert (await answer(local, "10.0.0.1"))[0] == 429


async def test_clients_that_left_are_not_counted() -> None:
    async with serving(fast=False, sockets_per_address=100) as local:
        for _ in range(20):
            (await RawClient.connect(local.port)).vanish()
        await until(lambda: len(local.echoes) == 20 and all(echo.ends for echo in local.echoes))
        assert local.app.ctx.open_connections._sockets_of == {}


# ---- any path


TOKEN = "the-good-one"


def only_with_the_token(local: LocalServer) -> None:
    async def authenticate(upgrade: UpgradeRequest, address: str, *, fast: bool) -> Attach:
        if f"token={TOKEN}" not in upgrade.query.split("&"):
            raise ApiError("token_invalid")
        return await local.authenticate(upgrade, address, fast=fast)

    local.app.ctx.authenticate = authenticate


@pytest.fixture
async def led() -> AsyncIterator[LocalServer]:
    async with serving(prepare=only_with_the_token, fast=False) as opened:
        yield opened


@pytest.mark.parametrize(
    "path", ["/", "", "/ws", "/any/path/at.all", "/%C3%BC", "/_socket", "/_socket/v1", "//", "/a/"]
)
async def test_any_path_upgrades_and_the_query_survives(led: LocalServer, path: str) -> None:
    async with connect(led.url(f"{path}?token={TOKEN}&name=%C3%BC%26+x")) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
        assert client.subprotocol is None
    upgrade = (await led.echo()).upgrade
    assert upgrade is not None
    assert (upgrade.query, upgrade.v1) == (f"token={TOKEN}&name=%C3%BC%26+x", False)


@pytest.mark.parametrize("offers", [["wm.v1"], ["other", "wm.v1"]])
async def test_a_client_that_offers_wm_v1_gets_it(led: LocalServer, offers: list[str]) -> None:
    async with connect(led.url(f"/ws?token={TOKEN}"), subprotocols=offers) as client:  # type: ignore[arg-type]
        assert client.subprotocol == "wm.v1"
    upgrade = (await led.echo()).upgrade
    assert upgrade is not None
    assert (upgrade.query, upgrade.v1) == (f"token={TOKEN}", True)


async def test_other_subprotocols_are_passed_over(led: LocalServer) -> None:
    async with connect(led.url(f"/?token={TOKEN}"), additional_headers={"Sec-WebSocket-Protocol": "chat"}) as client:
        assert client.subprotocol is None


@pytest.mark.parametrize("query", ["", "?token=bad", "?token="])
@pytest.mark.parametrize("offers", [None, ["wm.v1"]])
async def test_the_authenticator_refuses_before_the_upgrade(
    led: LocalServer, query: str, offers: list[str] | None
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(led.url("/ws" + query), subprotocols=offers)  # type: ignore[arg-type]
    assert caught.value.response.status_code == 401
    assert b'"token_invalid"' in caught.value.response.body
    assert led.echoes == []


@pytest.mark.parametrize("path", [SOCKET_PATH, SOCKET_PATH + "/", "/%5Fsocket", SOCKET_PATH + "?token=" + TOKEN])
async def test_the_internal_path_is_nothing_without_an_upgrade(led: LocalServer, path: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{led.port}", verify=NO_TLS) as client:
        assert (await client.get(path)).status_code == 404
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Upgrade": "websocket", "Connection": "Upgrade"}),
        ("GET", {"Upgrade": "h2c", "Connection": "Upgrade"}),
    ],
)
async def test_only_a_get_for_a_websocket_is_led_to_it(led: LocalServer, method: str, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{led.port}", verify=NO_TLS) as client:
        assert (await client.request(method, "/nowhere", headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "spoil",
    [
        lambda h: h.pop("Sec-WebSocket-Key"),
        lambda h: h.update({"Sec-WebSocket-Version": "8"}),
        lambda h: h.pop("Connection"),
    ],
    ids=["no key", "old version", "no connection header"],
)
async def test_a_broken_handshake_is_a_client_error(
    led: LocalServer, spoil: Callable[[dict[str, str]], object]
) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    spoil(headers)
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        answer = await client.get(f"http://127.0.0.1:{led.port}/?token={TOKEN}", headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.status_code in http.client.responses
