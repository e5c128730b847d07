"""Accounts for the product: signed up over HTTP, or written straight into PostgreSQL where thousands are needed."""

import asyncio
import itertools
import os
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import httpx
from redis.asyncio import Redis

from accounts.session_opening import Grant
from accounts.tokens import Tokens
from models import Session, User
from tools.bench.accounting import Ledger
from tools.bench.environment import Account, Environment, Recorder
from tools.bench.talking import connect_all

FIRST_NUMBER: Final = 7_000_000_000
EXISTING_NUMBER: Final = 8_000_000_000
"""First number of the people who exist and never connect (mode growth)."""
_PASSWORD: Final = "correct horse"  # noqa: S105 - of people who do not exist
_HASH: Final = "$2b$04$" + "." * 53
"""Stands for a password: no login checks it, because tokens are issued here, too."""


class DatabaseAccounts:
    """Creates people with a session and a token each, as sign-up and login would leave them.

    :param secret: the JWT_SECRET of the servers
    """

    def __init__(self, database_url: str, secret: str) -> None:
        self._database_url, self._tokens = database_url, Tokens(secret)
        self._made: list[Account] = []

    async def first(self, count: int) -> list[Account]:
        """The first ``count`` accounts; the same ones in each call."""
        new = range(FIRST_NUMBER + len(self._made), FIRST_NUMBER + count)
        if new:
            now = datetime.now(UTC)
            until = now + timedelta(hours=24)
            # Tortoise is not started here: relations are given as ids, by hand.
            users = [User(id=uuid.uuid4(), name="Somebody", mobile_no=str(number)) for number in new]
            sessions = [Session(id=uuid.uuid4(), device_id="primary", expires_at=until) for _ in users]
            pairs = list(zip(users, sessions, strict=True))
            await self._copy_users((user.id, user.mobile_no) for user in users)
            rows = [(session.id, user.id, session.device_id, "", now, until, None) for user, session in pairs]
            await self._copy("sessions", rows, _SESSION_COLUMNS)
            self._made += [
                Account(user.mobile_no, self._tokens.issue(_grant(user, session))[0]) for user, session in pairs
            ]
        return self._made[:count]

    async def create_users(self, count: int) -> None:
        """Create ``count`` people without a session, who never connect."""
        numbers = range(EXISTING_NUMBER, EXISTING_NUMBER + count)
        await self._copy_users((uuid.uuid4(), str(number)) for number in numbers)

    async def _copy_users(self, accounts: Iterable[tuple[uuid.UUID, str]]) -> None:
        now = datetime.now(UTC)
        rows = ((key, mobile, "Somebody", _HASH, 0, now) for key, mobile in accounts)
        await self._copy("users", rows, ["id", "mobile_no", "name", "password_hash", "blocks_version", "created_at"])

    async def _copy(self, table: str, rows: Iterable[tuple[object, ...]], columns: list[str]) -> None:
        connection = await asyncpg.connect(self._database_url)
        try:
            await connection.copy_records_to_table(table, records=rows, columns=columns)
        finally:
            await connection.close()


_SESSION_COLUMNS: Final = ["id", "user_id", "device_id", "device_name", "created_at", "expires_at", "revoked_at"]


def _grant(user: User, session: Session) -> Grant:
    return Grant(str(session.id), str(user.id), user.mobile_no, user.name, session.device_id, session.expires_at, "")


class SignUpAccounts:
    """Creates people by sign-up and login, for servers known only by address. Each costs two password hashes."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Numbers of an earlier run are taken: begin at random.
        self._numbers = itertools.count(FIRST_NUMBER + uuid.uuid4().int % 900_000_000)
        self._made: list[Account] = []

    async def first(self, count: int) -> list[Account]:
        """The first ``count`` accounts; the same ones in each call."""
        limit = asyncio.Semaphore(4)
        async with httpx.AsyncClient(base_url=self._url, timeout=60) as client:

            async def make(mobile: str) -> Account:
                async with limit:
                    form = {"name": "Somebody", "mobileNo": mobile, "password": _PASSWORD}
                    (await client.post("/auth/signin", json=form)).raise_for_status()
                    answer = (await client.post("/auth/login", json=form)).raise_for_status().json()
                return Account(mobile, str(answer["token"]))

            new = [str(next(self._numbers)) for _ in range(count - len(self._made))]
            self._made += await asyncio.gather(*map(make, new))
        return self._made[:count]


COPIES_AT_ONCE: Final = 1_000
_COPY: Final = """
for number = tonumber(ARGV[2]), tonumber(ARGV[3]) do
    for _, key in ipairs(KEYS) do
        local start, stop = string.find(key, ARGV[1], 1, true)
        local target = string.sub(key, 1, start - 1) .. string.format('%.0f', number) .. string.sub(key, stop + 1)
        redis.call('COPY', key, target)
    end
end
"""


async def populate(environment: Environment, accounts: DatabaseAccounts, redis: Redis, count: int) -> None:
    """Create ``count`` people who have an account and one waiting chat.

    :param redis: a client that answers in text

    The first of them gets their chat through the product. The keys of the others in Redis are copies of the first
    person's keys: the same kinds and sizes, written a thousand times quicker. (They name the first person's account,
    which is only read when one of them connects.)

    :raises RuntimeError: when the product stored no chat for the first person
    """
    await accounts.create_users(count)
    first = str(EXISTING_NUMBER)
    await _send_one(environment, first)
    keys = [key async for key in redis.scan_iter(match=f"*{{{first}}}*", count=1000)]
    if not any(key.startswith("mailbox:") for key in keys):
        raise RuntimeError("the chat for the first person is not in a mailbox")
    copy = redis.register_script(_COPY)
    for begin in range(EXISTING_NUMBER + 1, EXISTING_NUMBER + count, COPIES_AT_ONCE):
        end = min(begin + COPIES_AT_ONCE, EXISTING_NUMBER + count) - 1
        await copy(keys=keys, args=[first, begin, end])
    while (await redis.info("persistence"))["aof_rewrite_in_progress"]:
        await asyncio.sleep(0.5)
    # A gigabyte that is still being written slows what is measured next: a cost of creating a million people, not of
    # having them.
    await asyncio.to_thread(os.sync)


async def _send_one(environment: Environment, to: str) -> None:
    ledger = Ledger(1)
    (connection,) = await connect_all(environment, await environment.accounts(1), [Recorder(ledger)])
    connection.chat(to, ledger.next_id(0))
    while ledger.pairs[0].stored.missing(1) and not ledger.refusals:
        await asyncio.sleep(0.01)
    connection.end()
