"""Copies of what a person sent, and news of what they read, for their other devices: every verdict, twice in a row."""

from redis.asyncio import Redis

from delivery import keys
from tests.delivery.person_scripts import ASHA, MOBILE, RAVI, Scripts

OF_RAVI = ("k", "o", "t", RAVI)


async def with_two_devices(person: Scripts) -> None:
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")


async def copies(person: Scripts, device: str = "tablet", server: str = "s2", connection: str = "c2") -> list[str]:
    """The messageIds of the copies that a device gets."""
    entries = (await person.fetch(device=device, server=server, connection=connection))[3]
    return [values[5] for _, values in entries if values[1] == "o"]


async def test_nothing_is_stored_for_who_is_not_loaded(redis: "Redis") -> None:
    for _ in range(2):
        assert await Scripts(redis).store_own(("m1", "hello", 5)) == ["not_cached", "", []]
    assert await redis.keys("*") == []


async def test_nothing_is_stored_for_who_has_one_device(person: Scripts) -> None:
    await person.claim("phone")
    before = await person.snapshot()
    for _ in range(2):
        assert await person.store_own(("m1", "hello", 5), device="phone") == ["alone", "", []]
    assert await person.snapshot() == before


async def test_a_copy_is_stored_once_whatever_is_sent_again(person: Scripts) -> None:
    await with_two_devices(person)
    verdict, newest, servers = await person.store_own(("m1", "ü", 5), ("m2", "x", 6), ("m2", "x", 6), device="phone")
    assert (verdict, servers) == ("stored", ["s2"]), "the device that sent it needs no notification"
    first, second = await person.waits()
    assert second == newest
    assert await person.tally() == {"on": 2, "ob": 3}
    before = await person.snapshot()
    for _ in range(2):
        assert await person.store_own(("m1", "ü", 5), ("m2", "x", 6), device="phone") == ["stored", "", []]
    assert await person.snapshot() == before
    entries = (await person.fetch(device="tablet", server="s2", connection="c2"))[3]
    assert entries == [
        [first, [*OF_RAVI, "i", "m1", "m", "ü", "s", "5", "d", "phone"]],
        [second, [*OF_RAVI, "i", "m2", "m", "x", "s", "6", "d", "phone"]],
    ]


async def test_a_copy_leaves_when_all_other_devices_have_settled_it(person: Scripts) -> None:
    await with_two_devices(person)
    await person.store_own(("m1", "hello", 5), ("m2", "hello", 5), device="phone")
    assert (await person.fetch(device="phone"))[3] == [], "what a device did itself it need not read"
    await person.fetch(device="tablet", server="s2", connection="c2")
    assert await person.settle(*await person.waits(), device="tablet") == 2
    assert await person.tally() == {}
    assert await person.store_own(("m1", "hello", 5), device="phone") == ["stored", "", []], "its record stays"


async def test_a_device_that_has_something_to_read_before_its_copy_settles_the_copy(person: Scripts) -> None:
    await with_two_devices(person)
    await person.store_chat("c1")
    await person.store_own(("m1", "hello", 5), device="phone")
    chat, copy = await person.waits()
    await person.fetch(device="tablet", server="s2", connection="c2")
    assert await person.settle(chat, copy, device="tablet") == 0
    assert [at for at, _ in (await person.fetch(device="phone"))[3]] == [chat, copy]
    assert await person.settle(chat, copy, device="phone") == 2


async def test_how_much_a_device_has_not_read_stays_known(person: Scripts) -> None:
    await with_two_devices(person)
    await person.store_chat("c1")
    await person.fetch(device="phone")
    await person.store_own(("m1", "hello", 5), ("m2", "hello", 5), device="phone")
    await person.store_chat("c2")
    groups = await person.redis.xinfo_groups(person.keys.mailbox)
    assert {group["name"]: group["lag"] for group in groups} == {b"phone": 1, b"tablet": 4}


async def test_the_last_device_settles_copies_without_reading_them_again(person: Scripts) -> None:
    await with_two_devices(person)
    await person.store_chat("m0")
    await person.store_own(("m1", "hello", 5), device="phone")
    await person.fetch(device="tablet", server="s2", connection="c2")
    await person.sweep("s1")
    await person.forget_device("phone")
    assert await person.settle(*await person.waits(), device="tablet") == 2
    assert await person.whole_tally() == {}


async def test_the_same_message_id_to_two_people_is_two_chats(person: Scripts) -> None:
    await with_two_devices(person)
    await person.store_own(("m1", "hello", 5), device="phone", to=RAVI)
    await person.store_own(("m1", "hello", 5), device="phone", to=ASHA)
    await person.store_chat("m1")
    assert len(await person.waits()) == 3


async def test_the_oldest_copies_leave_when_too_many_wait(person: Scripts) -> None:
    await with_two_devices(person)
    for n in range(20):
        await person.store_own((f"m{n}", "hello", n), device="phone", most=20)
        await person.store_chat(f"c{n}")
    assert await person.tally() == {"on": 20, "ob": 100, "n": 20, "b": 100, f"n:{ASHA}": 20}
    await person.store_own(("m20", "hello", 20), device="phone", most=20)
    assert (await person.tally())["on"] == 18, "a tenth more than need be, so that not each copy costs a walk"
    assert await copies(person) == [f"m{n}" for n in range(3, 21)]


async def test_the_oldest_copies_leave_when_their_texts_are_too_long(person: Scripts) -> None:
    await with_two_devices(person)
    for n in range(10):
        await person.store_own((f"m{n}", "x" * 10, n), device="phone", most_bytes=100)
    assert len(await copies(person)) == 10
    await person.store_own(("m10", "x" * 10, 10), device="phone", most_bytes=100)
    assert (await person.tally())["ob"] == 90
    assert await person.store_own(("m0", "x" * 10, 0), device="phone") == ["stored", "", []], "it had its copy"


async def test_records_of_copies_that_wait_are_kept_by_a_rotation(person: Scripts) -> None:
    await with_two_devices(person)
    await person.store_own(("m1", "hello", 5), device="phone")
    for _ in range(3):
        await person.age_records()
        while await person.rotate_dedupe() != "rotated":
            pass
    assert await person.store_own(("m1", "hello", 5), device="phone") == ["stored", "", []]


async def test_a_device_that_is_new_is_told_to_the_servers_of_the_others(person: Scripts) -> None:
    pubsub = person.redis.pubsub()
    await pubsub.subscribe(keys.channel("s1"))
    await pubsub.get_message(timeout=1)
    await person.claim("phone", "s1", "c1")
    await person.claim("tablet", "s2", "c2")
    await person.claim("tablet", "s2", "c3")
    await person.redis.publish(keys.channel("s1"), "end")
    told = []
    while (message := await pubsub.get_message(ignore_subscribe_messages=True, timeout=1))["data"] != b"end":
        told.append(message["data"].decode())
    assert told == [f"{keys.DEVICES_CHANGED} {MOBILE}"], "once, and of what is new alone"
    await pubsub.aclose()  # type: ignore[no-untyped-call]


async def test_a_renewal_says_how_many_devices_there_are(person: Scripts) -> None:
    await person.claim()
    await person.renew()
    assert person.devices == "1"
    await person.claim("tablet", "s2", "c2")
    await person.renew()
    assert person.devices == "2"


async def test_reading_is_told_to_other_devices_also_when_nothing_waits(person: Scripts) -> None:
    await with_two_devices(person)
    await person.store_chat("m1")
    (at,) = await person.waits()
    for device, server, connection in (("phone", "s1", "c1"), ("tablet", "s2", "c2")):
        await person.fetch(device=device, server=server, connection=connection)
        await person.settle(at, device=device)
    await person.sweep("s1")
    await person.sweep("s2")
    assert await person.delete_empty() == ["deleted"]
    await person.mark_read("m1", device="phone")
    assert person.told[0] != ""
    assert await person.groups() == ["phone", "tablet"]


async def test_who_has_one_device_is_told_nothing_of_what_they_read(person: Scripts) -> None:
    await person.claim()
    await person.store_chat("m1")
    await person.fetch()
    await person.mark_read("m1")
    assert person.told == ["", []]
    assert await person.waits() == []
