"""Builds the application: opens what it stands on, puts the rooms together, closes it all. Nothing imports this."""

import asyncio
import sys
from dataclasses import dataclass
from functools import partial

import structlog
from tortoise.contrib.sanic import register_tortoise

from accounts import fitness
from accounts.blocks import Blocks
from accounts.directory import Directory
from accounts.events import Event, SessionEvents
from accounts.passwords import Passwords
from accounts.sessions import ClosedSession, Sessions
from accounts.tokens import Tokens
from background.loops import forever
from delivery.hub import Hub
from delivery.login_attempts import LoginAttempts
from delivery.mailbox import Mailbox
from delivery.messenger import Messenger
from delivery.notifications import NotificationHandlers, Notifications
from delivery.ports import Identity
from delivery.presence import Presence
from delivery.rate_limits import RateLimits, Upgrades
from delivery.redis.client import RedisClient
from delivery.redis.key_values import KeyValues
from delivery.redis.replication import ReplicatedScripts
from delivery.send_limits import SendLimits
from delivery.servers import Servers
from delivery.storage import FULL, LOOK_SECONDS, Storage, UnfitRedis, refuse_cluster
from delivery.user_records import UserRecords
from handlers import register
from handlers.services import Check, Services
from handlers.socket import register_socket
from models import EventKind
from protocol.errors import UNAVAILABLE, ApiError
from server.application import MiniSanic, make_app
from server.cors import add_cors
from server.drain import add_drain
from settings import Settings, SettingsError, load
from settings.database import tortoise_orm

logger = structlog.get_logger(__name__)
BLIND_SECONDS = 30.0
"""How long sockets may stay open while nobody can tell whether their sessions live."""


def record_event(events: SessionEvents, kind: str, who: Identity, reason: str) -> None:
    """A connection began or ended: a session event, in bulk."""
    events.add(Event(EventKind(kind), who.mobile, who.account_id, who.session_id, who.device_id, reason[:64]))


@dataclass
class House:
    """Everything one worker process opens."""

    settings: Settings
    server_id: str

    def open(self) -> Services:
        """Make every part and tell it of the ones below. Connects to nothing yet."""
        settings = self.settings
        self.link = RedisClient(settings)
        self.replicated = ReplicatedScripts(settings) if settings.replicas_acked else None
        self.hub = Hub(settings.lease_seconds, settings.cooldown_seconds)
        passwords = Passwords(settings.bcrypt_rounds, settings.bcrypt_threads, settings.bcrypt_waiting)
        directory = Directory(passwords)
        people = UserRecords(self.link, directory.person, self.replicated)
        self.registry = Servers(self.link, self.server_id, settings)
        ears = NotificationHandlers(self.hub.ring, self.hub.replaced, self.hub.close_session, self._gap)
        self.doorbell = Notifications(self.link, self.server_id, settings, ears)
        self.storage = Storage(self.link, settings)
        limits = RateLimits(self.link, on=settings.rate_limits == "on")
        sending = SendLimits(settings, limits)
        mailbox = Mailbox(self.link, people, settings, self.server_id, self.replicated, self.storage, sending)
        self.presence = Presence(self.link, people, settings)
        self.events = SessionEvents(settings.event_buffer, self.server_id)
        self.sessions = Sessions(KeyValues(self.link, self.replicated), settings, self._closed)
        secrets = settings.jwt_secret.get_secret_value(), settings.jwt_previous_secret.get_secret_value()
        return Services(
            settings=settings,
            directory=directory,
            passwords=passwords,
            tokens=Tokens(*secrets),
            sessions=self.sessions,
            blocks=Blocks(people.replace_blocks, settings.max_blocks),
            events=self.events,
            presence=self.presence,
            messenger=Messenger(mailbox, self.presence, self.doorbell, self.registry, self.hub),
            hub=self.hub,
            probes=self,
            record=partial(record_event, self.events),
            limits=limits,
            logins=LoginAttempts(self.link, limits, settings),
            upgrades=Upgrades(settings),
        )

    async def start(self) -> None:
        """Begin everything that runs by itself."""
        self.events.start()
        self.doorbell.start()
        self.hub.start()
        away = (ApiError,)
        self._heartbeat = forever("heartbeat", self._beat, self.settings.bell_seconds, away)
        self._told = asyncio.get_running_loop().time()
        self._watch = forever("session check", self._watch_sessions, self.settings.session_check_seconds, away)
        self._look = forever("storage", self.storage.look, LOOK_SECONDS)

    async def stop(self) -> None:
        """End it again, in the order of need."""
        await self._heartbeat.stop()
        await self._watch.stop()
        await self._look.stop()
        await self.doorbell.stop()
        await self.events.stop()
        try:
            await self.registry.withdraw()
        except ApiError:
            logger.warning("could not withdraw from the registry; it forgets by itself")
        if self.replicated:
            await self.replicated.close()
        await self.link.close()

    async def check(self) -> dict[str, Check]:
        """What this server depends on. Without room for chats it is still needed: for people to read, and make room."""
        redis, postgresql = await asyncio.gather(self.storage.fault(), fitness.fault())
        return {
            "redis": Check(redis),
            "postgresql": Check(postgresql),
            "doorbell": Check("" if self._is_heard() else "This server does not hear its own heartbeat."),
            "memory": Check(FULL if self.storage.full else "", needed=False),
        }

    def _is_heard(self) -> bool:
        """By itself over its own channel, and by the others, who see it in the list of servers."""
        age = self.last_beat_age
        return self.doorbell.listening and age is not None and age < self.settings.bell_silence_seconds

    @property
    def last_beat_age(self) -> float | None:
        """Seconds since the last heartbeat that Redis took; None: not one yet."""
        return self._heartbeat.age

    async def _beat(self) -> None:
        await self.registry.beat()
        mobiles = {member.mobile for member in self.hub.members()}
        if mobiles:
            await self.registry.add(*mobiles)

    def _gap(self) -> None:
        self.hub.ring_all()
        self.hub.spawn(self._end_closed_sessions())
        # The last heartbeat was too early to be heard, and until one is this server calls itself not ready.
        self._heartbeat.soon()

    async def _watch_sessions(self) -> None:
        now = asyncio.get_running_loop().time
        if await self._end_closed_sessions():
            self._told = now()
        elif now() - self._told > BLIND_SECONDS:
            for member in self.hub.members():
                member.close(UNAVAILABLE)

    async def _end_closed_sessions(self) -> bool:
        ids = {member.session_id for member in self.hub.members()}
        try:
            closed = await self.sessions.revoked_among(list(ids)) if ids else set()
        except ApiError:
            return False
        for session_id in closed:
            self.hub.close_session(session_id)
        return True

    async def _closed(self, session: ClosedSession) -> None:
        self.hub.close_session(session.session_id)
        self.hub.spawn(self.presence.devices.logged_out(session.mobile, session.device_id))
        await self.doorbell.closed(session.session_id)


def create_app(settings: Settings | None = None) -> MiniSanic:
    """The application. Without settings, from the environment.

    :raises SettingsError: when the environment does not make a runnable product
    """
    settings = settings or load()
    app = make_app("whatsapp_mini", settings)
    register(app)
    register_socket(app)
    add_cors(app, settings.origins)
    register_tortoise(app, config=tortoise_orm(settings.database_url, settings.database_pool))

    async def look_at_redis(_app: MiniSanic) -> None:
        link = RedisClient(settings)
        try:
            await refuse_cluster(link)
        except UnfitRedis as error:
            sys.exit(str(error))
        finally:
            await link.close()

    async def open_house(app: MiniSanic) -> None:
        app.ctx.house = House(settings, app.ctx.server_id)
        app.ctx.services = app.ctx.house.open()
        await app.ctx.house.start()

    async def close_house(app: MiniSanic) -> None:
        await app.ctx.house.stop()

    async def goodbye() -> None:
        await app.ctx.house.hub.drain()

    app.main_process_start(look_at_redis)
    app.before_server_start(open_house)
    app.after_server_stop(close_house)
    add_drain(app, settings, goodbye)
    return app


def _app() -> MiniSanic:
    try:
        return create_app()
    except SettingsError as error:
        sys.exit(str(error))


app = _app()
