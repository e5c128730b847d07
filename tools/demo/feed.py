"""The live feed of one page: looks at Redis again and again, listens to notifications, and tells what is new."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from delivery import keys
from tools.demo.observed import News, Seen, Server, look_at, news_between, servers_of
from tools.demo.place import Place
from tools.devstack.process import birth

LOOK_SECONDS: Final = 0.2
"""Between two looks, if no notification asks for one sooner."""
SOONEST_SECONDS: Final = 0.02
"""So that a busy moment does not make it look all the time."""
AWAY_SECONDS: Final = 0.5
"""A Redis that has not answered by then counts as away."""
RESUBSCRIBE_SECONDS: Final = 0.3
_WORDS: Final = {keys.ENTRY_WAITS, keys.REPLACED, keys.DEVICES_CHANGED, keys.PRESENCE_CHANGED, keys.TYPING}
"""Notifications about one person, whose number follows."""


class Update(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the page gets: the state if it has changed, and what happened since the last one."""

    seen: Seen | None
    news: list[News]


class Feed:
    """For one page; :meth:`updates` is called once.

    :param mobiles: phone -> mobile number: nothing of others is told
    """

    def __init__(self, redis_url: str, place: Place, mobiles: dict[str, str]) -> None:
        self._url, self._place, self._mobiles = redis_url, place, mobiles
        self._phones = {mobile: phone for phone, mobile in mobiles.items()}
        self._notified: list[News] = []
        self._look = asyncio.Event()

    async def updates(self) -> AsyncGenerator[Update, None]:
        """The first one at once, with everything; then whenever something changes."""
        seen = Seen(redis=True, servers=[], mailboxes={})
        redis = Redis.from_url(self._url, socket_timeout=AWAY_SECONDS, socket_connect_timeout=AWAY_SECONDS)
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                self._look.clear()
                now = await self._seen(redis, seen)
                news = [*self._take_notified(), *news_between(seen, now)] if seen.servers else []
                if news or now != seen:
                    yield Update(now if now != seen else None, news)
                seen = now
                await asyncio.sleep(SOONEST_SECONDS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), LOOK_SECONDS)
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
            await redis.aclose()

    async def _seen(self, redis: "Redis", before: Seen) -> Seen:
        try:
            servers = await servers_of(redis, os.getppid())
            return Seen(redis=True, servers=servers, mailboxes=await look_at(redis, self._mobiles))
        except (RedisError, OSError):
            known = before.servers or [Server(each.server_id, each.pid) for each in self._place.servers()]
            return Seen(redis=False, servers=[each for each in known if birth(each.pid)], mailboxes=before.mailboxes)

    def _take_notified(self) -> list[News]:
        taken, self._notified = self._notified, []
        return taken

    async def _listen(self) -> None:
        while True:
            # Without a timeout: nobody may have anything to say for long.
            redis = Redis.from_url(self._url, socket_connect_timeout=AWAY_SECONDS)
            try:
                async with redis.pubsub() as channels:
                    await channels.psubscribe(f"{keys.CHANNEL_PREFIX}*")
                    async for message in channels.listen():
                        if message["type"] == "pmessage":
                            self._notify(message["channel"].decode(), message["data"].decode())
            except (RedisError, OSError):
                await asyncio.sleep(RESUBSCRIBE_SECONDS)
            finally:
                await redis.aclose()

    def _notify(self, channel: str, message: str) -> None:
        word, _, rest = message.partition(" ")
        phone = self._phones.get(rest.partition(" ")[0])
        if word in _WORDS and phone is not None:
            server_id = channel.removeprefix(keys.CHANNEL_PREFIX)
            self._notified.append(News("notified", phone, server_id=server_id, word=word))
            self._look.set()
