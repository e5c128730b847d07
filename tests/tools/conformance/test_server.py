"""The faults of the scripted server, seen by clients that are not ours."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tools.conformance.accounts import ME, PASSWORD
from tools.conformance.case import chat
from tools.conformance.server import LOGIN, REFRESH, TICKETS, Server, answer, lost_answer, lost_request, refuse
from tools.conformance.waiting import Changes
from tools.conformance.wire import TEXT, encode


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """One that behaves well."""
    async with Server(Changes()) as made:
        yield made


async def _log_in(server: Server) -> dict[str, str]:
    form = {"mobileNo": ME, "password": PASSWORD}
    async with httpx.AsyncClient(base_url=server.url) as client:
        return dict((await client.post("/auth/login", json=form)).json())


async def _connected(server: Server) -> ClientConnection:
    headers = {"Authorization": f"Bearer {(await _log_in(server))['token']}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        ticket = (await client.post("/v1/tickets")).json()["ticket"]
    address = f"{server.url.replace('http', 'ws')}/?ticket={ticket}"
    connection = await connect(address, subprotocols=[websockets.Subprotocol("wm.v1")], max_size=1 << 20)
    assert json.loads(await connection.recv())["type"] == "hello"
    return connection


async def test_chat_is_answered(server: Server) -> None:
    """What a case does not plan goes well."""
    async with await _connected(server) as connection:
        await connection.send(json.dumps({"type": "chat", "to": "919800000002", "messageId": "m", "message": "é" * 99}))
        assert json.loads(await connection.recv())["messageId"] == "m"
        assert (await server.sockets[0].expect("chat"))["message"] == "é" * 99


async def test_plan_is_used_once_each(server: Server) -> None:
    """In their order, and then it behaves well again."""
    server.plan(LOGIN, refuse(429, "rate_limited", retry_after=1.5, header=2), answer(200, "<html>"), lost_request)
    async with httpx.AsyncClient(base_url=server.url) as client:
        form = {"mobileNo": ME, "password": PASSWORD}
        limited = await client.post("/auth/login", json=form)
        assert (limited.status_code, limited.headers["Retry-After"], limited.json()["retryAfter"]) == (429, "2", 1.5)
        assert (await client.post("/auth/login", json=form)).text == "<html>"
        with pytest.raises(httpx.TransportError):
            await client.post("/auth/login", json=form)
        assert (await client.post("/auth/login", json=form)).json()["token"]


async def test_refresh_whose_answer_is_lost_gets_the_same_successor(server: Server) -> None:
    """Within the grace. The one before the last ends the session."""
    tokens = await _log_in(server)
    server.plan(REFRESH, lost_answer)
    async with httpx.AsyncClient(base_url=server.url) as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
        second = (await client.post("/auth/refresh", json={"refreshToken": tokens["refreshToken"]})).json()
        third = (await client.post("/auth/refresh", json={"refreshToken": second["refreshToken"]})).json()
        assert len({tokens["token"], second["token"], third["token"]}) == 3
        reused = await client.post("/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
        assert reused.json()["code"] == "refresh_reused"


async def test_tokens_and_tickets_are_checked(server: Server) -> None:
    """A token that expired, one that is none, a ticket that was used."""
    headers = {"Authorization": f"Bearer {(await _log_in(server))['token']}"}
    async with await _connected(server):
        target = server.asked("UPGRADE")[0].target
    with pytest.raises(websockets.InvalidStatus):
        await connect(f"{server.url.replace('http', 'ws')}{target}")
    server.accounts.expire_tokens()
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.post("/v1/tickets", headers=headers)).json()["code"] == "token_expired"
        wrong = {"Authorization": "Bearer x.y.z"}
        assert (await client.post("/v1/tickets", headers=wrong)).json()["code"] == "token_invalid"
    assert len(server.asked(TICKETS)) == 3


async def test_message_is_cut_in_its_middle(server: Server) -> None:
    """Nothing of it arrives, and no close frame."""
    async with await _connected(server) as connection:
        await server.sockets[0].cut_within(chat("one"), chat("two"))
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            await connection.recv()
        assert closed.value.rcvd is None


async def test_close_codes_and_announced_lengths(server: Server) -> None:
    """A code of the protocol; and a frame that says it has a terabyte."""
    async with await _connected(server) as connection:
        server.sockets[0].close(4508, "replaced")
        with pytest.raises(websockets.ConnectionClosed):
            await connection.recv()
        assert connection.close_code == 4508
    async with await _connected(server) as connection:
        server.sockets[1].send_bytes(encode(TEXT, b"x", announced=1 << 40))
        with pytest.raises(websockets.ConnectionClosed):
            await connection.recv()
        assert await server.sockets[1].ended() == 1009


async def test_silent_socket_answers_no_ping(server: Server) -> None:
    """Neither one of the protocol nor one of WebSocket."""
    async with await _connected(server) as connection:
        server.sockets[0].answers_pings = False
        await connection.send('{"type":"ping"}')
        pong = await connection.ping()
        await server.sockets[0].expect("ping")
        await asyncio.sleep(0.05)
        assert not pong.done()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.recv(), 0.05)
