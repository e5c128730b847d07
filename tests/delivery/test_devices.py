"""Devices leave: at once when logged out, for lack of room when nobody is logged in on them."""

import asyncio

import pytest
from redis.asyncio import Redis

from delivery.presence import Holder
from protocol.errors import ApiError
from tests.support.messaging import ASHA, RAVI, OneServer, Row

HOLDER = Holder(RAVI, "primary", "s1", "c1")
ACCOUNT = f"account of {RAVI}"
TABLET = Holder(RAVI, "tablet", "s1", "c2")


@pytest.fixture
def server(redis: "Redis") -> OneServer:
    return OneServer(redis, max_devices=1)


async def known(server: OneServer, redis: "Redis") -> set[bytes]:
    return {name for name in await redis.hkeys(server.people.keys(RAVI).user) if name.startswith(b"dev:")}


async def test_a_device_nobody_is_logged_in_on_makes_room(server: OneServer, redis: "Redis") -> None:
    await server.presence.claim(HOLDER, ACCOUNT)
    await server.presence.release(HOLDER, 0)
    server.rows[RAVI] = Row(ACCOUNT, devices=["primary", "tablet"])
    with pytest.raises(ApiError, match="too_many_devices"):
        await server.presence.claim(TABLET, ACCOUNT)
    server.rows[RAVI] = Row(ACCOUNT, devices=["tablet"])
    await server.presence.claim(TABLET, ACCOUNT)
    assert await known(server, redis) == {b"dev:tablet"}


async def test_what_waited_for_the_last_device_waits_for_the_next(server: OneServer) -> None:
    await server.presence.claim(HOLDER, ACCOUNT)
    sent = await server.mail.store(RAVI, ASHA, [("m1", "hello")])
    await server.presence.release(HOLDER, 0)
    await server.presence.devices.logged_out(RAVI, "primary")
    server.rows[RAVI] = Row(ACCOUNT, devices=["tablet"])
    await server.presence.claim(TABLET, ACCOUNT)
    assert [entry.stream_id for entry in (await server.mail.fetch(TABLET, "new", 9)).entries] == [sent.newest]


async def test_a_device_logged_out_is_forgotten_when_its_socket_is_gone(server: OneServer, redis: "Redis") -> None:
    await server.presence.claim(HOLDER, ACCOUNT)
    leaving = asyncio.create_task(server.presence.devices.logged_out(RAVI, "primary"))
    await asyncio.sleep(0.1)
    assert await known(server, redis) == {b"dev:primary"}
    await server.presence.release(HOLDER, 0)
    await leaving
    assert await known(server, redis) == set()


async def test_who_wants_to_know_waits_until_a_device_has_left(server: OneServer) -> None:
    leave = server.presence.devices.leave
    assert await leave(RAVI, "primary") == "unknown"
    await server.presence.claim(HOLDER, ACCOUNT)
    assert await leave(RAVI, "primary", 0.05) == "connected"
    leaving = asyncio.create_task(leave(RAVI, "primary"))
    await asyncio.sleep(0.05)
    await server.presence.release(HOLDER, 0)
    assert await leaving == "forgotten"
    server.rows[RAVI] = Row(ACCOUNT, devices=["primary"])
    assert await leave(RAVI, "primary") == "linked"


async def test_a_device_logged_in_again_stays(server: OneServer, redis: "Redis") -> None:
    await server.presence.claim(HOLDER, ACCOUNT)
    await server.presence.release(HOLDER, 0)
    server.rows[RAVI] = Row(ACCOUNT, devices=["primary"])
    await server.presence.devices.logged_out(RAVI, "primary")
    assert await known(server, redis) == {b"dev:primary"}


async def test_a_device_unseen_for_long_is_told_from_one_seen_lately(server: OneServer, redis: "Redis") -> None:
    await server.presence.claim(HOLDER, ACCOUNT)
    await server.presence.release(HOLDER, 0)
    seen = int(await redis.hget(server.people.keys(RAVI).user, "dev:primary"))
    assert await server.presence.devices.forget(RAVI, "primary", seen - 1) == "recent"
    assert await server.presence.devices.forget(RAVI, "primary", seen) == "forgotten"
    assert await server.presence.devices.forget(RAVI, "primary", seen) == "unknown"
