"""People by mobile number."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tortoise.connection import get_connection

from accounts.batch_loader import BatchLoader
from accounts.database import read, transaction
from accounts.departures import refuse_if_left
from accounts.linked_devices import LIVES, USED
from accounts.passwords import ORDINARY, Passwords, Standing
from accounts.rules import PRIVACY_COLUMNS
from accounts.shielded import run_shielded
from models import User
from protocol.errors import ApiError
from protocol.privacy import Privacy

# One statement, so one snapshot: a version never comes with the blocks of another.
_PEOPLE: Final = f"""
SELECT u.mobile_no, u.id, u.name, u.blocks_version, u.last_seen_to, u.online_to, u.read_receipts, u.stranger_receipts,
       coalesce(u.mobile_since, u.created_at) AS since,
       ARRAY(SELECT t.mobile_no || ' ' || round(extract(epoch FROM b.created_at) * 1000)::text
             FROM blocks b JOIN users t ON t.id = b.blocked_id
             WHERE b.blocker_id = u.id ORDER BY 1) AS blocked,
       greatest(u.last_seen_at, (SELECT e.at FROM session_events e
        WHERE e.mobile_no = u.mobile_no AND e.user_id = u.id AND e.kind = 'disconnect'
        ORDER BY e.at DESC LIMIT 1)) AS last_seen,
       ARRAY(SELECT DISTINCT s.device_id::text FROM sessions s
             WHERE s.user_id = u.id AND {LIVES} AND {USED} > now() - make_interval(secs => $2)) AS devices
FROM users u WHERE u.mobile_no = ANY($1)
"""  # noqa: S608 - of constants


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person as Redis needs them.

    :param blocked: the mobiles this person blocks, and since when, in unix ms
    :param privacy: what they hide; :meth:`protocol.privacy.Privacy.encode`
    :param since_ms: when the account got the number, in unix ms
    :param last_seen_ms: when the last connection ended, in unix ms; None: never connected
    :param devices: deviceIds that are linked
    """

    account_id: str
    name: str
    blocks_version: int
    blocked: dict[str, int]
    privacy: str
    since_ms: int
    last_seen_ms: int | None
    devices: list[str]


class Directory:
    """Enrols, finds and authenticates people. All mobiles are canonical.

    :param linked_seconds: for so long after its last use a device is linked
    """

    def __init__(self, passwords: Passwords, linked_seconds: float) -> None:
        self._passwords = passwords
        self._linked_seconds = linked_seconds
        self._loader = BatchLoader(self._load_people)

    async def enrol(self, name: str, mobile: str, password: str, standing: Standing = ORDINARY) -> User:
        """:raises ApiError: ``already_exists``, ``number_resting``, ``bad_request``, ``busy``, ``unavailable``"""
        if await self.find(mobile) is not None:
            raise ApiError("already_exists")
        hashed = await self._passwords.hash(password, standing)
        return await run_shielded(self._add(User(id=uuid.uuid4(), name=name, mobile_no=mobile, password_hash=hashed)))

    async def find(self, mobile: str) -> User | None:
        """:raises ApiError: ``unavailable``"""
        return await read(lambda: User.get_or_none(mobile_no=mobile))

    async def authenticate(self, mobile: str, password: str, standing: Standing = ORDINARY) -> User:
        """The person, if the password is right. An unknown number gives the same error after the same time.

        :raises ApiError: ``credentials_wrong``, ``bad_request``, ``busy``, ``unavailable``
        """
        user = await self.find(mobile)
        fits = await self._passwords.verify(password, user.password_hash if user else None, standing)
        if user is None or not fits:
            raise ApiError("credentials_wrong")
        return user

    async def get(self, account_id: str) -> User:
        """The person who is logged in.

        :raises ApiError: ``session_revoked`` (the account is gone), ``unavailable``
        """
        user = await read(lambda: User.get_or_none(id=account_id))
        if user is None:
            raise ApiError("session_revoked")
        return user

    async def confirm(self, account_id: str, password: str, standing: Standing = ORDINARY) -> User:
        """The person who is logged in, if this is their password.

        :raises ApiError: ``password_wrong``, ``session_revoked`` (the account is gone), ``bad_request``, ``busy``,
            ``unavailable``
        """
        user = await self.get(account_id)
        if not await self._passwords.verify(password, user.password_hash, standing):
            raise ApiError("password_wrong")
        return user

    async def person(self, mobile: str) -> PersonRecord | None:
        """One consistent record of a person, or None if nobody has this number.

        :raises ApiError: ``unavailable``
        """
        return await self._loader.get(mobile)

    async def _load_people(self, mobiles: list[str]) -> dict[str, PersonRecord]:
        args = [mobiles, self._linked_seconds]
        rows = await read(lambda: get_connection("default").execute_query_dict(_PEOPLE, args))
        return {row["mobile_no"]: _record(row) for row in rows}

    async def _add(self, user: User) -> User:
        async with transaction():
            # Not save(): for a violated unique key PostgreSQL would log the number.
            await User.bulk_create([user], ignore_conflicts=True)
            added = await User.get_or_none(id=user.id)
            await refuse_if_left(user.mobile_no)
        if added is None:
            # The same number was enrolled while this password was hashed.
            raise ApiError("already_exists")
        return added


def _record(row: dict[str, Any]) -> PersonRecord:
    seen: datetime | None = row["last_seen"]
    return PersonRecord(
        account_id=str(row["id"]),
        name=row["name"],
        blocks_version=row["blocks_version"],
        blocked={mobile: int(since) for mobile, _, since in (each.partition(" ") for each in row["blocked"])},
        privacy=Privacy(*(row[column] for column in PRIVACY_COLUMNS)).encode(),
        since_ms=round(row["since"].timestamp() * 1000),
        last_seen_ms=None if seen is None else round(seen.timestamp() * 1000),
        devices=list(row["devices"]),
    )
