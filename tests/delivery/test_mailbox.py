"""Store, fetch and settle as connections do it, and what happens when Redis holds nobody yet."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from delivery.keys import Person
from delivery.mailbox import FULL, REUSED
from delivery.presence import Holder
from delivery.results import NotCached, Renewed
from protocol.entries import Chat, Receipt
from protocol.errors import ApiError
from tests.support.messaging import ASHA, RAVI, OneServer, Row, to_settle, until

HOLDER = Holder(RAVI, "primary", "s1", "c1")
ACCOUNT = f"account of {RAVI}"


@pytest.fixture
def server(redis: "Redis") -> OneServer:
    return OneServer(redis, mailbox_limit=3, max_devices=1)


OPERATIONS: list[tuple[str, tuple[object, ...]]] = [
    ("store_chats", (RAVI, ASHA, [("m1", "x")])),
    ("store_receipt", (RAVI, ASHA, "delivered", ["m1"], ["1-0"])),
    ("fetch", (HOLDER, "new", 1, "0-0", [], [])),
    ("note_delivered", (RAVI, ASHA, ["m1"], "a")),
    ("find_unread", (RAVI, ASHA, ["m1"])),
    ("mark_read", (RAVI, "primary", ASHA, ["m1"])),
    ("find_unacknowledged", (RAVI, ASHA, ["m1"])),
]


@pytest.mark.parametrize(("name", "args"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
async def test_a_reply_of_another_form_is_a_failure_of_its_caller(
    server: OneServer, monkeypatch: pytest.MonkeyPatch, name: str, args: tuple[object, ...]
) -> None:
    """Who gets no reply waits for ever, and nobody would know."""

    def answer(_script: object, _keys: object, _args: object, on_reply: Callable[[object], None]) -> None:
        on_reply([1])

    monkeypatch.setattr(server.link, "request", answer)
    results: list[object] = []
    getattr(server.mailbox, name)(*args, results.append)
    assert [isinstance(result, Exception) for result in results] == [True]


async def test_who_is_not_loaded_is_asked_for_once(server: OneServer) -> None:
    first = await server.mail.store(RAVI, ASHA, [("m1", "ü")])
    assert await server.mail.store(RAVI, ASHA, [("m1", "ü")]) == first
    assert server.asked == [RAVI]


async def test_refusals(server: OneServer) -> None:
    with pytest.raises(ApiError, match="no_such_person"):
        await server.mail.store("9999999999", ASHA, [("m1", "x")])
    for n in range(3):
        await server.mail.store(RAVI, ASHA, [(f"m{n}", "x")])
    found = await server.mail.store(RAVI, ASHA, [("m3", "x"), ("m1", "x")])
    assert found.results[0] is FULL
    assert found.newest == found.results[1]


async def test_another_text_under_a_known_message_id_is_refused_by_itself(server: OneServer) -> None:
    first = await server.mail.store(RAVI, ASHA, [("m1", "ü")])
    found = await server.mail.store(RAVI, ASHA, [("m1", "u"), ("m1", "ü"), ("m2", "u")])
    assert found.results[:2] == [REUSED, first.newest]
    assert found.newest == found.results[2]


async def test_a_receipt_for_an_account_that_is_gone_is_refused(server: OneServer) -> None:
    with pytest.raises(ApiError, match="no_such_person"):
        await server.mail.receipt("9999999999", ASHA, "read", ["m1"])
    assert (await server.mail.receipt(RAVI, ASHA, "read", ["m1"])).newest


async def test_no_result_comes_before_the_call_returns(server: OneServer) -> None:
    results: list[object] = []
    server.mailbox.store_chats(RAVI, ASHA, [("m1", "x")], results.append)
    server.mailbox.fetch(HOLDER, "new", 10, "0-0", [], [], results.append)
    assert results == []
    await until(lambda: len(results) == 2)
    assert isinstance(results[0], NotCached)


async def test_entries_come_as_they_were_deposited(server: OneServer) -> None:
    chat = await server.mail.store(RAVI, ASHA, [("m1", "ü 😀")])
    receipt = await server.mail.receipt(RAVI, ASHA, "delivered", ["x1", "x2"])
    assert (await server.mail.fetch(HOLDER, "new", 10)).verdict == "gone"
    claimed = await server.presence.claim(HOLDER, ACCOUNT)
    assert claimed.newest == receipt.newest
    found = await server.mail.fetch(HOLDER, "new", 10)
    assert (found.verdict, found.read) == ("ok", 2)
    assert found.entries == [
        Chat(chat.newest, ASHA, "m1", "ü 😀"),
        Receipt(receipt.newest, ASHA, "delivered", ["x1", "x2"]),
    ]
    assert await server.mail.find_unread(RAVI, ASHA, ["m1", "m2"]) == ["m1"]
    assert await server.mail.mark_read(RAVI, "primary", ASHA, ["m1"]) == ([chat.newest], "", [])
    assert await server.mail.find_unread(RAVI, ASHA, ["m1"]) == []
    for _ in range(2):
        await server.mail.settle(RAVI, "primary", to_settle(found.entries[1]))
    assert (await server.mail.fetch(HOLDER, "pending", 10)).entries == []


async def test_an_entry_that_cannot_be_decoded_holds_up_none_behind_it(server: OneServer, redis: "Redis") -> None:
    await server.presence.claim(HOLDER, ACCOUNT)
    strange = await redis.xadd(Person(RAVI).mailbox, {"k": "of a later version"})
    chat = await server.mail.store(RAVI, ASHA, [("m1", "x")])
    for mode in ("new", "pending"):
        found = await server.mail.fetch(HOLDER, mode, 10)
        assert ([entry.stream_id for entry in found.entries], found.undecoded) == ([chat.newest], [strange.decode()])


async def test_our_own_failures_on_an_entry_are_counted(server: OneServer) -> None:
    assert [await server.mailbox.count_failure(RAVI, "5-0") for _ in range(3)] == [1, 2, 3]


async def test_a_number_with_another_owner_is_not_claimed(server: OneServer) -> None:
    for _ in range(2):
        with pytest.raises(ApiError, match="session_revoked"):
            await server.presence.claim(HOLDER, "account-9")


async def test_a_lost_redis_gives_a_new_epoch(server: OneServer, redis: "Redis") -> None:
    before = await server.presence.claim(HOLDER, ACCOUNT)
    assert (await server.presence.claim(HOLDER, ACCOUNT)).epoch == before.epoch
    await redis.flushall()
    assert await server.presence.renew(HOLDER, 0) == Renewed("gone")
    assert (await server.presence.claim(HOLDER, ACCOUNT)).epoch != before.epoch


async def test_blocks_are_loaded_before_the_first_send_after_a_loss(server: OneServer, redis: "Redis") -> None:
    server.rows[RAVI] = Row(ACCOUNT, blocks_version=1, blocked={ASHA: 1})
    await redis.flushall()
    await server.mail.store(RAVI, ASHA, [("m1", "x")])
    assert await redis.exists(server.people.keys(RAVI).mailbox) == 0


async def test_presence_from_claim_to_release(server: OneServer) -> None:
    assert await server.presence.last_seen(RAVI, ASHA) is None
    await server.presence.claim(HOLDER, ACCOUNT)
    other = Holder(RAVI, "primary", "s2", "c2")
    assert (await server.presence.claim(other, ACCOUNT, mode="proven")).before == ("s1", "c1")
    assert await server.presence.release(HOLDER, 0) == "replaced"
    assert await server.presence.last_seen(RAVI, ASHA) == "online"
    with pytest.raises(ApiError, match="too_many_devices"):
        await server.presence.claim(Holder(RAVI, "tablet", "s2", "c3"), ACCOUNT)
    assert await server.presence.release(other, 0) == "ok"
    assert isinstance(await server.presence.last_seen(RAVI, ASHA), int)
    with pytest.raises(ApiError, match="no_such_person"):
        await server.presence.last_seen("9999999999", ASHA)
