"""Servers that ring each other over a real Redis."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from delivery import keys
from delivery.notifications import NotificationHandlers, Notifications, ring_command
from settings import Settings
from tests.support.links import link_to


def knobs(redis_url: str) -> Settings:
    return Settings(
        redis_url=redis_url,
        database_url="postgres://nobody@127.0.0.1/none",
        jwt_secret=secrets.token_urlsafe(48),  # type: ignore[arg-type]
        bell_seconds=0.2,
        bell_silence_seconds=1.0,
    )


@dataclass
class House:
    """A server and what it heard."""

    bell: Notifications
    heard: list[tuple[Any, ...]] = field(default_factory=list)

    async def hears(self, *what: Any) -> None:
        """Wait for it.

        :raises TimeoutError: it did not come
        """
        await until(lambda: what in self.heard)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(redis: "Redis", url: str, name: str, beat: bool = True) -> AsyncIterator[House]:
    heard: list[tuple[Any, ...]] = []
    ears = NotificationHandlers(
        ring=lambda mobile, stream_id: heard.append(("ring", mobile, stream_id)),
        replaced=lambda mobile, connection: heard.append(("replaced", mobile, connection)),
        closed=lambda session: heard.append(("closed", session)),
        gap=lambda: heard.append(("gap",)),
    )
    house = House(Notifications(link_to(redis), name, knobs(url), ears), heard)

    async def heartbeat() -> None:
        while True:
            await redis.publish(keys.channel(name), keys.HEARTBEAT)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(heartbeat()) if beat else None
    house.bell.start()
    try:
        await house.hears("gap")
        yield house
    finally:
        await house.bell.stop()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_a_server_hears_itself_without_the_wire_and_others_over_it(redis: "Redis", valkey_url: str) -> None:
    async with listening(redis, valkey_url, "s1") as one, listening(redis, valkey_url, "s2") as two:
        one.bell.ring(["s1", "s2"], "9100000001", "5-0")
        assert ("ring", "9100000001", "5-0") in one.heard
        await redis.execute_command(*ring_command("s2", "9100000001", "6-0"))
        await two.hears("ring", "9100000001", "6-0")
        await one.bell.replaced("s2", "9100000001", "c1")
        await two.hears("replaced", "9100000001", "c1")
        await two.bell.replaced("s2", "9100000001", "c2")
        assert ("replaced", "9100000001", "c2") in two.heard
        await one.bell.closed("session-1")
        await one.hears("closed", "session-1")
        await two.hears("closed", "session-1")
        assert ("ring", "9100000001", "5-0") not in two.heard, "the script rings it"


async def test_a_ring_without_an_id_is_heard_as_such(redis: "Redis", valkey_url: str) -> None:
    async with listening(redis, valkey_url, "s1") as one:
        await redis.publish(keys.channel("s1"), "entry 9100000001 ")
        await one.hears("ring", "9100000001", "")


async def test_a_cut_line_is_mended_and_the_gap_is_told(redis: "Redis", valkey_url: str) -> None:
    async with listening(redis, valkey_url, "s1") as one:
        await until(lambda: one.bell.listening)
        await redis.client_kill_filter(_type="pubsub")
        await until(lambda: one.heard.count(("gap",)) == 2)
        one.bell.ring(["s1"], "9100000001", "6-0")
        await redis.publish(keys.channel("s1"), "entry 9100000001 7-0")
        await one.hears("ring", "9100000001", "7-0")


async def test_who_does_not_hear_himself_subscribes_anew(redis: "Redis", valkey_url: str) -> None:
    async with listening(redis, valkey_url, "s1", beat=False) as one:
        assert not one.bell.listening
        await until(lambda: one.heard.count(("gap",)) >= 2)
