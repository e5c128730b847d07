"""What is known of Redis: whether it has room, and whether it can do the work. (More: tests/journeys.)"""

import secrets
from typing import Any, ClassVar

import pytest
from redis.asyncio import Redis

from delivery import storage as storage_module
from delivery.mailbox import Mailbox
from delivery.redis.client import RedisClient
from delivery.storage import Storage, UnfitRedis, refuse_cluster
from delivery.user_records import UserRecords
from settings import Settings
from tests.support.links import link_to
from tests.support.messaging import AwaitedMailbox
from tools.devstack.valkey import Valkey


def settings(url: str = "unix://unused", **knobs: Any) -> Settings:
    made: dict[str, Any] = {"redis_url": url, "jwt_secret": secrets.token_urlsafe(48)}
    return Settings(database_url="postgres://nobody@127.0.0.1/none", **made, **knobs)


async def test_without_a_limit_there_is_room(redis: "Redis") -> None:
    storage = Storage(link_to(redis), settings())
    assert await storage.fault() == ""
    assert not storage.full


@pytest.mark.parametrize(("percent", "full"), [(90, True), (99, False)])
async def test_it_is_full_from_a_share_of_the_limit_on(redis: "Redis", percent: float, full: bool) -> None:
    link = link_to(redis)
    storage = Storage(link, settings(storage_refuse_percent=percent))
    await storage.fault()  # its connection costs memory, too
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", int(used / 0.95))
    try:
        assert await storage.fault() == "", "short of memory, and fit for everything else"
        assert storage.full is full
    finally:
        await redis.config_set("maxmemory", "0")
    await storage.fault()
    assert not storage.full


async def test_a_look_changes_nothing_in_redis(redis: "Redis") -> None:
    storage = Storage(link_to(redis), settings())
    await storage.fault()
    before = await redis.info("persistence")
    for _ in range(5):
        await storage.fault()
    assert (await redis.info("persistence"))["rdb_changes_since_last_save"] == before["rdb_changes_since_last_save"]
    assert await redis.dbsize() == 0


async def test_a_replica_that_takes_no_writes_is_named(redis: "Redis", unused_tcp_port: int) -> None:
    storage = Storage(link_to(redis), settings())
    await redis.replicaof("127.0.0.1", str(unused_tcp_port))
    try:
        assert await storage.fault() == storage_module.READ_ONLY
    finally:
        await redis.replicaof("NO", "ONE")
    assert await storage.fault() == ""


async def test_too_few_replicas_are_no_writes(redis: "Redis") -> None:
    storage = Storage(link_to(redis), settings())
    await redis.config_set("min-replicas-to-write", "1")
    try:
        assert await storage.fault() == storage_module.NO_WRITES
    finally:
        await redis.config_set("min-replicas-to-write", "0")


async def test_a_redis_that_is_away_is_a_fault_and_no_reason_not_to_start(own_valkey: Valkey) -> None:
    link = RedisClient(settings(own_valkey.url, redis_connect_seconds=0.3))
    storage = Storage(link, settings())
    assert await storage.fault() == ""
    own_valkey.kill()
    assert await storage.fault() == storage_module.AWAY
    await refuse_cluster(link)
    own_valkey.start()
    assert await storage.fault() == ""
    await link.close()


async def test_a_user_who_may_not_ask_is_refused_at_the_start_in_one_sentence(redis: "Redis") -> None:
    link = link_to(redis)
    await redis.execute_command("ACL", "SETUSER", "default", "-info")  # type: ignore[no-untyped-call]
    try:
        with pytest.raises(UnfitRedis) as caught:
            await refuse_cluster(link)
        assert str(caught.value) == storage_module.FORBIDDEN
        assert await Storage(link, settings()).fault() == storage_module.FORBIDDEN
    finally:
        await redis.execute_command("ACL", "SETUSER", "default", "+info")  # type: ignore[no-untyped-call]


async def test_a_full_storage_takes_no_chat_and_every_receipt_and_never_answers_at_once(redis: "Redis") -> None:
    class Row:
        account_id, blocks_version, privacy, since_ms, last_seen_ms, devices = "account-1", 0, "", 0, None, ("primary",)
        blocked: ClassVar[dict[str, int]] = {}

    async def find(_mobile: str) -> Row:
        return Row()

    link = link_to(redis)
    storage = Storage(link, settings())
    users = UserRecords(link, find)
    mailbox = Mailbox(link, users, settings(), storage=storage)
    mail, chats = AwaitedMailbox(mailbox, users), [("m1", "hello")]
    storage.full = True
    results: list[Any] = []
    mailbox.store_chats("9100000001", "9200000001", chats, results.append)
    assert results == []
    assert (await mail.receipt("9100000001", "9200000001", "delivered", ["m1"])).newest
    assert [result.code for result in results] == ["storage_full"]
    storage.full = False
    assert (await mail.store("9100000001", "9200000001", chats)).newest
