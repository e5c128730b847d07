"""What Redis holds of a person, for the person who asks for everything that is held about them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import structlog

from delivery.keys import DEVICE_PREFIX
from delivery.redis.client import Arg, RedisClient
from delivery.results import FIRST_ENTRY
from delivery.scripts import READ_PERSON, READ_WAITING, Script
from delivery.user_records import UserRecords
from protocol.entries import Entry
from protocol.errors import ApiError
from protocol.stored_entries import decode_entry

logger = structlog.get_logger(__name__)
PAGE: Final = 50
"""Entries read at once: at most 800 KiB of text."""
_DEVICE: Final = DEVICE_PREFIX.encode()


@dataclass(frozen=True, slots=True)
class HeldOfPerson:
    """Times are in unix ms.

    :param devices: when each device was last connected
    :param last_seen: None: never
    :param connections: by device, the last sign of life of each connection
    :param contacts: whom the person wrote to lately
    :param unanswered: who wrote to the person, and got no answer
    :param login_places: digests of devices and addresses, and the last log-in from there
    """

    devices: dict[str, int]
    last_seen: int | None
    connections: dict[str, int]
    contacts: list[str]
    unanswered: list[str]
    login_places: dict[str, int]


class Held:
    """Reads it, without changing anything."""

    def __init__(self, redis: RedisClient, users: UserRecords) -> None:
        self._redis = redis
        self._users = users

    async def of(self, mobile: str, account_id: str) -> HeldOfPerson:
        """Everything but what waits.

        :raises ApiError: ``session_revoked``: the account does not have this number (any more); ``unavailable``
        """
        user, seen, contacts, unanswered, places, leases = await self._read(READ_PERSON, mobile, account_id)
        fields = _pairs(user).items()
        return HeldOfPerson(
            devices={name.removeprefix(_DEVICE).decode(): int(at) for name, at in fields if name.startswith(_DEVICE)},
            last_seen=int(seen) if seen else None,
            connections={device.decode(): int(lease.split()[2]) for device, lease in _pairs(leases).items()},
            contacts=sorted(one.decode() for one in contacts),
            unanswered=sorted(one.decode() for one in unanswered),
            login_places={digest.decode(): int(at) for digest, at in _pairs(places).items()},
        )

    async def waiting(self, mobile: str, account_id: str) -> AsyncIterator[list[Entry]]:
        """What waits in the person's mailbox, in pages: chats with their texts, receipts.

        :raises ApiError: ``session_revoked``: the account does not have this number (any more); ``unavailable``
        """
        after = FIRST_ENTRY
        while True:
            (page,) = await self._read(READ_WAITING, mobile, account_id, after, PAGE)
            if not page:
                return
            yield [_decoded(*entry) for entry in page]
            after = page[-1][0].decode()

    async def _read(self, script: Script, mobile: str, account_id: str, *more: Arg) -> list[Any]:
        """The reply without its verdict. A person whom Redis does not hold is loaded."""
        for _ in range(2):
            reply: list[Any] = await self._redis.call(script, self._users.keys(mobile).of(script), [account_id, *more])
            if reply[0] == b"found":
                return reply[1:]
            try:
                await self._users.load(mobile)
            except ApiError as error:
                raise ApiError("session_revoked") if error.code == "no_such_person" else error from None
        raise ApiError("session_revoked")


def _decoded(stream_id: bytes, values: list[bytes]) -> Entry:
    """The entry; of one that our own code fails on, only that it is there: the rest must be told all the same."""
    try:
        return decode_entry(stream_id, values)
    except Exception:
        logger.exception("an entry could not be decoded", stream_id=stream_id.decode())
        return Entry(stream_id.decode())


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
