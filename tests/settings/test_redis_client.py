"""The client of all that is not the road of a message: bounded in connections and in every wait."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from devstack.valkey import Valkey
from settings import Settings
from settings.redis_client import redis_client


@asynccontextmanager
async def client(url: str, **knobs: Any) -> AsyncIterator["Redis"]:
    limits = {"redis_connect_seconds": 0.3, "redis_command_seconds": 0.3} | knobs
    settings = Settings(
        redis_url=url,
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
        **limits,
    )
    made = redis_client(settings)
    try:
        yield made
    finally:
        await made.connection_pool.disconnect()


async def test_it_answers_in_bytes(valkey_url: str, redis: "Redis") -> None:
    async with client(valkey_url) as made:
        await made.set("a", "1")
        assert await made.get("a") == b"1"


async def test_it_connects_when_first_used(tmp_path: Path) -> None:
    async with client(f"unix://{tmp_path / 'none.sock'}") as made:
        with pytest.raises(ConnectionError):
            await made.ping()  # type: ignore[misc]


async def test_no_command_waits_longer_than_it_may(own_valkey: Valkey) -> None:
    async with client(own_valkey.url) as made:
        await made.ping()  # type: ignore[misc]
        own_valkey.pause()
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            await made.get("a")
        assert time.monotonic() - started < 1
        own_valkey.resume()
        assert await made.get("a") is None


async def test_a_command_whose_answer_is_lost_is_not_repeated() -> None:
    heard: list[bytes] = []

    async def cut_at_incr(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            heard.append(data)
            if b"INCR" in data:
                break
            writer.write(b"+OK\r\n" * data.count(b"*"))
        writer.close()

    server = await asyncio.start_server(cut_at_incr, "127.0.0.1", 0)
    async with server, client(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as made:
        with pytest.raises(ConnectionError):
            await made.incr("count")
    assert len([data for data in heard if b"INCR" in data]) == 1


async def test_who_does_not_greet_back_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with client(f"redis://127.0.0.1:{deaf.getsockname()[1]}") as made:
            started = time.monotonic()
            with pytest.raises(RedisError):
                await made.ping()  # type: ignore[misc]
            assert time.monotonic() - started < 1


async def test_more_than_the_pool_holds_wait_and_not_for_ever(valkey_url: str, redis: "Redis") -> None:
    async with client(valkey_url, redis_pool=2, redis_command_seconds=5) as made:
        before = len(await redis.client_list())
        answers = await asyncio.gather(*(made.blpop(["never"], 1) for _ in range(4)), return_exceptions=True)
        assert [type(answer).__name__ for answer in answers].count("ConnectionError") == 2
        assert len(await redis.client_list()) - before == 2
        await asyncio.gather(*(made.ping() for _ in range(20)))
        assert len(await redis.client_list()) - before == 2
