"""Addresses as redis-py spells them, and a greeting that must be answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.exceptions import AuthenticationError

from delivery.redis.connection import Address, dial, pack


def nobody(_: Any = None) -> None:
    return


@contextlib.asynccontextmanager
async def saying(*lines: bytes) -> AsyncIterator[Address]:
    """A server that answers each read with the next of these, and then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in lines:
            await reader.read(4096)
            writer.write(line)
        await reader.read(4096)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Address.of(f"redis://:secret@127.0.0.1:{port}/2")


def test_every_kind_of_url() -> None:
    plain = Address.of("redis://asha:pass@example.org:6380/2")
    assert (plain.host, plain.port, plain.path, plain.tls) == ("example.org", 6380, None, None)
    assert plain.greeting == [pack("AUTH", "asha", "pass"), pack("SELECT", 2)]
    bare = Address.of("redis://127.0.0.1")
    assert (bare.port, bare.greeting) == (6379, [])
    unix = Address.of("unix://:p%40ss@/run/redis.sock?db=1")
    assert (unix.path, unix.greeting) == ("/run/redis.sock", [pack("AUTH", "p@ss"), pack("SELECT", 1)])
    assert Address.of("rediss://example.org").tls is not None
    with pytest.raises(ValueError, match="must specify one of"):
        Address.of("http://example.org")


async def test_replies_are_heard_after_the_greeting_only() -> None:
    heard: list[Any] = []
    gone = asyncio.Event()
    async with saying(b"+OK\r\n", b"+OK\r\n", b"$2\r\nhe", b"") as address:
        line = await dial(address, heard.append, gone.set, 1)
        assert heard == []
        line.write(pack("GET", "a"))
        line.write(pack("GET", "b"))
        await asyncio.sleep(0.05)
        assert heard == []  # half a reply is none
        line.abort()
        await asyncio.wait_for(gone.wait(), 1)


@pytest.mark.parametrize(
    ("lines", "error"),
    [([b"-WRONGPASS no\r\n"], AuthenticationError), ([b"+OK\r\n", b"-ERR DB index\r\n"], AuthenticationError)],
)
async def test_a_greeting_not_taken_is_told(lines: list[bytes], error: type[Exception]) -> None:
    async with saying(*lines) as address:
        with pytest.raises(error):
            await dial(address, nobody, nobody, 1)


async def test_a_greeting_that_is_cut_or_not_answered_ends_in_time() -> None:
    async with saying() as address:
        with pytest.raises(AuthenticationError, match="closed"):
            await dial(address, nobody, nobody, 1)
    sleeping: Callable[..., Awaitable[None]] = lambda *_: asyncio.sleep(5)  # noqa: E731
    async with await asyncio.start_server(sleeping, "127.0.0.1", 0) as server:
        address = Address.of(f"redis://:x@127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(TimeoutError):
            await dial(address, nobody, nobody, 0.1)


async def test_what_is_no_redis_ends_the_line() -> None:
    gone = asyncio.Event()
    async with saying(b"+OK\r\n", b"+OK\r\n", b"HTTP/1.1 400 Bad Request\r\n") as address:
        line = await dial(address, nobody, gone.set, 1)
        line.write(pack("GET", "a"))
        await asyncio.wait_for(gone.wait(), 1)
