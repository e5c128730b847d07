"""Existing people: real accounts, and mailboxes of the kind that the product makes."""

import asyncpg
from redis.asyncio import Redis

from tests.support.stack import Stack
from tools.bench.people import EXISTING_NUMBER, DatabaseAccounts, populate
from tools.bench.stack import RemoteProduct

COUNT = 1_203  # more than a batch, and not a whole number of them


async def test_each_person_has_an_account_and_a_waiting_chat(stack: Stack, redis: "Redis") -> None:
    environment = RemoteProduct(stack.start(workers=1).url)
    accounts = DatabaseAccounts(stack.env["DATABASE_URL"], stack.env["JWT_SECRET"])
    texts: Redis = Redis.from_url(stack.env["REDIS_URL"], decode_responses=True)
    await populate(environment, accounts, texts, COUNT)
    await texts.aclose()
    accounts = [str(EXISTING_NUMBER + number) for number in range(COUNT)]
    boxes = [await redis.xlen(f"mailbox:{{{mobile}}}") for mobile in accounts]
    assert boxes == [1] * COUNT
    kinds = [
        {key.split(b":{")[0] async for key in redis.scan_iter(match=f"*{{{person}}}*")} for person in accounts[::600]
    ]
    assert kinds[0] == kinds[1] == kinds[2]
    connection = await asyncpg.connect(stack.env["DATABASE_URL"])
    found = await connection.fetch("SELECT mobile_no FROM users WHERE mobile_no = ANY($1::text[])", accounts)
    await connection.close()
    assert len(found) == COUNT
