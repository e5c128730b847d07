"""Deposit, collect and settle as the messenger calls them, and what happens when Redis knows nothing yet."""

import secrets
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from delivery.mailbox import FULL, REUSED, Mailbox
from delivery.presence import Holder, Presence
from delivery.user_records import UserRecords
from protocol.entries import Chat, Receipt
from protocol.errors import ApiError
from settings import Settings
from tests.delivery.one_server import landed
from tests.support.links import link_to

RAVI, ASHA = "9100000001", "9200000001"
HOLDER = Holder(RAVI, "primary", "s1", "c1")


@dataclass
class Row:
    """What PostgreSQL knows."""

    account_id: str = "account-1"
    blocks_version: int = 0
    blocked: list[str] = field(default_factory=list)
    last_seen_ms: int | None = None
    devices: list[str] = field(default_factory=list)


@dataclass
class House:
    """What a server has."""

    mailbox: Mailbox
    presence: Presence
    people: UserRecords
    rows: dict[str, Row]
    asked: list[str]


@pytest.fixture
def house(redis: "Redis") -> House:
    rows, asked = {RAVI: Row(), ASHA: Row("account-2")}, []

    async def find(mobile: str) -> Row | None:
        asked.append(mobile)
        return rows.get(mobile)

    settings = Settings(
        redis_url="unix://unused",
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
        mailbox_limit=3,
        max_devices=1,
    )
    people = UserRecords(link_to(redis), find)
    return House(
        Mailbox(link_to(redis), people, settings), Presence(link_to(redis), people, settings), people, rows, asked
    )


async def test_who_is_not_loaded_is_asked_for_once(house: House) -> None:
    first = await house.mailbox.deposit(RAVI, ASHA, [("m1", "ü")])
    assert await house.mailbox.deposit(RAVI, ASHA, [("m1", "ü")]) == first
    assert house.asked == [RAVI]


async def test_refusals(house: House) -> None:
    with pytest.raises(ApiError, match="no_such_person"):
        await house.mailbox.deposit("9999999999", ASHA, [("m1", "x")])
    for n in range(3):
        await house.mailbox.deposit(RAVI, ASHA, [(f"m{n}", "x")])
    found = await house.mailbox.deposit(RAVI, ASHA, [("m3", "x"), ("m1", "x")])
    assert found.stream_ids[0] is FULL
    assert found.newest == found.stream_ids[1]


async def test_another_text_under_a_known_message_id_is_refused_by_itself(house: House) -> None:
    first = await house.mailbox.deposit(RAVI, ASHA, [("m1", "ü")])
    found = await house.mailbox.deposit(RAVI, ASHA, [("m1", "u"), ("m1", "ü"), ("m2", "u")])
    assert found.stream_ids[:2] == [REUSED, first.newest]
    assert found.newest == found.stream_ids[2]


async def test_a_receipt_for_an_account_that_is_gone_is_no_receipt(house: House) -> None:
    assert await house.mailbox.deposit_receipt("9999999999", ASHA, "read", ["m1"]) is None
    assert await house.mailbox.deposit_receipt(RAVI, ASHA, "read", ["m1"]) is not None


async def test_entries_come_as_they_were_deposited(house: House) -> None:
    chat = await house.mailbox.deposit(RAVI, ASHA, [("m1", "ü 😀")])
    receipt = await house.mailbox.deposit_receipt(RAVI, ASHA, "delivered", ["x1", "x2"])
    assert receipt is not None
    assert (await house.mailbox.collect(HOLDER, "new", 10)).verdict == "gone"
    claimed = await house.presence.claim(HOLDER, "account-1")
    assert claimed.newest == receipt.stream_id
    found = await house.mailbox.collect(HOLDER, "new", 10)
    assert (found.verdict, found.read) == ("ok", 2)
    assert found.entries == [
        Chat(chat.newest, ASHA, "m1", "ü 😀"),
        Receipt(receipt.stream_id, ASHA, "delivered", ["x1", "x2"]),
    ]
    assert await house.mailbox.unread(RAVI, ASHA, ["m1", "m2"]) == ["m1"]
    assert await house.mailbox.mark_read(RAVI, "primary", ASHA, ["m1"]) == [chat.newest]
    assert await house.mailbox.unread(RAVI, ASHA, ["m1"]) == []
    for _ in range(2):
        await house.mailbox.settle(RAVI, "primary", landed(found.entries[1]))
    assert (await house.mailbox.collect(HOLDER, "pending", 10)).entries == []


async def test_our_own_failures_on_an_entry_are_counted(house: House) -> None:
    assert [await house.mailbox.failed(RAVI, "5-0") for _ in range(3)] == [1, 2, 3]


async def test_a_number_with_another_owner_is_not_claimed(house: House) -> None:
    for _ in range(2):
        with pytest.raises(ApiError, match="session_revoked"):
            await house.presence.claim(HOLDER, "account-9")


async def test_a_lost_redis_gives_a_new_epoch(house: House, redis: "Redis") -> None:
    before = await house.presence.claim(HOLDER, "account-1")
    assert (await house.presence.claim(HOLDER, "account-1")).epoch == before.epoch
    await redis.flushall()
    assert await house.presence.renew(HOLDER, 0) == ("gone", "")
    assert (await house.presence.claim(HOLDER, "account-1")).epoch != before.epoch


async def test_blocks_are_loaded_before_the_first_send_after_a_loss(house: House, redis: "Redis") -> None:
    house.rows[RAVI] = Row(blocks_version=1, blocked=[ASHA])
    await redis.flushall()
    await house.mailbox.deposit(RAVI, ASHA, [("m1", "x")])
    assert await redis.exists(house.people.keys(RAVI).mailbox) == 0


async def test_presence_from_claim_to_release(house: House) -> None:
    assert await house.presence.last_seen(RAVI, ASHA) is None
    await house.presence.claim(HOLDER, "account-1")
    other = Holder(RAVI, "primary", "s2", "c2")
    assert (await house.presence.claim(other, "account-1", mode="proven")).before == ("s1", "c1")
    assert await house.presence.release(HOLDER, 0) == "replaced"
    assert await house.presence.last_seen(RAVI, ASHA) == "online"
    with pytest.raises(ApiError, match="too_many_devices"):
        await house.presence.claim(Holder(RAVI, "tablet", "s2", "c3"), "account-1")
    assert await house.presence.release(other, 0) == "ok"
    assert isinstance(await house.presence.last_seen(RAVI, ASHA), int)
    with pytest.raises(ApiError, match="no_such_person"):
        await house.presence.last_seen("9999999999", ASHA)
