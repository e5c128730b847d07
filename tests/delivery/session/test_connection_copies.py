"""One conversation on all devices: copies of what was sent, and news of what was read, over a real Redis."""

import pytest
from redis.asyncio import Redis

from protocol.dialects import V1, Seed
from protocol.entries import OwnChat
from tests.support.messaging import ASHA, RAVI, HandConnection, Held, Row, Who, ashas_connection, locked, until

DIALECTS = pytest.mark.parametrize("dialect", [V1(), Seed()], ids=["wm.v1", "seed"])


async def two_devices(redis: "Redis", dialect: V1 | Seed | None = None) -> tuple[HandConnection, HandConnection]:
    """Ravi's phone, in the given dialect, and tablet, in wm.v1."""
    phone = await HandConnection(redis, dialect, Who("phone")).begin()
    tablet = await HandConnection(phone.server, who=Who("tablet")).begin()
    phone.server.hub.devices_changed(RAVI)  # what Redis publishes is not passed on here
    return phone, tablet


def is_sent(one: HandConnection, message_id: str) -> bool:
    frames = [*one.socket.of("sent"), *one.socket.of("system")]
    return any(frame.get("messageId") == message_id for frame in frames)


@DIALECTS
async def test_what_one_device_sends_the_other_gets(redis: "Redis", dialect: V1 | Seed) -> None:
    phone, tablet = await two_devices(redis, dialect)
    phone.say("m-1")
    await until(lambda: is_sent(phone, "m-1") and tablet.socket.of("own"))
    (own,) = tablet.socket.of("own")
    (sent,) = [f for f in [*phone.socket.of("sent"), *phone.socket.of("system")] if f.get("messageId") == "m-1"]
    assert own == {
        "type": "own",
        "to": ASHA,
        "messageId": "m-1",
        "message": "hello",
        "timestamp": sent["timestamp"],
        "streamId": own["streamId"],
    }
    assert not phone.socket.of("own")
    tablet.ack(own["streamId"])
    phone.renew()  # its own copy is none to it, and is settled when it is seen
    await until(lambda: phone.has_waiting(0))
    assert await phone.server.waiting(ASHA) == ["m-1"]


async def test_to_a_seed_client_nothing_comes_and_nothing_stays(redis: "Redis") -> None:
    phone = await HandConnection(redis, who=Who("phone")).begin()
    tablet = await HandConnection(phone.server, Seed(), Who("tablet")).begin()
    phone.server.hub.devices_changed(RAVI)
    await phone.hear("c-1")
    phone.ack(phone.socket.of("chat")[0]["streamId"])
    tablet.frame(type="ack", ackType="delivered", streamId=tablet.socket.of("chat")[0]["streamId"])
    tablet.end_batch()
    phone.say("m-1")
    phone.read("c-1")
    await until(lambda: is_sent(phone, "m-1"))
    phone.renew()
    await until(lambda: phone.has_waiting(0))
    assert {frame["type"] for frame in tablet.socket.frames} == {"system", "chat"}


async def test_sent_waits_for_the_copy(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    phone, tablet = await two_devices(redis)
    copies = Held(monkeypatch, "store_own")
    phone.say("m-1")
    await until(lambda: copies.calls)
    await until(lambda: phone.has_waiting(1))
    assert not is_sent(phone, "m-1")
    copies.release()
    await until(lambda: is_sent(phone, "m-1") and tablet.socket.of("own"))


async def test_a_retry_makes_the_copy_that_failed(redis: "Redis") -> None:
    phone, tablet = await two_devices(redis)
    async with locked(redis, f"~*{{{ASHA}}}* ~leases:* ~mailbox:*"):
        phone.say("m-1")
        await until(lambda: phone.socket.of("error"))
    (error,) = phone.socket.of("error")
    assert (error["messageId"], error["to"], error["retryable"]) == ("m-1", ASHA, True)
    assert await phone.server.waiting(ASHA) == ["m-1"]
    for _ in range(2):
        phone.say("m-1")
    await until(lambda: len(phone.socket.of("sent")) == 2)
    assert len({frame["timestamp"] for frame in phone.socket.of("sent")}) == 1
    assert await phone.server.waiting(ASHA) == ["m-1"]
    assert len([entry for entry in await phone.server.entries(RAVI) if isinstance(entry, OwnChat)]) <= 1
    await until(lambda: [frame["messageId"] for frame in tablet.socket.of("own")] == ["m-1"])


async def test_a_refused_chat_has_no_copy(redis: "Redis") -> None:
    phone = await HandConnection(redis, who=Who("phone"), mailbox_limit=1).begin()
    tablet = await HandConnection(phone.server, who=Who("tablet")).begin()
    phone.server.hub.devices_changed(RAVI)
    phone.put("m-1")
    phone.put("m-2")
    phone.end_batch()
    await until(lambda: phone.socket.of("error") and is_sent(phone, "m-1"))
    assert phone.socket.of("error")[0]["code"] == "mailbox_full"
    await until(lambda: tablet.socket.of("own"))
    assert [entry.message_id for entry in await phone.server.entries(RAVI) if isinstance(entry, OwnChat)] == ["m-1"]


async def test_a_chat_to_who_blocked_its_sender_is_copied_as_any_other(redis: "Redis") -> None:
    phone, tablet = await two_devices(redis)
    await phone.server.people.load(ASHA)
    await phone.server.people.replace_rules(ASHA, Row(f"account of {ASHA}", 1, {RAVI: 1}))
    phone.say("m-1")
    await until(lambda: is_sent(phone, "m-1") and tablet.socket.of("own"))
    assert await phone.server.waiting(ASHA) == []


async def test_who_has_one_device_makes_no_copies(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    phone = await HandConnection(redis, who=Who("phone")).begin()
    copies = Held(monkeypatch, "store_own")
    phone.say("m-1")
    await until(lambda: is_sent(phone, "m-1"))
    assert copies.calls == []


@pytest.mark.parametrize("heard", [True, False], ids=["by a notification", "by a renewal"])
async def test_a_device_that_is_new_gets_copies_from_then_on(redis: "Redis", heard: bool) -> None:
    phone = await HandConnection(redis, who=Who("phone")).begin()
    phone.say("m-1")
    await until(lambda: is_sent(phone, "m-1"))
    tablet = await HandConnection(phone.server, who=Who("tablet")).begin()
    if heard:
        phone.server.hub.devices_changed(RAVI)
    else:
        phone.renew()
        await until(lambda: phone.connection._session._window.shared)
    phone.say("m-2")
    await until(lambda: tablet.socket.of("own"))
    assert [frame["messageId"] for frame in tablet.socket.of("own")] == ["m-2"]


async def test_copies_end_when_the_other_device_is_forgotten(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    phone, tablet = await two_devices(redis)
    tablet.connection.handle_lost(1006, "")
    await tablet.over()
    assert await phone.server.presence.devices.forget(RAVI, "tablet") == "forgotten"
    copies = Held(monkeypatch, "store_own")
    copies.release()
    for name in ("m-1", "m-2"):
        phone.say(name)
        await until(lambda name=name: is_sent(phone, name))  # type: ignore[misc]
    assert len(copies.calls) == 1, "the first finds out that nobody needs them"
    assert await phone.has_waiting(0)


async def test_what_is_read_on_one_device_the_other_is_told(redis: "Redis") -> None:
    phone, tablet = await two_devices(redis)
    asha = await ashas_connection(phone)
    await phone.hear("c-1")
    phone.read("c-1")
    await until(lambda: tablet.socket.of("ownRead"))
    (told,) = tablet.socket.of("ownRead")
    assert (told["from"], told["messageIds"]) == (ASHA, ["c-1"])
    assert told["timestamp"] == int(told["streamId"].partition("-")[0])
    assert not phone.socket.of("ownRead")
    await until(lambda: [frame["ackType"] for frame in asha.socket.of("ack")] == ["read"])
    tablet.read("c-1")
    tablet.ack(told["streamId"], tablet.socket.of("chat")[0]["streamId"])
    phone.renew()
    await until(lambda: phone.has_waiting(0))
    assert len(asha.socket.of("ack")) == 1, "the second reading is no news"
