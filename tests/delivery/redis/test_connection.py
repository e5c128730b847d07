"""Addresses in the form redis-py knows, and a login that must be answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import AuthenticationError

from delivery.redis.connection import Address, open_connection, pack_command


def ignore(_: Any = None) -> None:
    return


@contextlib.asynccontextmanager
async def answering(*lines: bytes) -> AsyncIterator[Address]:
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
    assert plain.login == [pack_command("AUTH", "asha", "pass"), pack_command("SELECT", 2)]
    bare = Address.of("redis://127.0.0.1")
    assert (bare.port, bare.login) == (6379, [])
    unix = Address.of("unix://:p%40ss@/run/redis.sock?db=1")
    assert (unix.path, unix.login) == ("/run/redis.sock", [pack_command("AUTH", "p@ss"), pack_command("SELECT", 1)])
    assert Address.of("rediss://example.org").tls is not None
    with pytest.raises(ValueError, match="must specify one of"):
        Address.of("http://example.org")


async def test_only_replies_after_the_login_are_passed_on() -> None:
    replies: list[Any] = []
    lost = asyncio.Event()
    async with answering(b"+OK\r\n", b"+OK\r\n", b"$2\r\nhe", b"") as address:
        connection = await open_connection(address, replies.append, lost.set, 1)
        assert replies == []
        connection.write(pack_command("GET", "a"))
        connection.write(pack_command("GET", "b"))
        await asyncio.sleep(0.05)
        assert replies == []  # half a reply is none
        connection.abort()
        await asyncio.wait_for(lost.wait(), 1)


@pytest.mark.parametrize(
    ("lines", "error"),
    [([b"-WRONGPASS no\r\n"], AuthenticationError), ([b"+OK\r\n", b"-ERR DB index\r\n"], AuthenticationError)],
)
async def test_a_rejected_login_is_an_error(lines: list[bytes], error: type[Exception]) -> None:
    async with answering(*lines) as address:
        with pytest.raises(error):
            await open_connection(address, ignore, ignore, 1)


async def test_a_login_that_is_cut_or_not_answered_ends_in_time() -> None:
    async with answering() as address:
        with pytest.raises(AuthenticationError, match="closed"):
            await open_connection(address, ignore, ignore, 1)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()  # since Python 3.12 a server waits for its connections to end

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        address = Address.of(f"redis://:x@127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(TimeoutError):
            await open_connection(address, ignore, ignore, 0.1)


async def test_what_is_not_redis_ends_the_connection() -> None:
    lost = asyncio.Event()
    async with answering(b"+OK\r\n", b"+OK\r\n", b"HTTP/1.1 400 Bad Request\r\n") as address:
        connection = await open_connection(address, ignore, lost.set, 1)
        connection.write(pack_command("GET", "a"))
        await asyncio.wait_for(lost.wait(), 1)
