"""Devices leave: at once when logged out, for lack of room when nobody is logged in on them."""

import asyncio

import pytest
from redis.asyncio import Redis

from delivery.presence import Holder
from protocol.errors import ApiError
from tests.delivery.test_mailbox import ASHA, HOLDER, RAVI, House, Row, house

__all__ = ["house"]
TABLET = Holder(RAVI, "tablet", "s1", "c2")


async def known(house: House, redis: "Redis") -> set[bytes]:
    return {name for name in await redis.hkeys(house.people.keys(RAVI).user) if name.startswith(b"dev:")}


async def test_a_device_nobody_is_logged_in_on_makes_room(house: House, redis: "Redis") -> None:
    await house.presence.claim(HOLDER, "account-1")
    await house.presence.release(HOLDER, 0)
    house.rows[RAVI] = Row(devices=["primary", "tablet"])
    with pytest.raises(ApiError, match="too_many_devices"):
        await house.presence.claim(TABLET, "account-1")
    house.rows[RAVI] = Row(devices=["tablet"])
    await house.presence.claim(TABLET, "account-1")
    assert await known(house, redis) == {b"dev:tablet"}


async def test_what_waited_for_the_last_device_waits_for_the_next(house: House) -> None:
    await house.presence.claim(HOLDER, "account-1")
    sent = await house.mailbox.deposit(RAVI, ASHA, [("m1", "hello")])
    await house.presence.release(HOLDER, 0)
    await house.presence.devices.logged_out(RAVI, "primary")
    house.rows[RAVI] = Row(devices=["tablet"])
    await house.presence.claim(TABLET, "account-1")
    assert [entry.stream_id for entry in (await house.mailbox.collect(TABLET, "new", 9)).entries] == [sent.newest]


async def test_a_device_logged_out_is_forgotten_when_its_socket_is_gone(house: House, redis: "Redis") -> None:
    await house.presence.claim(HOLDER, "account-1")
    leaving = asyncio.create_task(house.presence.devices.logged_out(RAVI, "primary"))
    await asyncio.sleep(0.1)
    assert await known(house, redis) == {b"dev:primary"}
    await house.presence.release(HOLDER, 0)
    await leaving
    assert await known(house, redis) == set()


async def test_a_device_logged_in_again_stays(house: House, redis: "Redis") -> None:
    await house.presence.claim(HOLDER, "account-1")
    await house.presence.release(HOLDER, 0)
    house.rows[RAVI] = Row(devices=["primary"])
    await house.presence.devices.logged_out(RAVI, "primary")
    assert await known(house, redis) == {b"dev:primary"}


async def test_a_device_unseen_for_long_is_told_from_one_seen_lately(house: House, redis: "Redis") -> None:
    await house.presence.claim(HOLDER, "account-1")
    await house.presence.release(HOLDER, 0)
    seen = int(await redis.hget(house.people.keys(RAVI).user, "dev:primary"))
    assert await house.presence.devices.forget(RAVI, "primary", seen - 1) == "recent"
    assert await house.presence.devices.forget(RAVI, "primary", seen) == "forgotten"
    assert await house.presence.devices.forget(RAVI, "primary", seen) == "unknown"
