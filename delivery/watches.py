"""Who watches whom on this server, and what each of them was last shown.

A person who is watched costs one script in a ping period, and one when something about them changes, however many
watch them here. That script registers this server in the person's slot, and returns the facts about them and what each
asker is to them. What is shown follows from that and from the asker's own side (delivery/policy.py), which costs one
script for each asker in a ping period. So lost notifications are made up for within a ping.

When a lease ends that was shown, the person is read again. If Redis is away then, they are shown offline.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import structlog

from background.loops import Loop, forever
from delivery.keys import Person
from delivery.policy import Facts, View
from delivery.presence import read_facts, read_sides
from delivery.rate_limits import RateLimits, lookups
from delivery.redis.client import Arg, RedisClient
from delivery.results import CommandFailed
from delivery.scripts import READ_SIDES, WATCH
from delivery.timetable import Timetable
from delivery.user_records import UserRecords
from delivery.watched_people import NEVER, Asker, Watched, Watcher, WatchingConnection
from protocol.errors import ApiError
from protocol.privacy import decode_privacy
from settings import Settings

logger = structlog.get_logger(__name__)
TICK_SECONDS: Final = 0.25
MOST_READS: Final = 500
"""Of people that are due, in one tick: everybody else waits for Redis meanwhile."""
MOST_ASKERS: Final = 500
"""In one script, for the same reason."""
REGISTERED_PINGS: Final = 6
"""For so many ping periods a registration lasts. It is written anew in the second half of that."""
RETRY_SECONDS: Final = 1.0


class Watches:
    """The watches of all connections of one server. Everything of a connection goes when it leaves."""

    def __init__(
        self, redis: RedisClient, users: UserRecords, limits: RateLimits, settings: Settings, server_id: str
    ) -> None:
        self._redis = redis
        self._users = users
        self._limits = limits
        self._lookups = lookups(settings)
        self._most = settings.watch_limit
        self._ping_seconds = settings.ping_seconds
        self._lease_ms = int(settings.lease_seconds * 1000)
        self._registration: list[Arg] = [server_id, int(settings.ping_seconds * 1000 * REGISTERED_PINGS)]
        self._watchers: dict[WatchingConnection, Watcher] = {}
        self._askers: dict[str, Asker] = {}
        self._watched: dict[str, Watched] = {}
        self._due: Timetable[Watched | Asker] = Timetable()
        """What is to be read again."""
        self._unshown: dict[Watcher, dict[str, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: Loop | None = None

    def __len__(self) -> int:
        return len(self._watched)

    def start(self) -> None:
        """Begin to read again what is due."""
        self._loop = forever("watches", self._tick, TICK_SECONDS)

    async def stop(self) -> None:
        """Read no more."""
        if self._loop is not None:
            await self._loop.stop()

    # ---- what connections ask for

    async def watch(self, connection: WatchingConnection, mobiles: Sequence[str]) -> list[tuple[str, View]]:
        """Watch these numbers; what may be seen of each now. Changes follow by :meth:`show_presence`.

        Of a number that nobody has, nothing is seen, as of a person who hides everything.

        :raises ApiError: ``too_many_watched``, ``rate_limited``, ``unavailable``; then none of them is watched that was
            not watched before
        """
        watcher = self._watchers.get(connection) or self._enter(connection)
        async with watcher.lock:
            if self._watchers.get(connection) is not watcher:
                return []  # it has left meanwhile
            new = [mobile for mobile in mobiles if mobile not in watcher.shown]
            if len(watcher.shown) + len(new) > self._most:
                raise ApiError("too_many_watched")
            for mobile in new:
                self._add(watcher, mobile)
            try:
                await self._begin(watcher.asker, new)
            except BaseException:
                self.unwatch(connection, new)
                raise
            views = [
                (mobile, self._watched[mobile].view(watcher.asker)) for mobile in mobiles if mobile in watcher.shown
            ]
            watcher.shown.update(views)
            return views

    def unwatch(self, connection: WatchingConnection, mobiles: Iterable[str]) -> None:
        """Watch these no more."""
        watcher = self._watchers.get(connection)
        if watcher is None:
            return
        for mobile in mobiles:
            if mobile in watcher.shown:
                del watcher.shown[mobile]
                self._remove(watcher, mobile)
        if not watcher.shown and not watcher.lock.locked():
            self._leave(watcher)

    def leave(self, connection: WatchingConnection) -> None:
        """The connection has ended."""
        watcher = self._watchers.get(connection)
        if watcher is not None:
            self.unwatch(connection, list(watcher.shown))
            self._leave(watcher)

    # ---- what others report

    def changed(self, mobile: str) -> None:
        """What may be shown of this person has changed."""
        watched = self._watched.get(mobile)
        if watched is not None:
            self._read(watched)

    def change_privacy(self, mobile: str, privacy: str) -> None:
        """This person hides something else, so they may see something else; as Redis holds it."""
        asker = self._askers.get(mobile)
        if asker is not None:
            asker.privacy = decode_privacy(privacy)
            asker.sides = {other: side._replace(privacy=asker.privacy) for other, side in asker.sides.items()}
            self._show_all(asker)

    def read_all(self) -> None:
        """Notifications may have been lost: read everything again, beginning now."""
        everybody: list[Watched | Asker] = [*self._watched.values(), *self._askers.values()]
        for each in everybody:
            self._due.put(each, 0)

    # ---- who is there

    def _enter(self, connection: WatchingConnection) -> Watcher:
        asker = self._askers.get(connection.mobile)
        if asker is None:
            asker = self._askers[connection.mobile] = Asker(connection.mobile)
            self._due.put(asker, self._period())
        watcher = self._watchers[connection] = Watcher(connection, asker)
        asker.watchers.append(watcher)
        return watcher

    def _leave(self, watcher: Watcher) -> None:
        if self._watchers.pop(watcher.connection, None) is None:
            return
        self._unshown.pop(watcher, None)
        watcher.asker.watchers.remove(watcher)
        if not watcher.asker.watchers:
            del self._askers[watcher.asker.mobile]
            self._due.drop(watcher.asker)

    def _add(self, watcher: Watcher, mobile: str) -> None:
        watched = self._watched.get(mobile)
        if watched is None:
            watched = self._watched[mobile] = Watched(mobile)
            self._due.put(watched, self._period())
        watched.watchers[watcher] = None
        watcher.shown[mobile] = None

    def _remove(self, watcher: Watcher, mobile: str) -> None:
        watched, asker = self._watched[mobile], watcher.asker
        del watched.watchers[watcher]
        if not watched.watchers:
            del self._watched[mobile]
            self._due.drop(watched)
        if not any(mobile in each.shown for each in asker.watchers):
            asker.sides.pop(mobile, None)
            watched.sides.pop(asker.mobile, None)

    # ---- reading

    async def _begin(self, asker: Asker, mobiles: Sequence[str]) -> None:
        """Read what decides what this asker may see of these people; all of it leaves in one write."""
        if not mobiles:
            return
        args = [*self._registration, asker.mobile]
        replies: Sequence[Any] = await asyncio.gather(
            self._ask_own(asker.mobile, mobiles),
            *[self._redis.call(WATCH, Person(mobile).of(WATCH), args) for mobile in mobiles],
            return_exceptions=True,
        )
        _raise_first(replies)
        own, others = replies[0], replies[1:]
        if own[0] == b"not_cached":
            await self._users.load(asker.mobile)
            own = await self._ask_own(asker.mobile, mobiles)
            if own[0] == b"not_cached":
                raise ApiError("unavailable")
        self._apply_asker(asker, mobiles, own)
        strangers = sum(not asker.sides[mobile].is_contact for mobile in mobiles)
        if strangers:  # what is shown of them reveals whether they have an account
            await self._limits.take(self._lookups, asker.mobile, min(strangers, self._lookups.burst))
        missing: list[str] = []
        for mobile, reply in zip(mobiles, others, strict=True):
            if reply[0] == b"not_cached":
                missing.append(mobile)
            else:
                self._apply(mobile, [asker.mobile], reply)
        if missing:
            await asyncio.gather(*[self._load(mobile) for mobile in missing])

    def _ask_own(self, mobile: str, others: Sequence[str]) -> "asyncio.Future[Any]":
        return self._redis.call(READ_SIDES, Person(mobile).of(READ_SIDES), others)

    async def _load(self, mobile: str) -> None:
        """Redis does not hold this person: load them, and read them for all their askers; or nobody has the number."""
        watched = self._watched.get(mobile)
        if watched is None or watched.is_unknown:
            return
        try:
            await self._users.load(mobile)
        except ApiError as error:
            if error.code != "no_such_person":
                raise
            watched.is_unknown = True
            return
        askers = list(_askers_of(watched))
        for start in range(0, len(askers), MOST_ASKERS):
            some = askers[start : start + MOST_ASKERS]
            reply = await self._redis.call(WATCH, Person(mobile).of(WATCH), [*self._registration, *some])
            if reply[0] == b"known":
                self._apply(mobile, some, reply)

    def _read(self, watched: Watched) -> None:
        """Read a person again, for all who watch them here."""
        if watched.is_reading:
            watched.is_stale = True
            return
        watched.is_reading, watched.is_stale = True, False
        self._due.put(watched, self._period())
        askers = list(_askers_of(watched))
        left, is_missing = -(-len(askers) // MOST_ASKERS), False

        def on_reply(some: list[str]) -> Callable[[Any], None]:
            def handle(reply: Any) -> None:
                nonlocal left, is_missing
                left -= 1
                if isinstance(reply, Exception):
                    self._failed(watched)
                elif reply[0] == b"not_cached":
                    is_missing = True
                else:
                    self._apply(watched.mobile, some, reply)
                if not left:
                    self._read_done(watched, is_missing=is_missing)

            return handle

        keys = Person(watched.mobile).of(WATCH)
        for start in range(0, len(askers), MOST_ASKERS):
            some = askers[start : start + MOST_ASKERS]
            self._redis.request(WATCH, keys, [*self._registration, *some], on_reply(some))

    def _read_done(self, watched: Watched, *, is_missing: bool) -> None:
        watched.is_reading = False
        if self._watched.get(watched.mobile) is not watched:
            return
        if is_missing and not watched.is_unknown:
            self._spawn(watched.mobile)
        elif watched.is_stale:
            self._read(watched)

    def _spawn(self, mobile: str) -> None:
        async def load() -> None:
            try:
                await self._load(mobile)
            except (ApiError, CommandFailed):
                watched = self._watched.get(mobile)
                if watched is not None:
                    self._failed(watched)

        task = asyncio.get_running_loop().create_task(load())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _failed(self, watched: Watched) -> None:
        """Redis is away. Nobody is shown online longer than the lease lasts that was seen last."""
        if self._watched.get(watched.mobile) is watched:
            self._due.put(watched, RETRY_SECONDS)
            if watched.facts is not None and watched.facts.online and watched.ends <= time.monotonic():
                watched.facts = Facts(online=False, last_seen=max(watched.facts.last_seen, watched.last_sign))
                self._show(watched)

    def _apply(self, mobile: str, askers: Sequence[str], reply: Sequence[Any]) -> None:
        watched = self._watched.get(mobile)
        if watched is None:
            return
        facts, sides = read_facts(reply)
        watched.is_unknown, watched.facts = False, facts
        watched.sides.update(zip(askers, sides, strict=True))
        if facts.online:
            now_ms, ends_ms = int(reply[1]), int(reply[2])
            watched.ends, watched.last_sign = time.monotonic() + (ends_ms - now_ms) / 1000, ends_ms - self._lease_ms
            self._due.put(watched, min(watched.ends - time.monotonic(), self._period()))
        else:
            watched.ends = NEVER
        self._show(watched)

    def _read_own(self, asker: Asker) -> None:
        """What others are to an asker is read again."""
        mobiles = asker.numbers
        self._due.put(asker, self._period())
        if asker.is_reading or not mobiles:
            return
        asker.is_reading = True

        def handle(reply: Any) -> None:
            asker.is_reading = False
            if not isinstance(reply, Exception) and reply[0] == b"known":
                self._apply_asker(asker, mobiles, reply)
                still = set(asker.numbers)
                asker.sides = {mobile: side for mobile, side in asker.sides.items() if mobile in still}
                self._show_all(asker)

        self._redis.request(READ_SIDES, Person(asker.mobile).of(READ_SIDES), mobiles, handle)

    def _apply_asker(self, asker: Asker, mobiles: Sequence[str], reply: Sequence[Any]) -> None:
        _, privacy, sides = reply
        asker.privacy = decode_privacy(privacy.decode())
        asker.sides.update(zip(mobiles, read_sides(privacy, sides), strict=True))

    # ---- showing

    def _show(self, watched: Watched) -> None:
        for watcher in watched.watchers:
            self._show_to(watcher, watched)

    def _show_all(self, asker: Asker) -> None:
        for watcher in asker.watchers:
            for mobile in watcher.shown:
                self._show_to(watcher, self._watched[mobile])

    def _show_to(self, watcher: Watcher, watched: Watched) -> None:
        shown = watcher.shown[watched.mobile]
        if shown is not None and shown != watched.view(watcher.asker):
            if not self._unshown:
                asyncio.get_running_loop().call_soon(self._flush)
            self._unshown.setdefault(watcher, {})[watched.mobile] = None

    def _flush(self) -> None:
        """What changed in one tick goes in one message. A client that does not read gets it when it is read again."""
        unshown, self._unshown = self._unshown, {}
        for watcher, mobiles in unshown.items():
            views = [
                (mobile, view)
                for mobile in mobiles
                if (shown := watcher.shown.get(mobile)) is not None
                and (view := self._watched[mobile].view(watcher.asker)) != shown
            ]
            try:
                if views and watcher.connection.show_presence(views):
                    watcher.shown.update(views)
            except Exception:
                logger.exception("presence could not be shown to a connection")  # the others get theirs

    # ---- time

    async def _tick(self) -> None:
        for each in self._due.take_due(MOST_READS):
            if isinstance(each, Watched):
                self._read_due(each)
            else:
                self._read_own(each)

    def _read_due(self, watched: Watched) -> None:
        if watched.is_reading:
            self._due.put(watched, RETRY_SECONDS)
        else:
            self._read(watched)

    def _period(self) -> float:
        """Until somebody is read again: spread, so that they do not all come at once."""
        return self._ping_seconds * random.uniform(0.6, 0.95)  # noqa: S311 - a spread, not a secret


def _askers_of(watched: Watched) -> dict[str, None]:
    return {watcher.asker.mobile: None for watcher in watched.watchers}


def _raise_first(replies: Sequence[Any]) -> None:
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
