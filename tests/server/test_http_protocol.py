"""Requests that Sanic would leave without an answer or without a timeout, or read otherwise than the standard."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sanic import Request
from sanic.response import HTTPResponse, ResponseStream, text
from websockets.asyncio.client import connect

from server.http_head import MAX_HEAD_BYTES
from tests.server.support import NO_TLS, LocalServer, RawClient, read_to_the_end, scaled_to_load, serving

UPGRADE = (
    b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def short_timeouts(local: LocalServer) -> None:
    for name in ("REQUEST_TIMEOUT", "RESPONSE_TIMEOUT", "KEEP_ALIVE_TIMEOUT"):
        local.app.config[name] = 1

    async def take(request: Request) -> HTTPResponse:
        return text(str(len(request.body)))

    async def parts(_request: Request) -> ResponseStream:
        async def send(response: Any) -> None:
            await response.write(b"one")
            await response.write(b"two")

        return ResponseStream(send, content_type="text/plain")

    local.app.add_route(take, "/take", methods=["POST"])
    local.app.add_route(parts, "/parts", methods=["GET", "HEAD"])


@pytest.fixture
async def local() -> AsyncIterator[LocalServer]:
    async with serving(prepare=short_timeouts) as opened:
        yield opened


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


async def test_a_head_dripped_byte_by_byte_is_cut(local: LocalServer) -> None:
    seconds, answer = await drip(local.port, b"GET / HTTP/1.1\r\n", b"X-Slow: " + b"x" * 100)
    assert 0.9 < seconds < scaled_to_load(2.5)
    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_body_dripped_byte_by_byte_is_cut(local: LocalServer) -> None:
    head = b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    seconds, answer = await drip(local.port, head, b"x" * 100)
    assert 0.9 < seconds < scaled_to_load(3.5)  # checked every half second, and a second for the last word
    assert answer.startswith(b"HTTP/1.1 503")


async def test_a_connection_kept_alive_has_the_whole_time_for_each_request(local: LocalServer) -> None:
    local.app.config["REQUEST_TIMEOUT"] = 3
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{local.port}", verify=NO_TLS) as client:
        for _ in range(7):  # longer than the time that one may take, and each pause is far from it
            assert (await client.post("/take", content=b"x" * 10_000)).text == "10000"
            await asyncio.sleep(0.5)


async def test_a_websocket_is_not_under_the_requests_deadline(local: LocalServer) -> None:
    async with connect(local.url()) as client:
        await asyncio.sleep(2.2)
        await client.send("hello")
        assert await client.recv() == "hello"


async def answer_to(local: LocalServer, *head: bytes) -> bytes:
    """All that comes until the server ends the connection, which must be at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    writer.write(b"".join(head))
    received = await asyncio.wait_for(read_to_the_end(reader), 0.5)
    writer.close()
    return received


@pytest.mark.parametrize("path", [b"/\x01", b"/\x00", b"/a\tb", b"nowhere", b"http://[x", b"http://"])
@pytest.mark.parametrize("more", [b"Host: x\r\n", UPGRADE], ids=["plain", "upgrade"])
async def test_a_path_that_cannot_be_parsed_is_refused(local: LocalServer, path: bytes, more: bytes) -> None:
    answer = await answer_to(local, b"GET ", path, b" HTTP/1.1\r\n", more, b"\r\n")
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
async def test_an_upgrade_with_a_body_is_refused(local: LocalServer, body: bytes) -> None:
    answer = await answer_to(local, b"GET / HTTP/1.1\r\n", UPGRADE, body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1, "the body is not taken for another request"
    assert local.echoes == []


async def test_an_upgrade_that_says_it_has_no_body_is_taken(local: LocalServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    writer.write(b"GET / HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 0\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    client = RawClient(reader, writer)
    client.send(1, b"hello")
    assert await client.receive() == (1, b"hello")
    client.vanish()


async def test_a_post_that_asks_for_an_upgrade_is_an_ordinary_one(local: LocalServer) -> None:
    received = await answer_to(local, b"POST /take HTTP/1.0\r\nContent-Length: 5\r\n", UPGRADE, b"\r\nabcde")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"\r\n\r\n5")


async def test_its_body_is_under_the_deadline_too(local: LocalServer) -> None:
    head = b"POST /take HTTP/1.1\r\nContent-Length: 100\r\n" + UPGRADE + b"\r\n"
    seconds, answer = await drip(local.port, head, b"x" * 100)
    assert 0.9 < seconds < scaled_to_load(3.5)
    assert answer.startswith(b"HTTP/1.1 503")


TAKE = b"POST /take HTTP/1.1\r\nHost: x\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        TAKE + b"Content-Length : %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        TAKE + b"Content-Length\t: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        TAKE + b"X: 1\r\n Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        TAKE + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        TAKE + "Transfer-Encoding: \u00a0chunked\r\n\r\n0\r\n\r\n".encode() + HIDDEN,
        TAKE + "Content-Length: ٥\r\n\r\nabcde".encode() + HIDDEN,
        TAKE + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde" + HIDDEN,
        TAKE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        TAKE + b"Host: y\r\n\r\n" + HIDDEN,
        b"POST /take HTTP/1.1\r\n\r\n" + HIDDEN,
        TAKE + b"X: a\nY: b\r\n\r\n" + HIDDEN,
        TAKE + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
        TAKE + b"Transfer-Encoding: chunked\r\n\r\n5 \r\nabcde\r\n0\r\n\r\n" + HIDDEN,
        TAKE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX5\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
        TAKE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde0\r\n\r\n" + HIDDEN,
        TAKE + "Transfer-Encoding: chunked\r\n\r\n٥\r\nabcde\r\n0\r\n\r\n".encode() + HIDDEN,
        TAKE + b"Transfer-Encoding: chunked\r\n\r\n5" + b";x" * 50 + b"\r\nabcde\r\n0\r\n\r\n" + HIDDEN,
    ],
)
async def test_what_two_readers_could_take_differently_is_refused_and_ends_the_connection(
    local: LocalServer, said: bytes
) -> None:
    answer = await answer_to(local, said)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1, "nothing behind it is taken for another request"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 10\r\n\r\nabcdefghij",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n005;name=value\r\nfghij\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nA\r\nabcdefghij\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("pieces", [1, 1000])
async def test_a_body_as_it_should_be_is_read_and_what_comes_behind_is_another_request(
    local: LocalServer, body: bytes, pieces: int
) -> None:
    said = b"\r\n\r\n" + TAKE + body + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    step = -(-len(said) // pieces)
    for start in range(0, len(said), step):
        writer.write(said[start : start + step])
        await asyncio.sleep(0)
    answer = await asyncio.wait_for(read_to_the_end(reader), 2)
    writer.close()
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 ")
    assert first.endswith(b"\r\n\r\n10")
    assert second.startswith(b"404 ")


async def test_who_waits_for_a_hundred_continue_gets_it(local: LocalServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    writer.write(TAKE + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1)).startswith(b"HTTP/1.1 100 ")
    writer.write(b"5\r\nabcde\r\n0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1)).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (TAKE + b"Cookie: " + b"x" * (MAX_HEAD_BYTES - 46) + b"\r\n\r\n", b"200", b""),
        (TAKE + b"Cookie: " + b"x" * (MAX_HEAD_BYTES - 30) + b"\r\n\r\n", b"431", b'"head_too_large"'),
        (TAKE + b"X: 1\r\n" * 5000, b"431", b'"head_too_large"'),
        (b"GET /" + b"x" * 20_000, b"414", b'"uri_too_long"'),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414", b'"uri_too_long"'),
    ],
)
async def test_a_head_has_less_than_16_kib(local: LocalServer, said: bytes, status: bytes, code: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    writer.write(said)
    answer = await reader.readuntil(b"\r\n\r\n") + await reader.read(400)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert code in answer


async def test_head_of_an_answer_in_parts_leaves_the_connection_usable(
    local: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", local.port)
    for method in (b"HEAD", b"GET"):
        last = b"Connection: close\r\n" if method == b"GET" else b""
        writer.write(method + b" /parts HTTP/1.1\r\nHost: x\r\n" + last + b"\r\n")
    answer = await asyncio.wait_for(read_to_the_end(reader), 5)
    writer.close()
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answer.count(b"one") == answer.count(b"two") == 1
    assert "Traceback" not in caplog.text
    assert not [each for each in caplog.records if each.levelname in ("ERROR", "WARNING")]
