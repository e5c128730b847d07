"""The script that reads devices: what each has not settled is what a walk through the mailbox finds."""

import random

import pytest
from redis.asyncio import Redis

from delivery import devices as module
from delivery import scripts
from delivery.devices import DeviceRecord, Devices
from tests.delivery.person_scripts import MOBILE, Scripts
from tests.support.messaging import OneServer

DEVICES = ("phone", "tablet", "laptop")


async def _listed(person: Scripts) -> tuple[int, dict[str, tuple[int, int, str]]]:
    total, devices = await person.call(scripts.READ_DEVICES)
    return total, {device: (connected, counted, behind) for device, _, connected, counted, behind in devices}


async def _truth(person: Scripts, device: str) -> int:
    """What a device has not settled: counted one by one."""
    groups = {group["name"].decode(): group for group in await person.redis.xinfo_groups(person.keys.mailbox)}
    pending = await person.redis.xpending_range(person.keys.mailbox, device, "-", "+", 10_000)
    left = await person.redis.xrange(person.keys.mailbox, f"({groups[device]['last-delivered-id'].decode()}", "+")
    return len(pending) + len(left)


async def test_without_devices_there_is_only_the_mailbox(person: Scripts) -> None:
    assert await _listed(person) == (0, {})
    await person.store_chat("m1")
    assert await _listed(person) == (1, {}), "the group that stands in for a device is none"


async def test_each_device_has_its_own_number_and_connection(person: Scripts) -> None:
    await person.claim("phone", "s1")
    await person.claim("tablet", "s2", lease_ms=-1)
    assert await _listed(person) == (0, {"phone": (1, 0, ""), "tablet": (0, 0, "")})
    sent = [(await person.store_chat(f"m{number}"))[1] for number in range(3)]
    assert await _listed(person) == (3, {"phone": (1, 3, ""), "tablet": (0, 3, "")})
    await person.fetch(device="phone", count=2)
    await person.settle(sent[0], device="phone")
    for _ in range(2):
        assert await _listed(person) == (3, {"phone": (1, 2, ""), "tablet": (0, 3, "")})


@pytest.mark.parametrize("seed", range(8))
async def test_the_numbers_are_exact_whatever_was_done_to_the_mailbox(
    person: Scripts, redis: "Redis", seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COUNTED", 3)
    chance, sent = random.Random(seed), []  # noqa: S311
    server = OneServer(redis)
    for device, name in zip(DEVICES, ("s1", "s2", "s3"), strict=True):
        await person.claim(device, name)
    counted_by_hand = 0
    for step in range(80):
        device, name = chance.choice(list(zip(DEVICES, ("s1", "s2", "s3"), strict=True)))
        match chance.randrange(4):
            case 0 | 1:
                sent.append((await person.store_chat(f"m{step}"))[1])
            case 2:
                await person.fetch(device=device, server=name, count=chance.randrange(1, 4))
            case 3 if sent:
                stream_id = chance.choice(sent)
                if chance.random() < 0.3:
                    await person.sweep("s3")  # what the laptop has in flight may expire then
                    await person.expire(stream_id)
                    await person.claim("laptop", "s3")
                else:
                    await person.settle(stream_id, device=device)
        if not await redis.exists(person.keys.mailbox):
            continue
        records = await Devices(server.link, server.people).read(MOBILE)
        assert {each: records.known[each].waiting for each in DEVICES} == {
            each: await _truth(person, each) for each in DEVICES
        }
        _, listed = await _listed(person)
        counted_by_hand += any(behind for _, _, behind in listed.values())
    assert counted_by_hand, "Redis did not always know the lag"


async def test_a_device_that_comes_back_to_an_empty_mailbox(person: Scripts) -> None:
    await person.claim("phone", "s1")
    (stream_id,) = [(await person.store_chat("m1"))[1]]
    await person.fetch(device="phone")
    await person.settle(stream_id, device="phone")
    assert await _listed(person) == (0, {"phone": (1, 0, "")})
    await person.delete_empty()
    assert await _listed(person) == (0, {"phone": (1, 0, "")})


async def test_records_have_names(redis: "Redis", person: Scripts) -> None:
    await person.claim("phone", "s1")
    await person.store_chat("m1")
    server = OneServer(redis)
    found = await Devices(server.link, server.people).read(MOBILE)
    claimed = int(await redis.hget(person.keys.user, "dev:phone"))
    assert (found.known, found.mailbox) == ({"phone": DeviceRecord(claimed, True, 1)}, 1)
