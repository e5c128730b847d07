"""Servers that notify each other over a real Redis."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from delivery import keys
from delivery.notifications import NotificationHandlers, Notifications, notify_command
from settings import Settings
from tests.support.links import link_to
from tests.support.waiting import until

RAVI = "9100000001"


def settings(redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
        bell_seconds=0.2,
        bell_silence_seconds=1.0,
    )


@dataclass
class Server:
    """A server and what it was notified of."""

    notifications: Notifications
    received: list[tuple[Any, ...]] = field(default_factory=list)

    async def receives(self, *what: str) -> None:
        """Wait for it.

        :raises TimeoutError: it did not come
        """
        await until(lambda: what in self.received)


@asynccontextmanager
async def listening(redis: "Redis", url: str, name: str, *, heartbeats: bool = True) -> AsyncIterator[Server]:
    received: list[tuple[Any, ...]] = []

    def note(kind: str) -> Any:
        return lambda *words: received.append((kind, *words))

    kinds = (
        *("entry", "replaced", "devices", "closed", "moved"),
        *("privacy", "presence", "typing", "resubscribed"),
    )
    handlers = NotificationHandlers(*map(note, kinds))
    server = Server(Notifications(link_to(redis), name, settings(url), handlers), received)

    async def send_heartbeats() -> None:
        while True:
            await redis.publish(keys.channel(name), keys.HEARTBEAT)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(send_heartbeats()) if heartbeats else None
    server.notifications.start()
    try:
        await server.receives("resubscribed")
        yield server
    finally:
        await server.notifications.stop()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def closed_on(server: Server) -> set[str]:
    return {each for kind, *words in server.received if kind == "closed" for each in words[0]}


async def test_a_server_notifies_itself_at_once_and_others_over_redis(redis: "Redis", valkey_url: str) -> None:
    async with listening(redis, valkey_url, "s1") as one, listening(redis, valkey_url, "s2") as two:
        one.notifications.notify(["s1", "s2"], RAVI, "5-0")
        assert ("entry", RAVI, "5-0") in one.received
        await redis.execute_command(*notify_command("s2", RAVI, "6-0"))
        await two.receives("entry", RAVI, "6-0")
        await one.notifications.replaced("s2", RAVI, "c1")
        await two.receives("replaced", RAVI, "c1")
        await two.notifications.replaced("s2", RAVI, "c2")
        assert ("replaced", RAVI, "c2") in two.received
        many = [f"session-{number}" for number in range(250)]
        await one.notifications.closed(many)
        for server in (one, two):
            await until(lambda: closed_on(server) == set(many))  # noqa: B023 - awaited here
        await one.notifications.moved("session-1")
        for server in (one, two):
            await server.receives("moved", "session-1")
        assert ("entry", RAVI, "5-0") not in two.received, "the script notifies other servers"


async def test_a_notification_may_come_without_an_id(redis: "Redis", valkey_url: str) -> None:
    async with listening(redis, valkey_url, "s1") as one:
        await redis.execute_command(*notify_command("s1", RAVI, ""))
        await one.receives("entry", RAVI, "")


async def test_after_its_connection_broke_a_server_knows_that_notifications_may_be_lost(
    redis: "Redis", valkey_url: str
) -> None:
    async with listening(redis, valkey_url, "s1") as one:
        await until(lambda: one.notifications.listening)
        await redis.client_kill_filter(_type="pubsub")
        await until(lambda: one.received.count(("resubscribed",)) == 2)
        await redis.execute_command(*notify_command("s1", RAVI, "7-0"))
        await one.receives("entry", RAVI, "7-0")


async def test_a_server_without_its_own_heartbeat_subscribes_again(redis: "Redis", valkey_url: str) -> None:
    async with listening(redis, valkey_url, "s1", heartbeats=False) as one:
        assert not one.notifications.listening
        await until(lambda: one.received.count(("resubscribed",)) >= 2)
