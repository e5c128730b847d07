"""The journey on a real Redis, and its three orders: what is left in Redis when it breaks in the middle."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from delivery.hub import Hub
from delivery.in_flight import Acked, Landed
from delivery.mailbox import FULL
from delivery.messenger import MOST
from delivery.presence import Holder
from delivery.redis.client import RedisClient
from protocol.entries import Entry, Receipt
from protocol.errors import ApiError, Close
from tests.delivery.one_server import ASHA, EVE, RAVI, OneServer

HOLDER = Holder(RAVI, "primary", "s1", "c1")
ACCOUNT = f"account of {RAVI}"
DENIED = "(?i)permission"
TEXT_BYTES = len("hello")


class Somebody:
    """A connection in the hub."""

    def __init__(self, mobile: str = RAVI, connection_id: str = "c1") -> None:
        self.mobile = mobile
        self.connection_id = connection_id
        self.session_id = "session"
        self.closes: list[Close] = []

    def expect(self) -> None: ...
    def ring(self, stream_id: str) -> None: ...

    def close(self, close: Close) -> None:
        self.closes.append(close)

    def drain(self, retry_after: float) -> None: ...

    def tick(self, now: float) -> None: ...


@pytest.fixture
def server(redis: "Redis") -> OneServer:
    return OneServer(redis, max_devices=2)


@contextlib.asynccontextmanager
async def listening(redis: "Redis", server_id: str) -> AsyncIterator[list[bytes]]:
    """What was said on another server's bell, read when the block ends."""
    heard: list[bytes] = []
    bell = f"notify:{server_id}"
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(bell)
        assert await pubsub.get_message(timeout=5) is not None  # it is written by now; only the answer says it is done
        yield heard
        await redis.publish(bell, b"that was all")
        while (message := await pubsub.get_message(timeout=5)) is not None and message["data"] != b"that was all":
            heard.append(message["data"])
        assert message is not None


@contextlib.asynccontextmanager
async def locked(redis: "Redis", keys: str) -> AsyncIterator[None]:
    """Redis lets nobody touch any key but these, so that whoever works through several breaks in the middle."""
    await redis.execute_command("ACL", "SETUSER", "default", "resetkeys", *keys.split())  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        await redis.execute_command("ACL", "SETUSER", "default", "allkeys")  # type: ignore[no-untyped-call]


async def mailbox_of(server: OneServer, mobile: str) -> list[Entry]:
    """Everything in a mailbox; of chats only what all entries have."""
    entries: list[Entry] = []
    for stream_id, fields in await server.link.command("XRANGE", f"mailbox:{{{mobile}}}", "-", "+"):
        names = {key.decode(): value.decode() for key, value in zip(fields[::2], fields[1::2], strict=True)}
        if names["k"] == "r":
            entries.append(Receipt(stream_id.decode(), names["f"], names["a"], names["i"].split(" ")))
        else:
            entries.append(Entry(stream_id.decode(), names["f"]))
    return entries


async def receipts(server: OneServer, mobile: str = ASHA) -> list[tuple[str, str, list[str]]]:
    """Who told this person what of which chats."""
    found = [entry for entry in await mailbox_of(server, mobile) if isinstance(entry, Receipt)]
    return [(receipt.sender, receipt.ack_type, receipt.message_ids) for receipt in found]


async def given(server: OneServer, count: int, sender: str = ASHA) -> list[Acked]:
    """So many chats, collected by Ravi's device."""
    await server.messenger.connect(HOLDER, ACCOUNT)
    names = [f"{sender}-{n}" for n in range(count)]
    ids = [await server.send(sender, RAVI, name) for name in names]
    await server.mailbox.collect(HOLDER, "new", 100)
    return [Acked(stream_id, sender, name) for stream_id, name in zip(ids, names, strict=True)]


async def test_who_connects_is_listed_and_holds_the_lease(server: OneServer, redis: "Redis") -> None:
    claimed = await server.messenger.connect(HOLDER, ACCOUNT)
    assert (claimed.before, claimed.newest) == (None, "")
    assert await redis.smembers("people:s1") == {RAVI.encode()}  # type: ignore[misc]
    assert await server.presence.last_seen(RAVI, ASHA) == "online"
    newest = await server.send(ASHA, RAVI, "m-1")
    again = await server.messenger.connect(HOLDER, ACCOUNT)
    assert (again.before, again.newest, again.epoch) == (None, newest, claimed.epoch)


async def test_who_is_refused_holds_nothing(server: OneServer, redis: "Redis") -> None:
    with pytest.raises(ApiError, match="session_revoked"):
        await server.messenger.connect(HOLDER, "another account")
    with pytest.raises(ApiError, match="no_such_person"):
        await server.messenger.connect(Holder("9999999999", "primary", "s1", "c1"), ACCOUNT)
    for device in ("phone", "tablet"):
        await server.messenger.connect(Holder(RAVI, device, "s1", device), ACCOUNT)
    with pytest.raises(ApiError, match="too_many_devices"):
        await server.messenger.connect(HOLDER, ACCOUNT)
    assert set(await redis.hkeys(f"leases:{{{RAVI}}}")) == {b"phone", b"tablet"}  # type: ignore[misc]


async def test_the_list_of_a_server_is_written_before_the_claim(server: OneServer, redis: "Redis") -> None:
    async with locked(redis, "~people:*"):
        with pytest.raises(Exception, match=DENIED):
            await server.messenger.connect(HOLDER, ACCOUNT)
    assert await redis.smembers("people:s1") == {RAVI.encode()}  # type: ignore[misc]
    await redis.flushall()
    async with locked(redis, f"~*{{{RAVI}}}*"):
        with pytest.raises(Exception, match=DENIED):
            await server.messenger.connect(HOLDER, ACCOUNT)
    assert not await redis.exists(f"leases:{{{RAVI}}}"), "a lease that no server's list leads to would never be swept"


async def test_the_connection_before_is_told_on_its_own_server(server: OneServer, redis: "Redis") -> None:
    other = OneServer(redis, "s2", server.rows)
    await other.messenger.connect(Holder(RAVI, "primary", "s2", "c2"), ACCOUNT)
    async with listening(redis, "s2") as heard:
        claimed = await server.messenger.connect(HOLDER, ACCOUNT, mode="proven")
    assert claimed.before == ("s2", "c2")
    assert heard == [f"replaced {RAVI} c2".encode()]


async def test_the_connection_before_on_the_same_server_is_closed(server: OneServer) -> None:
    older = Somebody()
    server.hub.enter(older)
    await server.messenger.connect(HOLDER, ACCOUNT)
    await server.messenger.connect(Holder(RAVI, "primary", "s1", "c2"), ACCOUNT, mode="proven")
    assert [close.code for close in older.closes] == [4508]


async def test_chats_are_stored_in_their_order_and_answered_each_with_its_place(server: OneServer) -> None:
    ids = await server.messenger.send(ASHA, RAVI, [(f"m-{n}", "hello") for n in range(3)])
    assert [entry.stream_id for entry in await mailbox_of(server, RAVI)] == ids
    again = [("m-2", "hello"), ("m-3", "hello"), ("m-0", "hello"), ("m-3", "hello")]
    places = await server.messenger.send(ASHA, RAVI, again)
    assert (places[0], places[2]) == (ids[2], ids[0])
    assert places[1] == places[3]
    assert len(await mailbox_of(server, RAVI)) == 4


async def test_chats_ring_every_server_that_holds_their_recipient_once(server: OneServer, redis: "Redis") -> None:
    await server.messenger.connect(HOLDER, ACCOUNT)
    await server.messenger.connect(Holder(RAVI, "tablet", "s2", "c2"), ACCOUNT)
    chats = [("m-1", "hello"), ("m-2", "hello")]
    async with listening(redis, "s2") as heard:
        first = await server.messenger.send(ASHA, RAVI, chats)
        assert await server.messenger.send(ASHA, RAVI, chats) == first
    assert server.rung == [(RAVI, first[1])] * 2
    assert heard == [f"entry {RAVI} {first[1]}".encode()] * 2


async def test_chats_to_nobody_are_refused_and_a_full_mailbox_takes_what_has_room(redis: "Redis") -> None:
    server = OneServer(redis, mailbox_limit=1)
    with pytest.raises(ApiError, match="no_such_person"):
        await server.messenger.send(ASHA, "9999999999", [("m-1", "hello")])
    first, second = await server.messenger.send(ASHA, RAVI, [("m-1", "hello"), ("m-2", "hello")])
    assert second is FULL
    assert [entry.stream_id for entry in await mailbox_of(server, RAVI)] == [first]
    server.rung.clear()
    assert await server.messenger.send(ASHA, RAVI, [("m-2", "hello")]) == [FULL]
    assert server.rung == []


async def test_an_acknowledgement_is_one_receipt_and_a_ring_and_settles_nothing(
    server: OneServer, redis: "Redis"
) -> None:
    chats = await given(server, 2, EVE)
    names = [chat.message_id for chat in chats]
    await server.messenger.connect(Holder(EVE, "primary", "s2", "c2"), f"account of {EVE}")
    async with listening(redis, "s2") as heard:
        await server.messenger.acknowledge(HOLDER, EVE, names)
    assert await receipts(server, EVE) == [(RAVI, "delivered", names)]
    assert heard == [f"entry {EVE} {(await mailbox_of(server, EVE))[0].stream_id}".encode()]
    assert [entry.stream_id for entry in await mailbox_of(server, RAVI)] == [chat.stream_id for chat in chats]


async def test_thousands_acked_together_are_told_in_several_receipts(server: OneServer) -> None:
    await given(server, 1)
    names = [f"m-{n}" for n in range(2 * MOST + 1)]
    await server.messenger.acknowledge(HOLDER, ASHA, names)
    told = [ids for _, _, ids in await receipts(server)]
    assert [len(ids) for ids in told] == [MOST, MOST, 1]
    assert [name for ids in told for name in ids] == names


async def test_a_sender_is_rung_for_a_receipt_though_its_note_failed(server: OneServer, redis: "Redis") -> None:
    chats = await given(server, 1)
    await server.messenger.connect(Holder(ASHA, "primary", "s1", "c2"), f"account of {ASHA}")
    server.rung.clear()
    async with locked(redis, f"~mailbox:{{{ASHA}}}* ~person:{{{ASHA}}}* ~lease*{{{ASHA}}}*"):
        with pytest.raises(ResponseError):
            await server.messenger.acknowledge(HOLDER, ASHA, [chats[0].message_id])
    assert [mobile for mobile, _ in server.rung] == [ASHA]


async def test_a_chat_whose_sender_is_gone_can_be_acknowledged_all_the_same(server: OneServer) -> None:
    chats = await given(server, 1)
    del server.rows[ASHA]
    await server.messenger.acknowledge(HOLDER, ASHA, [chats[0].message_id])
    assert await mailbox_of(server, ASHA) == []


async def test_what_is_settled_leaves_and_tells_nobody(server: OneServer) -> None:
    chats = await given(server, 4)
    deposit = await server.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["x-1"])
    assert deposit is not None
    await server.mailbox.collect(HOLDER, "new", 10)
    through = [Landed(chat.stream_id, ASHA, TEXT_BYTES) for chat in chats[:3]]
    for _ in range(2):  # again is as good as once
        await server.messenger.settle(HOLDER, [*through, Landed(deposit.stream_id, "", 0)])
        assert [entry.stream_id for entry in await mailbox_of(server, RAVI)] == [chats[3].stream_id]
    assert await receipts(server) == []


async def test_a_break_between_the_receipt_of_a_reading_and_its_mark_repeats_the_receipt(
    server: OneServer, redis: "Redis"
) -> None:
    chats = await given(server, 1)
    all_but_his_mailbox = f"~*{{{ASHA}}}* ~seen:* ~blockedUser:*"
    async with locked(redis, all_but_his_mailbox):
        with pytest.raises(Exception, match=DENIED):
            await server.messenger.mark_read(HOLDER, ASHA, [chats[0].message_id])
    for _ in range(2):
        assert await server.messenger.mark_read(HOLDER, ASHA, [chats[0].message_id]) == [chats[0].stream_id]
    assert await receipts(server) == [(RAVI, "read", [chats[0].message_id])] * 2
    assert await mailbox_of(server, RAVI) == []


async def test_reading_tells_of_those_not_read_yet_in_one_receipt(server: OneServer) -> None:
    chats = await given(server, 4)
    names, ids = [chat.message_id for chat in chats], [chat.stream_id for chat in chats]
    await server.messenger.acknowledge(HOLDER, ASHA, names[:2])
    await server.messenger.settle(HOLDER, [Landed(stream_id, ASHA, TEXT_BYTES) for stream_id in ids[:2]])
    assert await server.messenger.mark_read(HOLDER, ASHA, [names[0], "unknown"]) == [ids[0]]
    assert sorted(await server.messenger.mark_read(HOLDER, ASHA, names[:3])) == ids[:3]
    told = [(kind, names) for _, kind, names in await receipts(server)]
    assert told == [("delivered", names[:2]), ("read", [names[0]]), ("read", names[1:3])]
    assert [entry.stream_id for entry in await mailbox_of(server, RAVI)] == [ids[3]]
    assert await server.messenger.mark_read(HOLDER, EVE, names) == [], "they are not Eve's"
    assert await receipts(server, EVE) == []


async def test_reading_what_another_device_has_read_settles_it_without_another_receipt(server: OneServer) -> None:
    tablet = Holder(RAVI, "tablet", "s2", "c2")
    await server.messenger.connect(tablet, ACCOUNT)
    chats = await given(server, 1)
    await server.mailbox.collect(tablet, "new", 10)
    for holder in (HOLDER, tablet):
        assert len(await mailbox_of(server, RAVI)) == 1
        assert await server.messenger.mark_read(holder, ASHA, [chats[0].message_id]) == [chats[0].stream_id]
    assert await mailbox_of(server, RAVI) == []
    assert await receipts(server) == [(RAVI, "read", [chats[0].message_id])]


async def test_a_blocked_sender_is_told_of_no_reading(server: OneServer) -> None:
    chats = await given(server, 1)
    await server.people.replace_blocks(RAVI, ACCOUNT, 1, [ASHA])
    assert await server.messenger.mark_read(HOLDER, ASHA, [chats[0].message_id]) == []
    assert await receipts(server) == []


async def test_who_disconnects_is_released_listed_no_more_and_out_of_the_hub(server: OneServer, redis: "Redis") -> None:
    phone, tablet = Somebody(), Somebody(connection_id="c2")
    for member in (phone, tablet):
        server.hub.enter(member)
    await server.messenger.connect(HOLDER, ACCOUNT)
    before = int(time.time() * 1000)
    await server.messenger.disconnect(HOLDER, phone, 5_000)
    assert server.hub.members() == [tablet]
    assert await redis.smembers("people:s1") == {RAVI.encode()}, "the tablet is still here"  # type: ignore[misc]
    seen: Any = await server.presence.last_seen(RAVI, ASHA)
    assert abs(seen - (before - 5_000)) < 1_000, "the last sign of life, not the end"
    await server.messenger.disconnect(Holder(RAVI, "tablet", "s1", "c2"), tablet, 0)
    assert (len(server.hub), await redis.exists("people:s1")) == (0, 0)


async def test_a_late_disconnect_takes_no_newer_connection_offline(server: OneServer) -> None:
    await server.messenger.connect(HOLDER, ACCOUNT)
    newer = Holder(RAVI, "primary", "s2", "c2")
    await server.messenger.connect(newer, ACCOUNT, mode="proven")
    await server.messenger.disconnect(HOLDER, Somebody(), 0)
    assert await server.presence.last_seen(RAVI, ASHA) == "online"
    assert (await server.presence.renew(newer, 0))[0] == "ok"


async def test_the_lease_is_released_before_the_hub_is_left(
    server: OneServer, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    leave = Hub.leave

    def noting(hub: Hub, member: Any) -> bool:
        with BlockingRedis.from_url(valkey_url) as client:
            seen.append(client.hlen(f"leases:{{{RAVI}}}"))
        return leave(hub, member)

    monkeypatch.setattr(Hub, "leave", noting)
    await server.messenger.connect(HOLDER, ACCOUNT)
    await server.messenger.disconnect(HOLDER, Somebody(), 0)
    assert seen == [0], "the other way round, an entry rung for in between would find nobody"


async def test_without_redis_everything_is_unavailable_and_a_disconnect_still_leaves_the_hub(away: RedisClient) -> None:
    server = OneServer(away)
    member = Somebody()
    server.hub.enter(member)
    post = server.messenger
    works = (
        post.connect(HOLDER, ACCOUNT),
        post.send(ASHA, RAVI, [("m-1", "hello")]),
        post.acknowledge(HOLDER, ASHA, ["m-1"]),
        post.settle(HOLDER, [Landed("5-0", ASHA, TEXT_BYTES)]),
        post.mark_read(HOLDER, ASHA, ["m-1"]),
    )
    for answer in await asyncio.gather(*works, return_exceptions=True):
        assert isinstance(answer, ApiError)
        assert answer.code == "unavailable"
    with capture_logs() as logs:
        await post.disconnect(HOLDER, member, 0)
    assert len(server.hub) == 0
    told = [line["event"] for line in logs if line["event"] != "cannot connect to Redis"]
    assert told == [
        "a lease could not be released and runs out by itself",
        "a person stays listed here until the sweep",
    ]


async def test_an_ack_that_comes_while_another_device_tells_of_the_reading_tells_nothing(
    server: OneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, tablet = Holder(RAVI, "phone", "s1", "c1"), Holder(RAVI, "tablet", "s1", "c2")
    for holder in (phone, tablet):
        await server.messenger.connect(holder, ACCOUNT)
    await server.send(ASHA, RAVI, "m-1")
    mark_read = server.mailbox.mark_read

    async def late(*args: Any) -> list[str]:
        await server.messenger.acknowledge(tablet, ASHA, ["m-1"], shared=True)
        return await mark_read(*args)

    monkeypatch.setattr(server.mailbox, "mark_read", late)
    await server.messenger.mark_read(phone, ASHA, ["m-1"], shared=True)
    assert await receipts(server) == [(RAVI, "read", ["m-1"])], "a tick does not go back"
