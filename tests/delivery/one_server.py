"""The post of one server, put together as app.py does it, on a real Redis; PostgreSQL is a dict."""

import asyncio
import inspect
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from delivery.hub import Hub
from delivery.in_flight import Landed
from delivery.mailbox import Mailbox
from delivery.messenger import Messenger
from delivery.notifications import NotificationHandlers, Notifications
from delivery.presence import Presence
from delivery.redis.client import RedisClient
from delivery.redis.replication import ScriptRunner
from delivery.servers import Servers
from delivery.user_records import UserRecords
from protocol.entries import Chat, Entry
from settings import Settings
from tests.support.links import link_to

RAVI, ASHA, EVE = "9100000001", "9200000001", "9300000001"


def make_settings(**knobs: Any) -> Settings:
    """For parts that are given their connections."""
    needed = {
        "redis_url": "unix://unused",
        "database_url": "postgres://nobody@127.0.0.1/none",
        "jwt_secret": secrets.token_urlsafe(48),
        "rate_limits": "off",
    }
    return Settings(**needed | knobs)


@dataclass
class Row:
    """What PostgreSQL knows of a person."""

    account_id: str
    blocks_version: int = 0
    blocked: list[str] = field(default_factory=list)
    last_seen_ms: int | None = None
    devices: list[str] = field(default_factory=list)


def everybody() -> dict[str, Row]:
    """Ravi, Asha and Eve have accounts."""
    return {mobile: Row(f"account of {mobile}") for mobile in (RAVI, ASHA, EVE)}


class OneServer:
    """A server that hears its own rings at once; of those for others, only Redis knows."""

    def __init__(
        self,
        redis: "Redis | RedisClient",
        server_id: str = "s1",
        rows: dict[str, Row] | None = None,
        durable: ScriptRunner | None = None,
        **knobs: Any,
    ) -> None:
        self.rows = everybody() if rows is None else rows
        self.settings = make_settings(**knobs)
        self.server_id = server_id
        self.link = redis if isinstance(redis, RedisClient) else link_to(redis)
        self.durable = durable
        self.people = UserRecords(self.link, self._find, durable)
        self.mailbox = Mailbox(self.link, self.people, self.settings, server_id, durable)
        self.presence = Presence(self.link, self.people, self.settings)
        self.hub = Hub(self.settings.lease_seconds, self.settings.cooldown_seconds)
        self.rung: list[tuple[str, str]] = []
        self.messenger = self.with_notifications(Notifications(self.link, server_id, self.settings, self.handlers()))

    def handlers(self) -> NotificationHandlers:
        """Notes rings, and passes everything on to the hub."""
        return NotificationHandlers(self._ring, self.hub.replaced, self.hub.close_session, self.hub.ring_all)

    def with_notifications(self, notifications: Notifications) -> Messenger:
        """A messenger that notifies through these."""
        registry = Servers(self.link, self.server_id, self.settings)
        return Messenger(self.mailbox, self.presence, notifications, registry, self.hub)

    async def send(self, sender: str, to: str, message_id: str) -> str:
        """One chat that its recipient's mailbox has room for; its streamId."""
        (stream_id,) = await self.messenger.send(sender, to, [(message_id, "hello")])
        assert stream_id is not None
        return stream_id

    async def _find(self, mobile: str) -> Row | None:
        return self.rows.get(mobile)

    def _ring(self, mobile: str, stream_id: str) -> None:
        self.rung.append((mobile, stream_id))
        self.hub.ring(mobile, stream_id)


def landed(*entries: Entry) -> list[Landed]:
    """These, to be settled."""
    return [
        Landed(entry.stream_id, entry.sender, entry.size) if isinstance(entry, Chat) else Landed(entry.stream_id, "", 0)
        for entry in entries
    ]


async def until(done: Callable[[], Any], seconds: float = 5) -> None:
    """What is waited for comes true; ``done`` may have to be awaited."""
    async with asyncio.timeout(seconds):
        while not (await found if inspect.isawaitable(found := done()) else found):
            await asyncio.sleep(0.01)
