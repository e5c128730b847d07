"""What Redis holds of sessions: which of them live, and tickets. PostgreSQL stays the truth for both.

How Redis is reached is handed in, because folders of one layer do not import each other.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Protocol

import msgspec

from accounts.tokens import Claims
from protocol.errors import ApiError

CACHE_SECONDS: Final = 3600
"""How long an entry of the cache is valid. Bounds two things: how long a session goes on whose closing was interrupted
between PostgreSQL and Redis, and how long connected clients go on while PostgreSQL is away."""

RENEW_SECONDS: Final = 300
"""How often the entries of open sockets are given their full time again."""

TIMEOUT_SECONDS: Final = 1.0
"""How long a lookup may take. PostgreSQL can answer as well, and one request may need Redis again afterwards: together
they must stay within the six seconds in which every request is answered."""

_ALIVE: Final = b"1"
_CLOSED: Final = b"0"
_TICKET: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class KeyValueStore(Protocol):
    """Single keys and values in Redis. Every method raises ``ApiError("unavailable")`` while Redis is away."""

    def get(self, names: list[str]) -> Awaitable[list[bytes | None]]:
        """The values of these keys; None for a key that does not exist."""
        ...

    def pop(self, name: str) -> Awaitable[bytes | None]:
        """The value of a key, which is deleted."""
        ...

    def write(self, command: str, name: str, *words: str | bytes | int) -> Awaitable[Any]:
        """A command of a few bytes, which Redis executes also when its memory is full."""
        ...

    def write_replicated(self, command: str, name: str, *words: str | bytes | int) -> Awaitable[Any]:
        """The same; done only when Redis' replicas have it, where the operator wants that."""
        ...


def session_key(session_id: str) -> str:
    """String with a time to live: ``1`` the session lives, ``0`` it was closed."""
    return f"session:{session_id}"


def ticket_key(ticket: str) -> str:
    """String with a time to live: the claims a ticket stands for. Hashed, so that a dump of Redis opens no socket."""
    return f"ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"


class SessionCache:
    """Session ids and whether they live, so that PostgreSQL is not asked at every request."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store
        self._renewed_at = monotonic()

    async def get(self, session_ids: list[str]) -> dict[str, bool] | None:
        """What is known. None when Redis is away: then ask PostgreSQL, and do not put its answer here."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                values = await self._store.get([session_key(session_id) for session_id in session_ids])
        except (ApiError, TimeoutError):
            return None
        found = zip(session_ids, values, strict=True)
        return {session_id: value == _ALIVE for session_id, value in found if value is not None}

    async def put(self, lives: dict[str, bool]) -> None:
        """Store what PostgreSQL answered. Does nothing while Redis is away."""
        writes: list[Awaitable[Any]] = []
        for session_id, alive in lives.items():
            # "It lives" only where there is no entry: the session may have been closed since PostgreSQL was asked.
            only_new = ("NX",) if alive else ()
            value = _ALIVE if alive else _CLOSED
            writes.append(self._store.write("SET", session_key(session_id), value, "EX", CACHE_SECONDS, *only_new))
        await _finish(writes)

    async def update(self, known: dict[str, bool], truth: dict[str, bool]) -> None:
        """Store what differs from ``known``; now and then renew all, so that no entry of an open socket expires."""
        await self.put({one: lives for one, lives in truth.items() if known.get(one) is not lives})
        if monotonic() - self._renewed_at > RENEW_SECONDS:
            self._renewed_at = monotonic()
            await _finish([self._store.write("EXPIRE", session_key(one), CACHE_SECONDS) for one in truth])

    async def put_closed(self, session_ids: Iterable[str]) -> None:
        """These sessions were closed. After the entries have expired, PostgreSQL says so again.

        :raises ApiError: ``unavailable``
        """
        entry = (_CLOSED, "EX", CACHE_SECONDS)
        await asyncio.gather(*[self._store.write_replicated("SET", session_key(one), *entry) for one in session_ids])


class Tickets:
    """A ticket stands for a token in the URL of a WebSocket, because a browser cannot send a header with it.

    Each is used once, and lives for a short time in Redis only: for a lost one the client requests another.

    :param seconds: how long one is valid
    """

    def __init__(self, store: KeyValueStore, seconds: int) -> None:
        self._store = store
        self._seconds = seconds

    async def put(self, ticket: str, claims: Claims) -> None:
        """:raises ApiError: ``unavailable``"""
        await self._store.write("SET", _checked_key(ticket), msgspec.json.encode(claims), "EX", self._seconds)

    async def get(self, ticket: str) -> Claims:
        """The claims, without using the ticket up.

        :raises ApiError: ``ticket_invalid``, ``unavailable``
        """
        (value,) = await self._store.get([_checked_key(ticket)])
        return _claims(value)

    async def pop(self, ticket: str) -> Claims:
        """The claims, once.

        :raises ApiError: ``ticket_invalid``, ``unavailable``
        """
        return _claims(await self._store.pop(_checked_key(ticket)))


async def _finish(writes: list[Awaitable[Any]]) -> None:
    """Redis being away is no failure here: sessions without an entry are looked up in PostgreSQL."""
    with suppress(ApiError):
        await asyncio.gather(*writes)


def _checked_key(ticket: str) -> str:
    if not _TICKET.match(ticket):
        raise ApiError("ticket_invalid")
    return ticket_key(ticket)


def _claims(value: bytes | None) -> Claims:
    if value is None:
        raise ApiError("ticket_invalid")
    return msgspec.json.decode(value, type=Claims)
