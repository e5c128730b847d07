import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from sanic import Request
from sanic.response import HTTPResponse, text
from websockets.asyncio.client import connect

from tests.server.support import House, serving


def short_timeouts(house: House) -> None:
    for name in ("REQUEST_TIMEOUT", "RESPONSE_TIMEOUT", "KEEP_ALIVE_TIMEOUT"):
        house.app.config[name] = 1

    async def take(request: Request) -> HTTPResponse:
        return text(str(len(request.body)))

    house.app.add_route(take, "/take", methods=["POST"])


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serving(prepare=short_timeouts) as opened:
        yield opened


async def read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):  # being cut while sending looks like this
        while chunk := await reader.read(4096):
            received += chunk
    return received


async def drip(port: int, whole: bytes, slow: bytes) -> tuple[float, bytes]:
    """Send ``slow`` a byte at a time until we are cut; the seconds it took, and what was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    started = loop.time()
    writer.write(whole)
    answer = asyncio.ensure_future(read_to_the_end(reader))
    for byte in slow:
        if answer.done():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.1)
    received = await asyncio.wait_for(answer, 1)
    writer.close()
    return loop.time() - started, received


async def test_a_head_dripped_byte_by_byte_is_cut(house: House) -> None:
    seconds, answer = await drip(house.port, b"GET / HTTP/1.1\r\n", b"X-Slow: " + b"x" * 100)
    assert 0.9 < seconds < 2.5
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_body_dripped_byte_by_byte_is_cut(house: House) -> None:
    head = b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    seconds, answer = await drip(house.port, head, b"x" * 100)
    assert 0.9 < seconds < 3.5  # checked every half second, and a second for the last word
    assert answer.startswith(b"HTTP/1.1 503")


async def test_a_connection_kept_alive_has_the_whole_time_for_each_request(house: House) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{house.port}") as client:
        for _ in range(4):
            assert (await client.post("/take", content=b"x" * 10_000)).text == "10000"
            await asyncio.sleep(0.5)


async def test_a_websocket_is_not_under_the_requests_deadline(house: House) -> None:
    async with connect(house.url()) as client:
        await asyncio.sleep(2.2)
        await client.send("hello")
        assert await client.recv() == "hello"
