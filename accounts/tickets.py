"""Tickets: what a browser, which cannot send a header with a WebSocket, shows instead of its token."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from redis.asyncio import Redis

from accounts import keys
from accounts.memory import redis_answering
from accounts.tokens import Claims
from protocol.refusals import Refusal

_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class Tickets:
    """Single use, short life, kept in Redis alone: a lost ticket costs its owner one more request.

    :param seconds: how long one may wait to be used
    """

    def __init__(self, redis: "Redis", seconds: int) -> None:
        self._redis = redis
        self._seconds = seconds

    async def put(self, ticket: str, claims: Claims) -> None:
        """:raises Refusal: ``unavailable``"""
        async with redis_answering():
            await self._redis.set(keys.ticket(ticket), msgspec.json.encode(claims), ex=self._seconds)

    async def look(self, ticket: str) -> Claims:
        """The claims, without using the ticket up.

        :raises Refusal: ``ticket_invalid``, ``unavailable``
        """
        return await self._get(ticket, self._redis.get)

    async def take(self, ticket: str) -> Claims:
        """The claims, once.

        :raises Refusal: ``ticket_invalid``, ``unavailable``
        """
        return await self._get(ticket, self._redis.getdel)

    async def _get(self, ticket: str, command: Callable[[str], Awaitable[bytes | None]]) -> Claims:
        if not _SHAPE.match(ticket):
            raise Refusal("ticket_invalid")
        async with redis_answering():
            kept = await command(keys.ticket(ticket))
        if kept is None:
            raise Refusal("ticket_invalid")
        return msgspec.json.decode(kept, type=Claims)
