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
from typing import Any, Final, Protocol

import structlog

from background.loops import Loop, forever
from delivery.keys import Person
from delivery.policy import Facts, Side, View, see
from delivery.presence import read_facts, read_sides
from delivery.rate_limits import RateLimits, lookups
from delivery.redis.client import Arg, RedisClient
from delivery.results import CommandFailed
from delivery.scripts import READ_SIDES, WATCH
from delivery.user_records import UserRecords
from protocol.errors import ApiError
from protocol.privacy import OPEN, decode_privacy
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
NEVER: Final = float("inf")


class WatchingConnection(Protocol):
    """What is asked of a connection."""

    @property
    def mobile(self) -> str: ...
    def show_presence(self, views: Sequence[tuple[str, View]]) -> bool: ...


class _Watcher:
    """One connection. ``shown``: what it was last shown of each number; None: nothing yet."""

    __slots__ = ("asker", "connection", "lock", "shown")

    def __init__(self, connection: WatchingConnection, asker: "_Asker") -> None:
        self.connection = connection
        self.asker = asker
        self.lock = asyncio.Lock()
        self.shown: dict[str, View | None] = {}


class _Asker:
    """A person who watches others, on however many connections, and what those others are to them."""

    __slots__ = ("due", "is_reading", "mobile", "privacy", "sides", "watchers")

    def __init__(self, mobile: str) -> None:
        self.mobile = mobile
        self.privacy = OPEN
        self.sides: dict[str, Side] = {}
        self.watchers: list[_Watcher] = []
        self.due = 0
        self.is_reading = False

    @property
    def numbers(self) -> list[str]:
        """Whom they watch."""
        return list({number: None for watcher in self.watchers for number in watcher.shown})


class _Watched:
    """A number that is watched. ``facts``: None: not read yet. Times are monotonic seconds."""

    __slots__ = ("due", "ends", "facts", "is_reading", "is_stale", "is_unknown", "last_sign", "mobile", "sides",
                 "watchers")  # fmt: skip

    def __init__(self, mobile: str) -> None:
        self.mobile = mobile
        self.facts: Facts | None = None
        self.sides: dict[str, Side] = {}
        """What each asker is to this person."""
        self.watchers: dict[_Watcher, None] = {}
        self.ends = NEVER
        """When the last lease ends that is known of."""
        self.last_sign = 0
        """The sign of life from which that lease counts, in unix ms."""
        self.due = 0
        self.is_reading = self.is_stale = self.is_unknown = False

    def view(self, asker: _Asker) -> View:
        """What this asker may see."""
        if self.facts is None or self.is_unknown:
            return View()
        theirs, mine = asker.sides.get(self.mobile), self.sides.get(asker.mobile)
        if theirs is None or mine is None:
            return View()
        return see(theirs, mine, self.facts)


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
        self._watchers: dict[WatchingConnection, _Watcher] = {}
        self._askers: dict[str, _Asker] = {}
        self._watched: dict[str, _Watched] = {}
        self._due: dict[int, dict[_Watched | _Asker, None]] = {}
        """What is to be read in which second."""
        self._passed = int(time.monotonic())
        self._unshown: dict[_Watcher, dict[str, None]] = {}
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
        everybody: list[_Watched | _Asker] = [*self._watched.values(), *self._askers.values()]
        for each in everybody:
            self._schedule(each, 0)

    # ---- who is there

    def _enter(self, connection: WatchingConnection) -> _Watcher:
        asker = self._askers.get(connection.mobile)
        if asker is None:
            asker = self._askers[connection.mobile] = _Asker(connection.mobile)
            self._schedule(asker, self._period())
        watcher = self._watchers[connection] = _Watcher(connection, asker)
        asker.watchers.append(watcher)
        return watcher

    def _leave(self, watcher: _Watcher) -> None:
        if self._watchers.pop(watcher.connection, None) is None:
            return
        self._unshown.pop(watcher, None)
        watcher.asker.watchers.remove(watcher)
        if not watcher.asker.watchers:
            del self._askers[watcher.asker.mobile]
            self._unschedule(watcher.asker)

    def _add(self, watcher: _Watcher, mobile: str) -> None:
        watched = self._watched.get(mobile)
        if watched is None:
            watched = self._watched[mobile] = _Watched(mobile)
            self._schedule(watched, self._period())
        watched.watchers[watcher] = None
        watcher.shown[mobile] = None

    def _remove(self, watcher: _Watcher, mobile: str) -> None:
        watched, asker = self._watched[mobile], watcher.asker
        del watched.watchers[watcher]
        if not watched.watchers:
            del self._watched[mobile]
            self._unschedule(watched)
        if not any(mobile in each.shown for each in asker.watchers):
            asker.sides.pop(mobile, None)
            watched.sides.pop(asker.mobile, None)

    # ---- reading

    async def _begin(self, asker: _Asker, mobiles: Sequence[str]) -> None:
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

    def _read(self, watched: _Watched) -> None:
        """Read a person again, for all who watch them here."""
        if watched.is_reading:
            watched.is_stale = True
            return
        watched.is_reading, watched.is_stale = True, False
        self._schedule(watched, self._period())
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

    def _read_done(self, watched: _Watched, *, is_missing: bool) -> None:
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

    def _failed(self, watched: _Watched) -> None:
        """Redis is away. Nobody is shown online longer than the lease lasts that was seen last."""
        if self._watched.get(watched.mobile) is watched:
            self._schedule(watched, RETRY_SECONDS)
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
            self._schedule(watched, min(watched.ends - time.monotonic(), self._period()))
        else:
            watched.ends = NEVER
        self._show(watched)

    def _read_own(self, asker: _Asker) -> None:
        """What others are to an asker is read again."""
        mobiles = asker.numbers
        self._schedule(asker, self._period())
        if asker.is_reading or not mobiles:
            return
        asker.is_reading = True

        def handle(reply: Any) -> None:
            asker.is_reading = False
            if not isinstance(reply, Exception) and reply[0] == b"known":
                asker.sides.clear()
                self._apply_asker(asker, mobiles, reply)
                self._show_all(asker)

        self._redis.request(READ_SIDES, Person(asker.mobile).of(READ_SIDES), mobiles, handle)

    def _apply_asker(self, asker: _Asker, mobiles: Sequence[str], reply: Sequence[Any]) -> None:
        _, privacy, sides = reply
        asker.privacy = decode_privacy(privacy.decode())
        asker.sides.update(zip(mobiles, read_sides(privacy, sides), strict=True))

    # ---- showing

    def _show(self, watched: _Watched) -> None:
        for watcher in watched.watchers:
            self._show_to(watcher, watched)

    def _show_all(self, asker: _Asker) -> None:
        for watcher in asker.watchers:
            for mobile in watcher.shown:
                self._show_to(watcher, self._watched[mobile])

    def _show_to(self, watcher: _Watcher, watched: _Watched) -> None:
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
        now, count = int(time.monotonic()), 0
        while self._passed <= now:
            due = self._due.get(self._passed)
            if not due:
                self._due.pop(self._passed, None)
                self._passed += 1
                continue
            if count >= MOST_READS:
                return
            each = next(iter(due))
            count += 1
            if isinstance(each, _Watched):
                self._read_due(each)
            else:
                self._read_own(each)

    def _read_due(self, watched: _Watched) -> None:
        if watched.is_reading:
            self._schedule(watched, RETRY_SECONDS)
        else:
            self._read(watched)

    def _period(self) -> float:
        """Until somebody is read again: spread, so that they do not all come at once."""
        return self._ping_seconds * random.uniform(0.6, 0.95)  # noqa: S311 - a spread, not a secret

    def _schedule(self, each: _Watched | _Asker, seconds: float) -> None:
        """To be read after so many seconds, instead of when it was to be read before."""
        self._unschedule(each)
        each.due = max(int(time.monotonic() + seconds), self._passed + (seconds > 0))
        self._due.setdefault(each.due, {})[each] = None

    def _unschedule(self, each: _Watched | _Asker) -> None:
        due = self._due.get(each.due)
        if due is not None:
            due.pop(each, None)


def _askers_of(watched: _Watched) -> dict[str, None]:
    return {watcher.asker.mobile: None for watcher in watched.watchers}


def _raise_first(replies: Sequence[Any]) -> None:
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
