"""What Redis remembers of sessions, so that PostgreSQL is not asked at every request."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from accounts import keys
from accounts.store import Store
from protocol.errors import ApiError

BELIEVED_SECONDS: Final = 3600
"""How long what is written is believed. Bounds two things: how long a session goes on whose closing was cut off
between PostgreSQL and Redis, and how long the connected go on while PostgreSQL is away."""

RENEW_SECONDS: Final = 300
"""How often the keys of open sockets are given their full time again."""

RECALL_SECONDS: Final = 1.0
"""How long Redis may take to remember. PostgreSQL can tell as well, and more may be asked of Redis in one request:
together they must stay within the six seconds in which everybody gets an answer."""

_ALIVE: Final = b"1"
_CLOSED: Final = b"0"


class SessionCache:
    """Session ids and whether they live."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._renewed = monotonic()

    async def recall(self, session_ids: list[str]) -> dict[str, bool] | None:
        """What is known; None when Redis is away: then PostgreSQL is to be asked, and nothing written down."""
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                values = await self._store.values([keys.session(session_id) for session_id in session_ids])
        except (ApiError, TimeoutError):
            return None
        known = zip(session_ids, values, strict=True)
        return {session_id: value == _ALIVE for session_id, value in known if value is not None}

    async def remember(self, lives: dict[str, bool]) -> None:
        """Write down what PostgreSQL said. Redis being away is no failure here."""
        writes: list[Awaitable[Any]] = []
        for session_id, alive in lives.items():
            name = keys.session(session_id)
            # "It lives" only where nothing is written: a closing may have come since PostgreSQL was asked.
            only_new = ("NX",) if alive else ()
            value = _ALIVE if alive else _CLOSED
            writes.append(self._store.write("SET", name, value, "EX", BELIEVED_SECONDS, *only_new))
        await _done(writes)

    async def update(self, known: dict[str, bool], truth: dict[str, bool]) -> None:
        """Write down what is news; now and then all of it, so that no key of an open socket runs out."""
        await self.remember({one: lives for one, lives in truth.items() if known.get(one) is not lives})
        if monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = monotonic()
            await _done([self._store.write("EXPIRE", keys.session(one), BELIEVED_SECONDS) for one in truth])

    async def forget(self, session_id: str) -> None:
        """The session was closed. When this key has run out PostgreSQL says so again.

        :raises ApiError: ``unavailable``
        """
        await self._store.write_surely("SET", keys.session(session_id), _CLOSED, "EX", BELIEVED_SECONDS)


async def _done(writes: list[Awaitable[Any]]) -> None:
    """Redis being away is no failure: what is not written is asked of PostgreSQL again."""
    with suppress(ApiError):
        await asyncio.gather(*writes)
