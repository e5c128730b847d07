"""Redis is filled from PostgreSQL when it has lost a record."""

from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from delivery.user_records import UserRecords
from protocol.errors import ApiError
from tests.support.links import link_to

MOBILE = "9100000001"


@dataclass
class Row:
    """What accounts know."""

    account_id: str = "account-1"
    blocks_version: int = 2
    blocked: dict[str, int] = field(default_factory=lambda: {"9200000001": 1000})
    privacy: str = ""
    since_ms: int = 5
    last_seen_ms: int | None = 1234
    devices: list[str] = field(default_factory=list)


def people(redis: "Redis", row: Row | None) -> UserRecords:
    async def find(mobile: str) -> Row | None:
        assert mobile == MOBILE
        return row

    return UserRecords(link_to(redis), find)


async def test_a_person_is_loaded_and_loading_again_changes_nothing(redis: "Redis") -> None:
    mine = people(redis, Row())
    keys = mine.keys(MOBILE)
    await mine.load(MOBILE)
    record = await redis.hgetall(keys.user)
    assert (record[b"id"], record[b"blocks"], len(record[b"epoch"])) == (b"account-1", b"2", 16)
    assert await redis.smembers(keys.blocks) == {b"9200000001"}
    assert await redis.get(keys.last_seen) == b"1234"
    await mine.load(MOBILE)
    assert await redis.hgetall(keys.user) == record


async def test_every_new_record_has_an_epoch_of_its_own(redis: "Redis") -> None:
    mine = people(redis, Row(last_seen_ms=None))
    epochs = set()
    for _ in range(3):
        await redis.flushall()
        await mine.load(MOBILE)
        epochs.add(await redis.hget(mine.keys(MOBILE).user, "epoch"))
    assert len(epochs) == 3
    assert await redis.get(mine.keys(MOBILE).last_seen) is None


async def test_an_unknown_number_writes_nothing(redis: "Redis") -> None:
    with pytest.raises(ApiError, match="no_such_person"):
        await people(redis, None).load(MOBILE)
    assert await redis.keys("*") == []


async def test_an_older_block_set_does_not_replace_a_newer_one(redis: "Redis") -> None:
    mine = people(redis, Row())
    await mine.load(MOBILE)
    await mine.replace_rules(MOBILE, Row("account-1", 4, {"9200000004": 1}))
    await mine.replace_rules(MOBILE, Row("account-1", 3, {"9200000003": 1}))
    assert await redis.smembers(mine.keys(MOBILE).blocks) == {b"9200000004"}
    assert await redis.get(mine.keys(MOBILE).last_seen) == b"1234"


async def test_the_longest_block_list_fits(redis: "Redis") -> None:
    mine = people(redis, Row())
    blocked = {str(9_200_000_000 + n): n for n in range(50_000)}
    for version in (1, 2):
        await mine.replace_rules(MOBILE, Row("account-1", version, blocked))
    assert await redis.scard(mine.keys(MOBILE).blocks) == await redis.hlen(mine.keys(MOBILE).blocked_at) == 50_000
