"""That somebody types: passed on to the live connections of the other one, and stored nowhere."""

import asyncio

import structlog

from delivery import keys
from delivery.hub import Hub
from delivery.policy import relays_typing
from delivery.presence import read_facts, read_sides
from delivery.redis.client import RedisClient
from delivery.results import CommandFailed
from delivery.scripts import READ_PRESENCE, READ_SIDES
from delivery.user_records import UserRecords
from protocol.errors import ApiError

logger = structlog.get_logger(__name__)


class TypingRelay:
    """Relays typing from the connections of one server. The sender gets no answer, whatever becomes of it."""

    def __init__(self, redis: RedisClient, users: UserRecords, hub: Hub, server_id: str) -> None:
        self._redis = redis
        self._users = users
        self._hub = hub
        self._server_id = server_id

    async def relay(self, sender: str, to: str, active: bool) -> None:
        """Tell the recipient, if they are connected and may see the sender online. What is lost is not repeated."""
        try:
            own, person = await asyncio.gather(
                self._redis.call(READ_SIDES, self._users.keys(sender).of(READ_SIDES), [to]),
                self._redis.call(READ_PRESENCE, self._users.keys(to).of(READ_PRESENCE), [sender]),
            )
        except (ApiError, CommandFailed):
            return
        # Nobody who is connected is missing in Redis: who is not known there has nobody to be told.
        if not own[0] == person[0] == b"known":
            return
        (sides,) = read_sides(own[1], own[2])
        _, (theirs,) = read_facts(person)
        if relays_typing(sides, theirs):
            for server_id in {server.decode() for server in person[6]}:
                self._tell(server_id, sender, to, active)

    def _tell(self, server_id: str, sender: str, to: str, active: bool) -> None:
        if server_id == self._server_id:
            self._hub.typing(to, sender, active)
        else:
            self._redis.send("PUBLISH", keys.channel(server_id), f"{keys.TYPING} {to} {sender} {active:d}")
