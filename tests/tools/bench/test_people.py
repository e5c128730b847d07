"""Existing people: real accounts, and mailboxes of the kind that the product makes."""

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.support.stack import ServerGroup, Stack
from tools.bench.accounting import Ledger
from tools.bench.client import open_connection
from tools.bench.environment import Account, ConnectError, Recorder
from tools.bench.people import EXISTING_NUMBER, DatabaseAccounts, populate
from tools.bench.stack import RemoteProduct

COUNT = 1_203  # more than a batch, and not a whole number of them


async def test_people_made_in_the_database_are_like_those_who_signed_up(stack: Stack, redis: "Redis") -> None:
    group = stack.start(workers=1)
    accounts = DatabaseAccounts(stack.env["DATABASE_URL"], stack.env["JWT_SECRET"])
    await they_can_connect_and_forged_tokens_cannot(group, accounts)
    await each_has_an_account_and_a_waiting_chat(stack, RemoteProduct(group.url), accounts, redis)


async def they_can_connect_and_forged_tokens_cannot(group: ServerGroup, accounts: DatabaseAccounts) -> None:
    asha, ravi = await accounts.first(2)
    assert await accounts.first(1) == [asha]
    ledger = Ledger(1)
    connections = [await open_connection(group.ws_url, each, Recorder(ledger)) for each in (asha, ravi)]
    for connection in connections:
        connection.end()
    with pytest.raises(ConnectError, match="401"):
        await open_connection(group.ws_url, Account(asha.address, asha.secret[:-6] + "forged"), Recorder(ledger))
    assert not ledger.defects().any()


async def each_has_an_account_and_a_waiting_chat(
    stack: Stack, environment: RemoteProduct, accounts: DatabaseAccounts, redis: "Redis"
) -> None:
    texts: Redis = Redis.from_url(stack.env["REDIS_URL"], decode_responses=True)
    await populate(environment, accounts, texts, COUNT)
    await texts.aclose()
    mobiles = [str(EXISTING_NUMBER + number) for number in range(COUNT)]
    boxes = [await redis.xlen(f"mailbox:{{{mobile}}}") for mobile in mobiles]
    assert boxes == [1] * COUNT
    kinds = [
        {key.split(b":{")[0] async for key in redis.scan_iter(match=f"*{{{person}}}*")} for person in mobiles[::600]
    ]
    assert kinds[0] == kinds[1] == kinds[2]
    connection = await asyncpg.connect(stack.env["DATABASE_URL"])
    found = await connection.fetch("SELECT mobile_no FROM users WHERE mobile_no = ANY($1::text[])", mobiles)
    await connection.close()
    assert len(found) == COUNT
