"""Requests that Sanic would leave without an answer, or without a timeout."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.server.support import House, RawClient, serving
from tests.server.test_http_protocol import drip, read_to_the_end, short_timeouts

UPGRADE = (
    b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with serving(prepare=short_timeouts) as opened:
        yield opened


async def answer_to(house: House, *head: bytes) -> bytes:
    """All that comes until the server ends the connection, which must be at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(b"".join(head))
    received = await asyncio.wait_for(read_to_the_end(reader), 0.5)
    writer.close()
    return received


@pytest.mark.parametrize("path", [b"/\x01", b"/\x00", b"/a\tb", b"nowhere", b"http://[x", b"http://"])
@pytest.mark.parametrize("more", [b"Host: x\r\n", UPGRADE], ids=["plain", "upgrade"])
async def test_a_path_that_cannot_be_parsed_is_refused(house: House, path: bytes, more: bytes) -> None:
    answer = await answer_to(house, b"GET ", path, b" HTTP/1.1\r\n", more, b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5\r\n\r\n",
        b"Content-Length: 5\r\n\r\nabcde",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    ],
)
async def test_an_upgrade_with_a_body_is_refused(house: House, body: bytes) -> None:
    answer = await answer_to(house, b"GET / HTTP/1.1\r\n", UPGRADE, body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1, "the body is not taken for another request"
    assert house.echoes == []


async def test_an_upgrade_that_says_it_has_no_body_is_taken(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(b"GET / HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 0\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    client = RawClient(reader, writer)
    client.send(1, b"hello")
    assert await client.receive() == (1, b"hello")
    client.vanish()


async def test_a_post_that_asks_for_an_upgrade_is_an_ordinary_one(house: House) -> None:
    received = await answer_to(house, b"POST /take HTTP/1.0\r\nContent-Length: 5\r\n", UPGRADE, b"\r\nabcde")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"\r\n\r\n5")


async def test_its_body_is_under_the_deadline_too(house: House) -> None:
    head = b"POST /take HTTP/1.1\r\nContent-Length: 100\r\n" + UPGRADE + b"\r\n"
    seconds, answer = await drip(house.port, head, b"x" * 100)
    assert 0.9 < seconds < 3.5
    assert answer.startswith(b"HTTP/1.1 503")
