"""Accounts for the product: over HTTP like anybody's, or minted straight into PostgreSQL where thousands are needed."""

import asyncio
import itertools
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import httpx

from accounts.tokens import Tokens
from models import Session, User
from tools.bench.line import Account

FIRST_NUMBER: Final = 7_000_000_000
EXISTING_NUMBER: Final = 8_000_000_000
"""Where the numbers of people who are only there begin (mode growth)."""
_PASSWORD: Final = "correct horse"  # noqa: S105 - of people nobody knows
_HASH: Final = "$2b$04$" + "." * 53
"""Stands for a password: nobody logs in with it, tokens are minted as well."""


class Mint:
    """Makes people with a session and a token each, as sign-up and login would leave them.

    :param secret: the JWT_SECRET of the servers
    """

    def __init__(self, database_url: str, secret: str) -> None:
        self._database_url, self._tokens = database_url, Tokens(secret)
        self._made: list[Account] = []

    async def people(self, count: int) -> list[Account]:
        """So many people; the same ones when asked again."""
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
            self._made += [Account(user.mobile_no, self._tokens.issue(user, session)) for user, session in pairs]
        return self._made[:count]

    async def crowd(self, count: int) -> None:
        """People who are only there: no session, no connection."""
        numbers = range(EXISTING_NUMBER, EXISTING_NUMBER + count)
        await self._copy_users((uuid.uuid4(), str(number)) for number in numbers)

    async def _copy_users(self, people: Iterable[tuple[uuid.UUID, str]]) -> None:
        now = datetime.now(UTC)
        rows = ((key, mobile, "Somebody", _HASH, 0, now) for key, mobile in people)
        await self._copy("users", rows, ["id", "mobile_no", "name", "password_hash", "blocks_version", "created_at"])

    async def _copy(self, table: str, rows: Iterable[tuple[object, ...]], columns: list[str]) -> None:
        connection = await asyncpg.connect(self._database_url)
        try:
            await connection.copy_records_to_table(table, records=rows, columns=columns)
        finally:
            await connection.close()


_SESSION_COLUMNS: Final = ["id", "user_id", "device_id", "device_name", "created_at", "expires_at", "revoked_at"]


class SignUps:
    """Makes people through the front door of servers we know nothing more of. Each costs two password hashes."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Numbers of an earlier run are taken: begin where nobody has been.
        self._numbers = itertools.count(FIRST_NUMBER + uuid.uuid4().int % 900_000_000)
        self._made: list[Account] = []

    async def people(self, count: int) -> list[Account]:
        """So many people; the same ones when asked again."""
        gate = asyncio.Semaphore(4)
        async with httpx.AsyncClient(base_url=self._url, timeout=60) as client:

            async def make(mobile: str) -> Account:
                async with gate:
                    form = {"name": "Somebody", "mobileNo": mobile, "password": _PASSWORD}
                    (await client.post("/auth/signin", json=form)).raise_for_status()
                    answer = (await client.post("/auth/login", json=form)).raise_for_status().json()
                return Account(mobile, str(answer["token"]))

            new = [str(next(self._numbers)) for _ in range(count - len(self._made))]
            self._made += await asyncio.gather(*map(make, new))
        return self._made[:count]
