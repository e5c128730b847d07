"""Tickets: what a browser, which cannot send a header with a WebSocket, shows instead of its token."""

import re
from typing import Final

import msgspec

from accounts import keys
from accounts.store import Store
from accounts.tokens import Claims
from protocol.errors import ApiError

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class Tickets:
    """Single use, short life, kept in Redis alone: a lost ticket costs its owner one more request.

    :param seconds: how long one may wait to be used
    """

    def __init__(self, store: Store, seconds: int) -> None:
        self._store = store
        self._seconds = seconds

    async def put(self, ticket: str, claims: Claims) -> None:
        """:raises ApiError: ``unavailable``"""
        await self._store.write("SET", _name(ticket), msgspec.json.encode(claims), "EX", self._seconds)

    async def look(self, ticket: str) -> Claims:
        """The claims, without using the ticket up.

        :raises ApiError: ``ticket_invalid``, ``unavailable``
        """
        (kept,) = await self._store.values([_name(ticket)])
        return _claims(kept)

    async def take(self, ticket: str) -> Claims:
        """The claims, once.

        :raises ApiError: ``ticket_invalid``, ``unavailable``
        """
        return _claims(await self._store.take(_name(ticket)))


def _name(ticket: str) -> str:
    if not _SHAPE.match(ticket):
        raise ApiError("ticket_invalid")
    return keys.ticket(ticket)


def _claims(kept: bytes | None) -> Claims:
    if kept is None:
        raise ApiError("ticket_invalid")
    return msgspec.json.decode(kept, type=Claims)
